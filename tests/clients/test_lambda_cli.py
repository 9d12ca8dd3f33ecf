"""Lambda as people use it: the real AWS CLI and a real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_iam_cli import Cli
from tests.functions.zips import package
from tests.server import Server
from tests.services.lambda_.conftest import TRUST


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with Server(tmp_path_factory.mktemp("lambda-cli") / "data", arguments=("--workers", "1")) as running:
        yield Cli(running, *running.credentials())


def said(aws: Cli, *command: str) -> Any:
    got = aws.run(*command)
    assert got.returncode == 0, got.stderr
    return json.loads(got.stdout) if got.stdout.strip() else None


def test_a_function_is_made_invoked_updated_and_deleted(aws: Cli, tmp_path: Path) -> None:
    code, layer, out = tmp_path / "code.zip", tmp_path / "layer.zip", tmp_path / "out.json"
    code.write_bytes(
        package(
            "import shared\ndef handler(event, context):\n    print('working')\n    return [shared.greeting, event]\n"
        )
    )
    layer.write_bytes(package(**{"python/shared.py": "greeting = 'hello'\n"}))
    role = said(aws, "iam", "create-role", "--role-name", "runs", "--assume-role-policy-document", TRUST)["Role"]["Arn"]
    published = said(
        aws, "lambda", "publish-layer-version", "--layer-name", "shared", "--zip-file", f"fileb://{layer}", "--compatible-runtimes", "python3.12",
    )["LayerVersionArn"]  # fmt: skip
    said(
        aws, "lambda", "create-function", "--function-name", "greets", "--runtime", "python3.12", "--handler", "app.handler", "--role", role,
        "--zip-file", f"fileb://{code}", "--layers", published, "--timeout", "10", "--publish",
    )  # fmt: skip
    said(aws, "lambda", "wait", "function-active-v2", "--function-name", "greets")
    invoke = ("lambda", "invoke", "--function-name", "greets", "--payload", '{"a":1}', str(out))
    got = said(aws, *invoke, "--log-type", "Tail", "--query", "{status:StatusCode,version:ExecutedVersion}")
    assert got == {"status": 200, "version": "$LATEST"}
    assert json.loads(out.read_text()) == ["hello", {"a": 1}]
    code.write_bytes(package("def handler(event, context):\n    raise ValueError('no')\n"))
    said(aws, "lambda", "update-function-code", "--function-name", "greets", "--zip-file", f"fileb://{code}")
    said(aws, "lambda", "wait", "function-updated-v2", "--function-name", "greets")
    assert said(aws, *invoke)["FunctionError"] == "Unhandled"
    assert said(aws, *invoke, "--qualifier", "1")["ExecutedVersion"] == "1"
    said(aws, "lambda", "delete-function", "--function-name", "greets")
    gone = aws.run("lambda", "get-function", "--function-name", "greets")
    assert "ResourceNotFoundException" in gone.stderr
