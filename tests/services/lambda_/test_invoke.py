"""Functions run: in a sandbox, as their role."""

import base64
import json
from typing import Any

import pytest

from tests.functions.zips import ECHO
from tests.house import House
from tests.promises.tricks import allow, refused


def answered(got: Any) -> Any:
    return json.loads(got["Payload"].read())


def test_a_function_answers(make: Any, functions: Any, house: House) -> None:
    make()
    got = functions.invoke(FunctionName="echo", Payload=b'{"a": [1, "\\u00e9"]}')
    assert answered(got) == {"a": [1, "é"]}
    assert (got["StatusCode"], got["ExecutedVersion"], "FunctionError" in got) == (200, "$LATEST", False)
    record = next(each for each in house.trail() if each["eventName"] == "Invoke")
    assert "é" not in json.dumps(record, ensure_ascii=False)
    assumed = [each for each in house.trail() if each["eventName"] == "AssumeRole"]
    assert assumed[-1]["userIdentity"]["invokedBy"] == "lambda.amazonaws.com"


def test_a_function_sees_what_lambda_shows_it(make: Any, functions: Any, house: House) -> None:
    code = """
import os
def handler(event, context):
    print("working", event)
    return {"environment": dict(os.environ), "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
            "memory": context.memory_limit_in_mb, "id": context.aws_request_id, "client": context.client_context.custom}
"""
    make(
        code=code,
        Timeout=5,
        Environment={"Variables": {"COLOUR": "blue", "SECRETS_MANAGER_ENDPOINT": "https://elsewhere.example.org"}},
    )
    client_context = base64.b64encode(b'{"custom":{"k":"v"}}').decode()
    got = functions.invoke(FunctionName="echo", LogType="Tail", Payload=b"{}", ClientContext=client_context)
    answer = answered(got)
    environment = answer["environment"]
    assert environment["COLOUR"] == "blue"
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environment["AWS_ENDPOINT_URL"] == environment["SECRETS_MANAGER_ENDPOINT"] == "http://127.77.0.2"
    assert environment["AWS_REGION"] == "us-east-1"
    assert not any(name.startswith("GEUMGO") for name in environment)
    assert 3000 < answer["left"] <= 5000
    assert (answer["memory"], answer["client"]) == ("128", {"k": "v"})
    assert answer["arn"] == f"arn:aws:lambda:us-east-1:{house.account}:function:echo"
    log = base64.b64decode(got["LogResult"]).decode()
    assert log.startswith(
        f"START RequestId: {answer['id']} Version: $LATEST\nworking {{}}\nEND RequestId: {answer['id']}\nREPORT "
    )
    assert "Memory Size: 128 MB" in log


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("def handler(e, c):\n    raise ValueError('no luck')\n", "ValueError", "no luck"),
        ("import nothing_like_that\n", "Runtime.ImportModuleError", "Unable to import module 'app'"),
        ("x = 1\n", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("def handler(e, c:\n", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("def handler(e, c):\n    return object()\n", "Runtime.MarshalError", "Unable to marshal response"),
        ("import os\ndef handler(e, c):\n    os._exit(3)\n", "Runtime.ExitError", "exit status 3"),
        ("import time\ndef handler(e, c):\n    time.sleep(60)\n", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("def handler(e, c):\n    return 'x' * 7_000_000\n", "Function.ResponseSizeTooLarge", "6291556"),
    ],
)  # fmt: skip
def test_an_error_is_told_as_lambda_tells_it(make: Any, functions: Any, code: str, kind: str, message: str) -> None:
    make(code=code, Timeout=1)
    got = functions.invoke(FunctionName="echo")
    assert (got["StatusCode"], got["FunctionError"]) == (200, "Unhandled")
    answer = answered(got)
    assert answer["errorType"] == kind
    assert message in answer["errorMessage"]


def test_what_is_no_event_is_refused_without_being_quoted(make: Any, functions: Any) -> None:
    make()
    for payload in (b"hunter2", b"\xff", b"[" * 100_000, b'{"a":NaN}', b"\0"):
        with refused("InvalidRequestContentException") as caught:
            functions.invoke(FunctionName="echo", Payload=payload)
        assert "hunter2" not in str(caught[0])
    with refused("InvalidRequestContentException"):
        functions.invoke(FunctionName="echo", ClientContext="bm90IGpzb24=")


def test_a_function_that_is_larger_than_the_operator_allows_does_not_run(make: Any, functions: Any) -> None:
    make(MemorySize=1025)
    with pytest.raises(functions.exceptions.ServiceException, match="at most 1024 MB run here"):
        functions.invoke(FunctionName="echo")
    functions.update_function_configuration(FunctionName="echo", MemorySize=1024)
    assert answered(functions.invoke(FunctionName="echo")) == {}


def test_a_dry_run_runs_nothing(make: Any, functions: Any, house: House) -> None:
    make(code="import os\nos._exit(1)\n")
    assert functions.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204
    with refused():
        house.client("lambda", house.user("ann")).invoke(FunctionName="echo", InvocationType="DryRun")


def test_a_resource_policy_lets_others_invoke(make: Any, functions: Any, house: House) -> None:
    make()
    ann = house.client("lambda", house.user("ann"))
    with refused() as caught:
        ann.invoke(FunctionName="echo")
    assert "lambda:InvokeFunction" in str(caught[0])
    assert caught[0].response["ResponseMetadata"]["HTTPStatusCode"] == 403
    functions.add_permission(
        FunctionName="echo",
        StatementId="ann",
        Action="lambda:InvokeFunction",
        Principal=f"arn:aws:iam::{house.account}:user/ann",
    )
    assert answered(ann.invoke(FunctionName="echo")) == {}
    with refused():
        ann.get_function(FunctionName="echo")


def test_a_role_that_no_longer_trusts_lambda_runs_nothing(make: Any, functions: Any, house: House) -> None:
    make()
    trust = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}'
    house.client("iam").update_assume_role_policy(RoleName="runs", PolicyDocument=trust)
    with refused("InvalidParameterValueException"):
        functions.invoke(FunctionName="echo")


