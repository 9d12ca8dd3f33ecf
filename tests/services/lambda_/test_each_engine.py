"""The life of a function on each engine: every statement of the store runs."""

from typing import Any

from tests.functions.zips import ECHO, package
from tests.house import House
from tests.promises.tricks import refused
from tests.services.lambda_.conftest import TRUST
from tests.services.lambda_.test_queue import given, waiting


def test_a_life(house_on_each: House) -> None:
    house = house_on_each
    functions: Any = house.client("lambda")
    role = house.client("iam").create_role(RoleName="runs", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    content = {"ZipFile": package(**{"python/shared.py": "answer = 1\n"})}
    layers = [
        functions.publish_layer_version(LayerName=name, Content=content)["LayerVersionArn"] for name in ("a", "b")
    ]
    for name in ("f", "g"):
        functions.create_function(
            FunctionName=name, Runtime="python3.12", Role=role, Handler="app.handler", Code={"ZipFile": package(ECHO)}, Layers=layers[:1],
            Environment={"Variables": {"AB": "é"}}, Tags={"k": "v"}, Publish=True,
        )  # fmt: skip
    functions.update_function_code(FunctionName="f", ZipFile=package("x = 1\n"), Publish=True)
    functions.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    functions.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    functions.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    assert [each["FunctionName"] for each in functions.list_functions(MaxItems=1)["Functions"]] == ["f"]
    assert [each["FunctionName"] for each in functions.list_functions(Marker="f")["Functions"]] == ["g"]
    assert len(functions.list_versions_by_function(FunctionName="f")["Versions"]) == 3
    assert [each["FunctionVersion"] for each in functions.list_aliases(FunctionName="f")["Aliases"]] == ["2"]
    assert [each["LayerName"] for each in functions.list_layers()["Layers"]] == ["a", "b"]
    for name in ("a", "b"):
        functions.delete_layer_version(LayerName=name, VersionNumber=1)
        assert functions.list_layer_versions(LayerName=name)["LayerVersions"] == []
    with refused("ResourceNotFoundException"):
        functions.get_layer_version(LayerName="a", VersionNumber=1)
    functions.put_function_event_invoke_config(FunctionName="f", Qualifier="live", MaximumRetryAttempts=1)
    functions.update_function_event_invoke_config(FunctionName="f", Qualifier="live", MaximumEventAgeInSeconds=600)
    assert len(functions.list_function_event_invoke_configs(FunctionName="f")["FunctionEventInvokeConfigs"]) == 1
    runs = given(house, False, True)
    functions.invoke(FunctionName="f:live", InvocationType="Event", Payload=b'{"a":1}')
    house.run_jobs()
    house.clock.turn(ms=60_001)
    house.run_jobs()
    assert [(task.version, task.environment, len(task.layers)) for task in runs.tasks] == [("2", {"AB": "é"}, 1)] * 2
    assert waiting(house) == 0
    functions.delete_alias(FunctionName="f", Name="live")
    functions.delete_function(FunctionName="f", Qualifier="1")
    functions.delete_function(FunctionName="f")
    functions.delete_function(FunctionName="g")
    with house.app.storage.reading() as tx:
        for table in (
            "lambda_function",
            "lambda_version",
            "lambda_code",
            "lambda_alias",
            "lambda_event",
            "lambda_event_config",
        ):
            assert tx.one(f"SELECT COUNT(*) FROM {table}") == (0,), table
