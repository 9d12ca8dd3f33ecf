"""Layers: packages that functions share."""

import json
from typing import Any

import pytest

from tests.functions.zips import package
from tests.house import House
from tests.promises.tricks import allow, refused

USES = "import shared\ndef handler(e, c):\n    return shared.answer\n"


def publish(functions: Any, answer: int, name: str = "shared", **more: Any) -> Any:
    content = {"ZipFile": package(**{"python/shared.py": f"answer = {answer}\n"})}
    return functions.publish_layer_version(LayerName=name, Content=content, **more)


def ran(functions: Any, name: str = "f") -> Any:
    return json.loads(functions.invoke(FunctionName=name)["Payload"].read())


def test_a_function_has_the_version_of_a_layer_that_it_was_given(make: Any, functions: Any, house: House) -> None:
    first = publish(functions, 1, Description="one", CompatibleRuntimes=["python3.12"], LicenseInfo="MIT")
    second = publish(functions, 2)
    base = f"arn:aws:lambda:us-east-1:{house.account}:layer:shared"
    assert (first["LayerVersionArn"], second["LayerVersionArn"], first["LayerArn"]) == (f"{base}:1", f"{base}:2", base)
    made = make("f", USES, Layers=[first["LayerVersionArn"]])
    assert made["Layers"] == [{"Arn": f"{base}:1", "CodeSize": first["Content"]["CodeSize"]}]
    assert ran(functions) == 1
    functions.update_function_configuration(FunctionName="f", Layers=[second["LayerVersionArn"]])
    assert ran(functions) == 2
    functions.update_function_configuration(FunctionName="f", Layers=[])
    assert ran(functions)["errorType"] == "Runtime.ImportModuleError"
    found = functions.get_layer_version(LayerName="shared", VersionNumber=1)
    assert (found["Description"], found["CompatibleRuntimes"], found["LicenseInfo"]) == ("one", ["python3.12"], "MIT")
    by_arn = functions.get_layer_version_by_arn(Arn=f"{base}:1")
    assert by_arn["Content"] == found["Content"]


def test_what_was_deleted_is_kept_for_those_who_have_it_and_its_number_is_not_given_again(
    make: Any, functions: Any, house: House
) -> None:
    arn = publish(functions, 1)["LayerVersionArn"]
    publish(functions, 2)
    make("f", USES, Layers=[arn])
    for number in (1, 2, 2, 9):
        functions.delete_layer_version(LayerName="shared", VersionNumber=number)
    assert ran(functions) == 1
    functions.update_function_configuration(FunctionName="f", Layers=[arn], Timeout=4)
    with refused("InvalidParameterValueException"):
        make("g", USES, Layers=[arn])
    for number in (1, 2):
        with refused("ResourceNotFoundException"):
            functions.get_layer_version(LayerName="shared", VersionNumber=number)
    assert publish(functions, 3)["Version"] == 3
    with house.app.storage.reading() as tx:
        rows = tx.all("SELECT number, LENGTH(content) > 0 FROM lambda_layer_version ORDER BY number")
    assert [(number, bool(kept)) for number, kept in rows] == [(1, True), (2, False), (3, True)]


def test_layers_are_listed(functions: Any) -> None:
    for name in ("a", "b", "c"):
        publish(functions, 1, name, CompatibleRuntimes=["python3.12"])
    publish(functions, 2, "b", CompatibleRuntimes=["python3.11"])
    pages = functions.get_paginator("list_layers").paginate(PaginationConfig={"PageSize": 2})
    assert [[each["LayerName"] for each in page["Layers"]] for page in pages] == [["a", "b"], ["c"]]
    newest = {each["LayerName"]: each["LatestMatchingVersion"]["Version"] for each in functions.list_layers()["Layers"]}
    assert newest == {"a": 1, "b": 2, "c": 1}
    fitting = functions.list_layers(CompatibleRuntime="python3.12")["Layers"]
    assert [each["LatestMatchingVersion"]["Version"] for each in fitting] == [1, 1, 1]
    versions = functions.get_paginator("list_layer_versions").paginate(LayerName="b", PaginationConfig={"PageSize": 1})
    assert [[each["Version"] for each in page["LayerVersions"]] for page in versions] == [[2], [1]]
    with refused("InvalidParameterValueException"):
        functions.list_layer_versions(LayerName="b", Marker="x")


@pytest.mark.parametrize(
    "arns", [["{base}:other:1"], ["{base}:shared:1", "{base}:shared:2"], ["{base}:shared:1"] * 2, ["{base}:l{n}:1"] * 6]
)
def test_layers_that_cannot_be_given_are_refused(make: Any, functions: Any, house: House, arns: list[str]) -> None:
    publish(functions, 1)
    publish(functions, 2)
    base = f"arn:aws:lambda:us-east-1:{house.account}:layer"
    with refused("InvalidParameterValueException"):
        make("f", USES, Layers=[arn.format(base=base, n=number) for number, arn in enumerate(arns)])


def test_a_layer_of_another_account_is_not_given(make: Any) -> None:
    with refused():
        make("f", USES, Layers=["arn:aws:lambda:us-east-1:999988887777:layer:shared:1"])


def test_who_gives_a_function_a_layer_must_be_allowed_to_get_it(functions: Any, house: House, role: str) -> None:
    arn = publish(functions, 1)["LayerVersionArn"]
    given = {
        "FunctionName": "f",
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"ZipFile": package(USES)},
    }
    rights = allow("lambda:CreateFunction", "iam:PassRole")
    ann = house.client("lambda", house.user("ann", rights))
    with refused() as caught:
        ann.create_function(**given, Layers=[arn])
    assert "lambda:GetLayerVersion" in str(caught[0])
    only = allow("lambda:CreateFunction", Condition={"ForAllValues:StringEquals": {"lambda:Layer": arn}})
    ben = house.client("lambda", house.user("ben", allow("iam:PassRole", "lambda:GetLayerVersion"), only))
    ben.create_function(**given, Layers=[arn])
