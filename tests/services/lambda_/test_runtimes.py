"""Which runtimes are served: what the machine has decides."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from geumgo.functions.runtimes import find_node
from tests.clock import TurnedClock
from tests.functions.node import RUNTIME, needs_node, node_package
from tests.functions.zips import ECHO, package
from tests.house import House, turn_botocore
from tests.promises.tricks import refused
from tests.services.lambda_.conftest import TRUST
from tests.services.lambda_.test_invoke import answered


@needs_node
def test_a_function_in_node_answers_with_its_log(make: Any, functions: Any, house: House) -> None:
    code = node_package("exports.handler = async (event) => { console.log('on'); return event; };")
    made = make(Runtime=RUNTIME, Code={"ZipFile": code})
    assert (made["Runtime"], made["State"]) == (RUNTIME, "Active")
    got = functions.invoke(FunctionName="echo", Payload='{"a":"é"}')
    assert answered(got) == {"a": "é"}
    assert [each["eventName"] for each in house.trail()].count("Invoke") == 1


@needs_node
def test_a_function_changes_its_language(make: Any, functions: Any) -> None:
    make(Code={"ZipFile": package(ECHO, **{"app.js": "exports.handler = async () => process.version;"})})
    assert answered(functions.invoke(FunctionName="echo")) == {}
    functions.update_function_configuration(FunctionName="echo", Runtime=RUNTIME)
    assert answered(functions.invoke(FunctionName="echo")).startswith("v")


@pytest.fixture
def without_node(tmp_path: Path, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    turn_botocore(monkeypatch, clock)
    with closing(House.build(tmp_path, clock, function_node=str(tmp_path / "gone"))) as made:
        yield made


def test_without_node_its_runtimes_are_refused(without_node: House) -> None:
    functions = without_node.client("lambda")
    role = without_node.client("iam").create_role(RoleName="runs", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    given = {"FunctionName": "f", "Role": role, "Handler": "app.handler", "Code": {"ZipFile": package(ECHO)}}
    functions.create_function(Runtime="python3.12", **given)
    with refused("InvalidParameterValueException") as caught:
        functions.create_function(Runtime="nodejs20.x", **{**given, "FunctionName": "g"})
    said = str(caught[0])
    assert (
        "Value nodejs20.x at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [python3.6, "
        in said
    )
    assert "] or be a valid ARN. Functions in Node.js need Node.js" in said
    with refused("InvalidParameterValueException"):
        functions.update_function_configuration(FunctionName="f", Runtime="nodejs20.x")
    assert answered(functions.invoke(FunctionName="f")) == {}


@needs_node
def test_a_function_whose_node_has_gone_is_refused_when_it_is_invoked(
    tmp_path: Path, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn_botocore(monkeypatch, clock)
    node = tmp_path / "node"
    node.symlink_to("/bin/false")
    with closing(House.build(tmp_path, clock, function_node=str(node))) as house:
        functions = house.client("lambda")
        role = house.client("iam").create_role(RoleName="runs", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        code = {"ZipFile": node_package("exports.handler = async () => 1;")}
        given = {"FunctionName": "f", "Role": role, "Handler": "app.handler", "Code": code, "Runtime": RUNTIME}
        with refused("InvalidParameterValueException"):
            functions.create_function(**given)
        node.unlink()
        node.symlink_to(find_node().path)
        functions.create_function(**given)
        assert answered(functions.invoke(FunctionName="f")) == 1
        node.unlink()
        with pytest.raises(functions.exceptions.ServiceException, match="Node"):
            functions.invoke(FunctionName="f")
