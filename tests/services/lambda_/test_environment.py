"""The variables of a function under a KMS key."""

import json
from typing import Any

import pytest

from tests.house import House
from tests.promises.tricks import allow, refused

CODE = "import os\ndef handler(e, c):\n    print(os.environ['COLOUR'])\n    return os.environ['COLOUR']\n"
BLUE = {"Variables": {"COLOUR": "blue-canary"}}


@pytest.fixture
def key(house: House) -> str:
    found: str = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    return found


def test_variables_under_a_key_are_seen_by_the_function_and_by_who_may_decrypt(
    make: Any, functions: Any, house: House, key: str
) -> None:
    made = make("f", CODE, Environment=BLUE, KMSKeyArn=key)
    assert (made["KMSKeyArn"], made["Environment"]) == (key, BLUE)
    assert json.loads(functions.invoke(FunctionName="f")["Payload"].read()) == "blue-canary"
    functions.invoke(FunctionName="f", InvocationType="Event")
    house.run_jobs()
    log = next((house.settings.data / "functions").rglob("f.log")).read_bytes()
    assert log.count(b"\nblue-canary\n") == 2
    grants = house.client("kms").list_grants(KeyId=key)["Grants"]
    assert [(each["GranteeServicePrincipal"], each["Operations"]) for each in grants] == [
        ("lambda.amazonaws.com", ["Decrypt"])
    ]
    ann = house.client("lambda", house.user("ann", allow("lambda:*")))
    seen = ann.get_function_configuration(FunctionName="f")["Environment"]
    assert "Variables" not in seen
    assert seen["Error"]["ErrorCode"] == "AccessDeniedException"


def test_who_may_not_use_the_key_cannot_set_it(make: Any, house: House, key: str, role: str) -> None:
    make("f", CODE)
    ann = house.client("lambda", house.user("ann", allow("lambda:*")))
    with refused("InvalidParameterValueException") as caught:
        ann.update_function_configuration(FunctionName="f", KMSKeyArn=key, Environment=BLUE)
    assert "KMS key is invalid for use" in str(caught[0])


def test_a_new_key_protects_the_old_variables_too(make: Any, functions: Any, house: House, key: str) -> None:
    make("f", CODE, Environment=BLUE)
    other = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    for arn in (key, other, ""):
        changed = functions.update_function_configuration(FunctionName="f", KMSKeyArn=arn)
        assert (changed.get("KMSKeyArn", ""), changed["Environment"]) == (arn, BLUE)
        assert json.loads(functions.invoke(FunctionName="f")["Payload"].read()) == "blue-canary"
    changed = functions.update_function_configuration(FunctionName="f", Environment={"Variables": {}})
    assert "Environment" not in changed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda kms, key: kms.disable_key(KeyId=key), "KMSDisabledException"),
        (lambda kms, key: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7), "KMSInvalidStateException"),
        (lambda kms, key: [kms.revoke_grant(KeyId=key, GrantId=each["GrantId"]) for each in kms.list_grants(KeyId=key)["Grants"]], "KMSAccessDeniedException"),
    ],
)  # fmt: skip
def test_without_its_key_a_function_does_not_run(
    make: Any, functions: Any, house: House, key: str, change: Any, code: str
) -> None:
    make("f", CODE, Environment=BLUE, KMSKeyArn=key)
    change(house.client("kms"), key)
    with pytest.raises(functions.exceptions.from_code(code)):
        functions.invoke(FunctionName="f")
