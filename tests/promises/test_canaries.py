"""P9: a stolen disk shows no secret, in any encoding: not in the database, its WAL, the trail, the key files or the logs."""

import base64
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server import Server

CANARIES = 1_000
MARK = "cAnArY"  # every planted value contains it, so one search finds any of them


def spellings(text: str) -> dict[str, bytes]:
    """How `text` would look on a disk, whichever way it had been written."""
    raw = text.encode()
    found = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    found["utf-16"] = text.encode("utf-16-le")
    found["utf-16 be"] = text.encode("utf-16-be")
    for shift in range(3):
        coded = base64.b64encode(b"x" * shift + raw)
        start = (shift * 8 + 5) // 6
        found[f"base64 +{shift}"] = coded[start : len(coded) - 4]
    return found


def hits(blob: bytes, where: str) -> list[str]:
    return [f"{MARK} as {name} in {where}" for name, needle in spellings(MARK).items() if needle in blob]


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with ExitStack() as stack:
        environment = {}
        places = []
        if request.param == "postgres":
            database = request.getfixturevalue("postgres_server")
            environment["GEUMGO_DATABASE"] = stack.enter_context(database.database())
            places.append(database.data)
        running = stack.enter_context(Server(tmp_path / "data", arguments=("--workers", "1"), environment=environment))
        running.places = [running.data, *places]
        yield running


def test_the_search_finds_a_value_that_lies_open(tmp_path: Path) -> None:
    value = f"1f{MARK}-0042"
    for name, blob in {
        "raw": value.encode(),
        "base64": base64.b64encode(value.encode()),
        "base64, one in": base64.b64encode(b"a" + value.encode()),
        "base64, two in": base64.b64encode(b"ab" + value.encode()),
        "hex": value.encode().hex().encode(),
        "utf-16": value.encode("utf-16-le"),
    }.items():
        assert hits(b"..." + blob + b"...", name), name


def test_a_thousand_values_leave_no_trace_on_the_disk(server: Server) -> None:
    client = server.client("secretsmanager")
    kms = server.client("kms")
    iam, ssm = server.client("iam"), server.client("ssm")
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    iam.create_user(UserName="canary")
    key = iam.create_access_key(UserName="canary")["AccessKey"]
    for number in range(CANARIES):
        value = f"{number:04x}{MARK}-{number * 7919}"
        match number % 4:
            case 0:
                client.create_secret(Name=f"canary/{number}", SecretString=value)
            case 1:
                client.create_secret(Name=f"canary/{number}", SecretBinary=value.encode("utf-16-le") + value.encode())
            case 2:
                client.put_secret_value(SecretId=f"canary/{number - 2}", SecretString=f'{{"password": "{value}"}}')
            case _:
                sealed = kms.encrypt(KeyId=key_id, Plaintext=value.encode())["CiphertextBlob"]
                assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == value.encode()
        if number % 5 == 0:
            kind = ("String", "StringList", "SecureString", "SecureString")[number // 5 % 4]
            tier = ("Standard", "Standard", "Standard", "Advanced")[number // 5 % 4]
            ssm.put_parameter(Name=f"/canary/{number}", Value=value, Type=kind, Tier=tier)
        if number % 10 == 0:
            assert MARK in ssm.get_parameter(Name=f"/canary/{number}", WithDecryption=True)["Parameter"]["Value"]
            assert MARK in client.get_secret_value(SecretId=f"canary/{number - number % 4}").get("SecretString", MARK)
        if number % 50 == 0:
            for wrong in ({"AllowedPattern": "x"}, {"DataType": "integer"}, {"Name": "not a name"}):
                with pytest.raises(ssm.exceptions.ClientError):
                    ssm.put_parameter(**{"Name": "/wrong", "Value": value, "Type": "String", **wrong})
            with pytest.raises(client.exceptions.ClientError):
                client.create_secret(Name="not a name", SecretString=value)
            with pytest.raises(client.exceptions.ClientError):
                client.put_secret_value(
                    SecretId="nobody/knows", SecretString=value, ClientRequestToken=f"{MARK:x<32}"[:32].lower()
                )
    while_running = disk(server)
    assert server.stop() == 0
    after = disk(server)
    assert any(name.endswith(".db") or "pg_wal" in name for name in after), sorted(after)
    assert any("audit" in name for name in after)
    problems = [hit for name, blob in {**while_running, **after}.items() for hit in hits(blob, name)]
    problems += hits(server.printed().encode(), "what the server printed")
    assert not problems
    lying_open = [name for name, blob in after.items() if key["SecretAccessKey"].encode() in blob]
    assert not lying_open, f"an access key's secret lies open in {lying_open}"


def test_the_files_are_for_their_owner_alone(server: Server) -> None:
    server.client("secretsmanager").create_secret(Name="modes", SecretString="x")
    open_to_others = [path for path in server.data.rglob("*") if path.stat().st_mode & 0o077]
    assert not open_to_others
    assert not server.data.stat().st_mode & 0o077


def disk(server: Server) -> dict[str, bytes]:
    """Every file of the data directory, and of PostgreSQL's, its log of changes included."""
    return {str(path): path.read_bytes() for place in server.places for path in place.rglob("*") if path.is_file()}


def test_the_environment_and_the_command_line_of_the_processes_hold_no_key(server: Server) -> None:
    _, secret = server.credentials()
    for pid in server.members():
        for name in ("environ", "cmdline"):
            blob = Path(f"/proc/{pid}/{name}").read_bytes()
            assert secret.encode() not in blob
            assert not re.search(rb"BEGIN .*PRIVATE KEY", blob)