def test_who_may_not_invoke_learns_nothing_of_the_code(make: Any, house: House) -> None:
    make()
    lister = house.client("lambda", house.user("lister", allow("lambda:ListFunctions")))
    assert len(lister.list_functions()["Functions"]) == 1
    with refused():
        lister.get_function(FunctionName="echo")


@pytest.mark.parametrize("code", [ECHO, "def handler(event, context):\n    raise ValueError\n"])
def test_an_invocation_leaves_dates_of_use(make: Any, functions: Any, house: House, code: str) -> None:
    """Of the execution role and of the caller's key, though the answer comes later and whatever it is."""
    make(code=code)
    iam, ann = house.client("iam"), house.user("ann", allow("lambda:InvokeFunction"))
    house.clock.turn(days=1)
    house.client("lambda", ann).invoke(FunctionName="echo")
    now_s = house.clock.now_ms() // 1000
    used = iam.get_role(RoleName="runs")["Role"]["RoleLastUsed"]
    assert (used["Region"], int(used["LastUsedDate"].timestamp())) == ("us-east-1", now_s)
    key = iam.get_access_key_last_used(AccessKeyId=ann.identity)["AccessKeyLastUsed"]
    assert (key["ServiceName"], int(key["LastUsedDate"].timestamp())) == ("lambda", now_s)


def test_an_event_that_nobody_waits_for_leaves_the_date_of_use_of_its_role(
    make: Any, functions: Any, house: House
) -> None:
    make()
    house.clock.turn(days=1)
    functions.invoke(FunctionName="echo", InvocationType="Event")
    house.run_jobs()
    used = house.client("iam").get_role(RoleName="runs")["Role"]["RoleLastUsed"]
    assert int(used["LastUsedDate"].timestamp()) == house.clock.now_ms() // 1000
