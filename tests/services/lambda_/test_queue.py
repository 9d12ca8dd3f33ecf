"""Events that nobody waits for."""

import json
from typing import Any

import pytest

from geumgo.functions import Busy, NotRun, Outcome, Task
from geumgo.services.lambda_ import queue
from tests.house import House
from tests.promises.tricks import refused


class Scripted:
    """Runs functions as it is told: one entry for each call. Keeps what it was handed."""

    def __init__(self, *script: bool | Exception) -> None:
        self.script, self.tasks = list(script), list[Task]()

    def run(self, task: Task) -> Outcome:
        self.tasks.append(task)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return Outcome(b"null", not step, b"")

    def refuse(self, runtime: str) -> None:
        """Everything runs."""


def given(house: House, *script: bool | Exception) -> Scripted:
    made = Scripted(*script)
    house.app.worker._handlers = {**house.app.worker._handlers, **queue.Runner(made).jobs()}
    return made


def waiting(house: House) -> int:
    with house.app.storage.reading() as tx:
        row = tx.one("SELECT COUNT(*) FROM lambda_event")
    assert row is not None
    return int(row[0])


def pass_time(house: House, seconds: int) -> None:
    house.clock.turn(ms=seconds * 1000)
    house.run_jobs()


def send(functions: Any, payload: bytes = b'{"a":1}', **more: Any) -> None:
    assert functions.invoke(FunctionName="echo", InvocationType="Event", Payload=payload, **more)["StatusCode"] == 202


def test_a_function_runs_once_for_an_event(make: Any, functions: Any, house: House) -> None:
    make(Environment={"Variables": {"COLOUR": "blue"}})
    runs = given(house, True)
    send(functions, b'{"secret":"event-canary"}')
    assert (len(runs.tasks), waiting(house)) == (0, 1)
    everything = b"".join(path.read_bytes() for path in house.settings.data.rglob("*") if path.is_file())
    assert b"event-canary" not in everything
    house.run_jobs()
    assert (len(runs.tasks), waiting(house)) == (1, 0)
    task = runs.tasks[0]
    assert (task.event, task.environment, task.version) == (b'{"secret":"event-canary"}', {"COLOUR": "blue"}, "$LATEST")
    assert task.credentials["AWS_ACCESS_KEY_ID"].startswith("ASIA")


def test_it_really_runs(make: Any, functions: Any, house: House) -> None:
    make(code="def handler(e, c):\n    print('ran with', e)\n")
    send(functions)
    house.run_jobs()
    logs = list((house.settings.data / "functions").rglob("echo.log"))
    assert b"ran with {'a': 1}\n" in logs[0].read_bytes()


def test_a_function_that_fails_is_tried_three_times(make: Any, functions: Any, house: House) -> None:
    make()
    runs = given(house, False, False, False)
    send(functions)
    house.run_jobs()
    assert len(runs.tasks) == 1
    for seconds, tries in ((59, 1), (2, 2), (118, 2), (3, 3)):
        pass_time(house, seconds)
        assert len(runs.tasks) == tries, seconds
    assert waiting(house) == 0


def test_one_that_did_not_run_is_tried_for_six_hours(make: Any, functions: Any, house: House) -> None:
    make()
    runs = given(house, Busy("ConcurrentInvocationLimitExceeded"), NotRun("no sandbox"), *[Busy("x")] * 400)
    send(functions)
    house.run_jobs()
    pass_time(house, 2)
    assert len(runs.tasks) == 2
    pass_time(house, 61)
    assert len(runs.tasks) == 3
    pass_time(house, 21_700)
    assert (len(runs.tasks), waiting(house)) == (3, 0)


def test_what_is_gone_runs_no_more(make: Any, functions: Any, house: House) -> None:
    make()
    runs = given(house)
    send(functions)
    functions.delete_function(FunctionName="echo")
    make()
    house.run_jobs()
    assert (runs.tasks, waiting(house)) == ([], 0)


def test_a_function_that_is_switched_off_runs_when_it_is_on_again(make: Any, functions: Any, house: House) -> None:
    make()
    runs = given(house, True)
    functions.put_function_concurrency(FunctionName="echo", ReservedConcurrentExecutions=0)
    send(functions)
    house.run_jobs()
    assert not runs.tasks
    functions.delete_function_concurrency(FunctionName="echo")
    pass_time(house, 61)
    assert len(runs.tasks) == 1


def test_a_role_that_cannot_be_assumed_is_tried_again(make: Any, functions: Any, house: House) -> None:
    make()
    runs = given(house, True)
    send(functions)
    iam = house.client("iam")
    trust = iam.get_role(RoleName="runs")["Role"]["AssumeRolePolicyDocument"]
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    iam.update_assume_role_policy(RoleName="runs", PolicyDocument=json.dumps(deny))
    house.run_jobs()
    assert not runs.tasks
    iam.update_assume_role_policy(RoleName="runs", PolicyDocument=json.dumps(trust))
    pass_time(house, 61)
    assert len(runs.tasks) == 1


@pytest.mark.parametrize("size", [1_048_577])
def test_an_event_has_a_size(make: Any, functions: Any, house: House, size: int) -> None:
    make()
    with refused("RequestEntityTooLargeException"):
        functions.invoke(FunctionName="echo", InvocationType="Event", Payload=b'"' + b"x" * (size - 2) + b'"')


def test_how_often_and_how_long_is_for_its_owner_to_say(make: Any, functions: Any, house: House) -> None:
    make(Publish=True)
    with refused("ResourceNotFoundException"):
        functions.get_function_event_invoke_config(FunctionName="echo")
    put = functions.put_function_event_invoke_config(FunctionName="echo", MaximumRetryAttempts=0)
    assert put["FunctionArn"].endswith(":function:echo:$LATEST")
    assert "MaximumEventAgeInSeconds" not in put
    runs = given(house, False, *[Busy("x")] * 9)
    send(functions)
    house.run_jobs()
    assert (len(runs.tasks), waiting(house)) == (1, 0)
    functions.update_function_event_invoke_config(FunctionName="echo", Qualifier="$LATEST", MaximumEventAgeInSeconds=60)
    got = functions.get_function_event_invoke_config(FunctionName="echo")
    assert (got["MaximumRetryAttempts"], got["MaximumEventAgeInSeconds"]) == (0, 60)
    send(functions)
    house.run_jobs()
    pass_time(house, 61)
    assert (len(runs.tasks), waiting(house)) == (2, 0)
    functions.put_function_event_invoke_config(FunctionName="echo", Qualifier="1", MaximumRetryAttempts=1)
    pages = functions.get_paginator("list_function_event_invoke_configs").paginate(
        FunctionName="echo", PaginationConfig={"PageSize": 1}
    )
    assert [
        [each["FunctionArn"].rsplit(":", 1)[1] for each in page["FunctionEventInvokeConfigs"]] for page in pages
    ] == [["$LATEST"], ["1"]]
    functions.delete_function_event_invoke_config(FunctionName="echo", Qualifier="1")
    with refused("ResourceNotFoundException"):
        functions.delete_function_event_invoke_config(FunctionName="echo", Qualifier="1")
    with refused("InvalidParameterValueException"):
        queue_arn = f"arn:aws:sqs:us-east-1:{house.account}:q"
        functions.put_function_event_invoke_config(
            FunctionName="echo", DestinationConfig={"OnFailure": {"Destination": queue_arn}}
        )
