"""Functions are made, shown, changed and deleted."""

import base64
import hashlib
from typing import Any

import pytest

from tests.functions.zips import ECHO, package
from tests.house import House
from tests.promises.tricks import allow, refused


def test_a_function_is_shown_as_it_was_made(make: Any, functions: Any, house: House, role: str) -> None:
    made = make(
        Description="answers",
        Timeout=9,
        MemorySize=256,
        Environment={"Variables": {"COLOUR": "blue"}},
        Tags={"team": "a"},
    )
    arn = f"arn:aws:lambda:us-east-1:{house.account}:function:echo"
    assert made["FunctionArn"] == arn
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(package(ECHO)).digest()).decode()
    assert (made["Role"], made["Timeout"], made["MemorySize"], made["State"]) == (role, 9, 256, "Active")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    for name in ("echo", arn, f"{house.account}:function:echo"):
        found = functions.get_function(FunctionName=name)
        assert found["Tags"] == {"team": "a"}
        assert found["Configuration"]["Environment"] == {"Variables": {"COLOUR": "blue"}}
    assert functions.get_function_code_signing_config(FunctionName="echo")["FunctionName"] == "echo"
    shown = functions.get_function_configuration(FunctionName="echo", Qualifier="$LATEST")
    assert (shown["FunctionArn"], shown["Version"]) == (f"{arn}:$LATEST", "$LATEST")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"Runtime": "java21"},
            "Value java21 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [",
        ),
        ({"Code": {"ZipFile": b"x"}}, "Could not unzip uploaded file"),
        ({"Code": {"S3Bucket": "bucket", "S3Key": "key"}}, "not fetched from S3"),
        ({"Code": {}}, "provide a source"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys"),
        ({"Environment": {"Variables": {"LONG": "x" * 4097}}}, "4KB"),
        ({"Environment": {"Variables": {"NUL": "a\0b"}}}, "character"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "VPC"),
        ({"Tags": {"aws:x": "y"}}, "reserved"),
        ({"TracingConfig": {"Mode": "Active"}}, "X-Ray"),
        ({"PackageType": "Image"}, "Container images"),
        ({"EphemeralStorage": {"Size": 513}}, "in memory"),
        ({"FunctionName": "echo:1"}, "qualifier"),
    ],
)
def test_what_cannot_be_made_is_refused(make: Any, functions: Any, change: dict[str, Any], sentence: str) -> None:
    with refused("InvalidParameterValueException") as caught:
        make(**{"name": change.pop("FunctionName", "echo"), **change})
    assert sentence in str(caught[0])
    assert functions.list_functions()["Functions"] == []


def test_a_function_has_a_role_that_trusts_lambda(make: Any, house: House) -> None:
    iam = house.client("iam")
    trust = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}'
    other = iam.create_role(RoleName="other", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    for role in (other, f"arn:aws:iam::{house.account}:role/absent"):
        with refused("InvalidParameterValueException") as caught:
            make(Role=role)
        assert "cannot be assumed by Lambda" in str(caught[0])


def test_nobody_gives_a_function_a_role_that_he_may_not_pass(house: House, role: str) -> None:
    given = {
        "FunctionName": "f",
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"ZipFile": package(ECHO)},
    }
    ann = house.client("lambda", house.user("ann", allow("lambda:*")))
    with refused() as caught:
        ann.create_function(**given)
    assert "iam:PassRole" in str(caught[0])
    passes = allow("iam:PassRole", on=role, Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}})
    ben = house.client("lambda", house.user("ben", allow("lambda:*"), passes))
    ben.create_function(**given)
    with refused():
        ann.update_function_configuration(FunctionName="f", Role=role)
    ann.update_function_configuration(FunctionName="f", Timeout=4)


def test_a_name_is_taken_once(make: Any) -> None:
    make()
    with refused("ResourceConflictException"):
        make()


