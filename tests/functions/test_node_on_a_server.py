"""Functions in Node.js on a real server: as their role, with AWS's SDK or without, and as rotation functions."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functions.node import RUNTIME, needs_node, node_package
from tests.functions.test_on_a_server import make
from tests.server import Server

pytestmark = needs_node
HERE = Path(__file__).parent
SDK = "@aws-sdk/client-secrets-manager"
SDK_VERSION = "3.957.0"  # one that runs on Node.js 18, Debian's
STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]
PATIENCE_SECONDS = 120.0
MAY_ROTATE = {
    "Effect": "Allow",
    "Action": [
        f"secretsmanager:{each}"
        for each in ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage", "GetRandomPassword")
    ],
    "Resource": "*",
}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", arguments=("--workers", "1")) as made:
        yield made


def test_a_secret_is_rotated(server: Server) -> None:
    """All the way: RotateSecret, four invocations as the function's role, the labels."""
    code = node_package(
        (HERE / "rotate.mjs").read_text(), "app.mjs", **{"signed.mjs": (HERE / "signed.mjs").read_text()}
    )
    functions = make(server, "", MAY_ROTATE, Runtime=RUNTIME, Code={"ZipFile": code}, MemorySize=256)
    functions.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com"
    )
    client = server.client("secretsmanager")
    client.create_secret(Name="app", SecretString='{"password":"first"}')
    arn = functions.get_function_configuration(FunctionName="f")["FunctionArn"]
    token = client.rotate_secret(SecretId="app", RotationLambdaARN=arn)["VersionId"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while client.describe_secret(SecretId="app")["VersionIdsToStages"].get(token) != ["AWSCURRENT"]:
        assert time.monotonic() < deadline, server.run("rotation", "status", "app").stdout
        time.sleep(0.05)
    password = json.loads(client.get_secret_value(SecretId="app")["SecretString"])["password"]
    assert len(password) == 40
    log = next((server.data / "functions").rglob("f.log")).read_text()
    assert [line.rpartition("step ")[2] for line in log.splitlines() if "INFO\tstep " in line] == STEPS
    assert "INFO\tmade ***\n" in log
    assert password not in log


def test_a_function_may_what_its_role_may(server: Server) -> None:
    code = """
import { call } from "./signed.mjs";
export const handler = async (event) => {
    const { SecretString } = await call("GetSecretValue", { SecretId: "db" });
    console.log({ SecretString });
    return [SecretString, await call("ListSecrets", {}).catch((refusal) => refusal.name)];
};
"""
    packed = node_package(code, "app.mjs", **{"signed.mjs": (HERE / "signed.mjs").read_text()})
    may = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    functions = make(server, "", may, Runtime=RUNTIME, Code={"ZipFile": packed})
    server.client("secretsmanager").create_secret(Name="db", SecretString="node-canary")
    got = functions.invoke(FunctionName="f", LogType="Tail")
    log = base64.b64decode(got["LogResult"]).decode()
    assert json.loads(got["Payload"].read()) == ["node-canary", "AccessDeniedException"], log
    assert "{ SecretString: '***' }" in log


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """AWS's SDK as npm installs it: the content of each file of code, by its path in a package."""
    place = tmp_path_factory.mktemp("sdk")
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(place), f"{SDK}@{SDK_VERSION}"],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted((place / "node_modules").rglob("*"))
        if path.is_file() and path.suffix in (".js", ".mjs", ".cjs", ".json") and ".bin" not in path.parts
    }


@pytest.mark.parametrize("where", ["package", "layer"])
@pytest.mark.parametrize("name", ["app.js", "app.mjs"])
def test_aws_own_sdk_works(server: Server, modules: dict[str, bytes], where: str, name: str) -> None:
    """Found in the package and in a layer, by require and by import."""
    names = "{ SecretsManagerClient, GetSecretValueCommand }"
    loads = f"import {names} from '{SDK}'; export" if name == "app.mjs" else f"const {names} = require('{SDK}');"
    code = f"""
{loads} const handler = async () => {{
    const client = new SecretsManagerClient({{}});
    const found = await client.send(new GetSecretValueCommand({{ SecretId: "db" }}));
    console.log(found);
    return found.SecretString;
}};
{"" if name == "app.mjs" else "exports.handler = handler;"}
"""
    may = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    given: dict[str, Any]
    if where == "package":
        given = {"Code": {"ZipFile": node_package(code, name, **modules)}}
    else:
        content = node_package("", "unused", **{f"nodejs/{path}": text for path, text in modules.items()})
        layer = server.client("lambda").publish_layer_version(LayerName="sdk", Content={"ZipFile": content})
        given = {"Code": {"ZipFile": node_package(code, name)}, "Layers": [layer["LayerVersionArn"]]}
    functions = make(server, "", may, Runtime=RUNTIME, MemorySize=256, **given)
    server.client("secretsmanager").create_secret(Name="db", SecretString="sdk-canary")
    got = functions.invoke(FunctionName="f", LogType="Tail")
    log = base64.b64decode(got["LogResult"]).decode()
    assert got["Payload"].read() == b'"sdk-canary"', log
    assert "SecretString: '***'" in log