def test_code_and_configuration_are_changed_by_who_knows_the_revision(make: Any, functions: Any) -> None:
    first = make()
    dry = functions.update_function_code(FunctionName="echo", ZipFile=package("x = 1"), DryRun=True)
    assert dry["CodeSha256"] != first["CodeSha256"]
    assert functions.get_function_configuration(FunctionName="echo")["CodeSha256"] == first["CodeSha256"]
    second = functions.update_function_code(
        FunctionName="echo", ZipFile=package("x = 1"), RevisionId=first["RevisionId"]
    )
    assert second["CodeSha256"] == dry["CodeSha256"]
    for call in (functions.update_function_code, functions.update_function_configuration):
        more = {"ZipFile": package(ECHO)} if call == functions.update_function_code else {"Timeout": 5}
        with refused("PreconditionFailedException"):
            call(FunctionName="echo", RevisionId=first["RevisionId"], **more)
    third = functions.update_function_configuration(
        FunctionName="echo", Timeout=5, Environment={"Variables": {"AB": "b"}}
    )
    assert (third["Timeout"], third["Environment"], third["Handler"]) == (5, {"Variables": {"AB": "b"}}, "app.handler")


def test_a_deleted_function_is_not_there(make: Any, functions: Any, house: House) -> None:
    make()
    functions.delete_function(FunctionName="echo")
    for call in (functions.get_function, functions.delete_function, functions.invoke, functions.get_policy):
        with refused("ResourceNotFoundException") as caught:
            call(FunctionName="echo")
        assert f"Function not found: arn:aws:lambda:us-east-1:{house.account}:function:echo" in str(caught[0])
    make()


def test_functions_are_listed_in_pages(make: Any, functions: Any) -> None:
    for number in range(5):
        make(f"f{number}")
    pages = list(functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert [[each["FunctionName"] for each in page["Functions"]] for page in pages] == [
        ["f0", "f1"],
        ["f2", "f3"],
        ["f4"],
    ]


def test_neither_code_nor_environment_is_in_the_trail_or_in_the_clear_on_disk(make: Any, house: House) -> None:
    make(code="canary = 'c0de-canary-1'\n" + ECHO, Environment={"Variables": {"AB": "env-canary-2"}})
    record = next(each for each in house.trail() if each["eventName"] == "CreateFunction")
    assert (
        record["requestParameters"]["functionName" if "functionName" in record["requestParameters"] else "FunctionName"]
        == "echo"
    )
    everything = b"".join(path.read_bytes() for path in house.settings.data.rglob("*") if path.is_file())
    assert b"env-canary-2" not in everything
    assert package("canary = 'c0de-canary-1'\n" + ECHO)[60:120] not in everything


# -- permissions -------------------------------------------------------------------------------------------------------


def test_a_permission_is_a_statement_of_the_policy(make: Any, functions: Any, house: House) -> None:
    make()
    given = {
        "StatementId": "rotation",
        "Action": "lambda:InvokeFunction",
        "Principal": "secretsmanager.amazonaws.com",
        "SourceAccount": house.account,
    }
    made = functions.add_permission(FunctionName="echo", **given)
    assert f'"Condition":{{"StringEquals":{{"AWS:SourceAccount":"{house.account}"}}}}' in made["Statement"]
    with refused("ResourceConflictException"):
        functions.add_permission(FunctionName="echo", **given)
    policy = functions.get_policy(FunctionName="echo")
    assert '"Sid":"rotation"' in policy["Policy"]
    with refused("PreconditionFailedException"):
        functions.remove_permission(FunctionName="echo", StatementId="rotation", RevisionId="x")
    functions.remove_permission(FunctionName="echo", StatementId="rotation", RevisionId=policy["RevisionId"])
    for call, more in ((functions.get_policy, {}), (functions.remove_permission, {"StatementId": "rotation"})):
        with refused("ResourceNotFoundException"):
            call(FunctionName="echo", **more)


def test_a_permission_is_for_somebody_who_exists(make: Any, functions: Any, house: House) -> None:
    make()
    with refused("InvalidParameterValueException") as caught:
        functions.add_permission(
            FunctionName="echo",
            StatementId="a",
            Action="lambda:InvokeFunction",
            Principal=f"arn:aws:iam::{house.account}:user/nobody",
        )
    assert "principal was invalid" in str(caught[0])


def test_a_policy_does_not_grow_without_end(make: Any, functions: Any) -> None:
    make()
    with refused("PolicyLengthExceededException"):
        for number in range(200):
            functions.add_permission(
                FunctionName="echo",
                StatementId=f"s{number}" + "x" * 90,
                Action="lambda:InvokeFunction",
                Principal="events.amazonaws.com",
            )
