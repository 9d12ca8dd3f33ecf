"""P9: a stolen disk, backup, log or core shows no secret, in any encoding; nor does what the system tells of the processes.

Looked through are the data directory and PostgreSQL's with its log of changes, while the server runs and after it has stopped, a backup, what
was printed, the environment and the command line of every process, that of a function that runs included, and what a crash leaves.
"""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.functions.zips import package
from tests.promises.tricks import trusts
from tests.server import GEUMGO, Server

CANARIES = int(os.environ.get("CANARIES", "1000"))
MARK = 'cAn/"rY+'  # every planted value contains it, so one search finds any of them; JSON and URLs spell it in another way
PATIENCE: Final = 90.0
_PACKED: Final = re.compile(rb"\x1f\x8b\x08|x[\x01\x5e\x9c\xda]|PK\x03\x04", re.DOTALL)
"""How what is compressed begins: gzip, zlib, an entry of a zip."""
_INFLATED_BYTES: Final = 1 << 20


def spellings(text: str) -> dict[str, bytes]:
    """How `text` would look on a disk, whichever way it had been written."""
    raw = text.encode()
    found = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    found["utf-16"] = text.encode("utf-16-le")
    found["utf-16 be"] = text.encode("utf-16-be")
    found["JSON"] = json.dumps(text)[1:-1].encode()
    found["JSON, / too"] = found["JSON"].replace(b"/", b"\\/")
    found["JSON in JSON"] = json.dumps(json.dumps(text)[1:-1])[1:-1].encode()
    found["URL"] = urllib.parse.quote(text, safe="").encode()
    found["url"] = re.sub(rb"%..", lambda match: match[0].lower(), found["URL"])
    found["path of a URL"] = urllib.parse.quote(text).encode()
    for alphabet, altchars in (("base64", b"+/"), ("base64url", b"-_")):
        for shift in range(3):
            coded = base64.b64encode(b"x" * shift + raw, altchars)
            start = (shift * 8 + 5) // 6
            found[f"{alphabet} +{shift}"] = coded[start : len(coded) - 4]
    return found


SPELLINGS: Final = spellings(MARK)


def hits(blob: bytes, where: str) -> list[str]:
    found = [f"{MARK} as {name} in {where}" for name, needle in SPELLINGS.items() if needle in blob]
    for inside in inflated(blob):
        found += [f"{MARK} as {name}, compressed, in {where}" for name, needle in SPELLINGS.items() if needle in inside]
    return found


def inflated(blob: bytes) -> Iterator[bytes]:
    """The beginning of whatever is compressed in `blob`, at whatever place it begins."""
    for match in _PACKED.finditer(blob):
        start, form = match.start(), 47  # gzip or zlib, whichever it is
        if match[0][:2] == b"PK":
            start += (
                30
                + int.from_bytes(blob[start + 26 : start + 28], "little")
                + int.from_bytes(blob[start + 28 : start + 30], "little")
            )
            form = -15
        with suppress(zlib.error):
            yield zlib.decompressobj(form).decompress(blob[start : start + _INFLATED_BYTES], _INFLATED_BYTES)


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
        "JSON": json.dumps({"a": value}).encode(),
        "JSON in JSON": json.dumps({"a": json.dumps({"b": value})}).encode(),
        "URL": urllib.parse.urlencode({"a": value}).encode(),
        "path": urllib.parse.quote(value).encode(),
        "base64url": base64.urlsafe_b64encode(b"ab" + value.encode()),
        "zlib": zlib.compress(json.dumps(value).encode()),
        "gzip": zlib.compress(value.encode(), wbits=31),
        "zip": package(value),
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
                client.put_secret_value(SecretId=f"canary/{number - 2}", SecretString=json.dumps({"password": value}))
            case _:
                sealed = kms.encrypt(KeyId=key_id, Plaintext=value.encode())["CiphertextBlob"]
                assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == value.encode()
        if number % 5 == 0:
            kind = ("String", "StringList", "SecureString", "SecureString")[number // 5 % 4]
            tier = ("Standard", "Standard", "Standard", "Advanced")[number // 5 % 4]
            ssm.put_parameter(Name=f"/canary/{number}", Value=value, Type=kind, Tier=tier)
        if number % 10 == 0:
            assert MARK in ssm.get_parameter(Name=f"/canary/{number}", WithDecryption=True)["Parameter"]["Value"]
            read = client.get_secret_value(SecretId=f"canary/{number - number % 4}")
            assert "cAn/" in read.get("SecretString", "cAn/")
        if number % 50 == 0:
            for wrong in ({"AllowedPattern": "x"}, {"DataType": "integer"}, {"Name": "not a name"}):
                with pytest.raises(ssm.exceptions.ClientError):
                    ssm.put_parameter(**{"Name": "/wrong", "Value": value, "Type": "String", **wrong})
            with pytest.raises(client.exceptions.ClientError):
                client.create_secret(Name="not a name", SecretString=value)
            with pytest.raises(client.exceptions.ClientError):
                client.put_secret_value(SecretId="nobody/knows", SecretString=value, ClientRequestToken=f"{number:032}")
    backup = backed_up(server)
    while_running = disk(server)
    assert server.stop() == 0
    after = disk(server)
    assert any(name.endswith(".db") or "pg_wal" in name for name in after), sorted(after)
    assert any("audit" in name for name in after)
    problems = [hit for name, blob in {**while_running, **after}.items() for hit in hits(blob, name)]
    problems += hits(server.printed().encode(), "what the server printed") + hits(backup, "the backup")
    assert not problems
    lying_open = [
        name for name, blob in {**after, "the backup": backup}.items() if key["SecretAccessKey"].encode() in blob
    ]
    assert not lying_open, f"an access key's secret lies open in {lying_open}"


def test_the_files_are_for_their_owner_alone(server: Server) -> None:
    server.client("secretsmanager").create_secret(Name="modes", SecretString="x")
    open_to_others = [path for path in server.data.rglob("*") if path.stat().st_mode & 0o077]
    assert not open_to_others
    assert not server.data.stat().st_mode & 0o077


def disk(server: Server) -> dict[str, bytes]:
    """Every file of the data directory, and of PostgreSQL's, its log of changes included."""
    return {str(path): path.read_bytes() for place in server.places for path in place.rglob("*") if path.is_file()}


def backed_up(server: Server) -> bytes:
    """A backup of it, and nothing of what was needed to make it stays in the data directory."""
    key, file = server.data.parent / "recipient", server.data.parent / "backup"
    for arguments in (("--new-recipient", str(key)), (str(file),)):
        done = server.run("backup", *arguments)
        assert done.returncode == 0, done.stderr
        assert hits((done.stdout + done.stderr).encode(), "what the command printed") == []
    return file.read_bytes()


# -- what the system tells of the processes ----------------------------------------------------------------------------

SLOW = """
import os, time, boto3

def handler(event, context):
    boto3.client("secretsmanager").get_secret_value(SecretId="canary")
    print("fetched")
    time.sleep(event["seconds"])
    return {"done": True}
"""


def test_the_environment_and_the_command_line_of_every_process_hold_no_secret_and_no_key(server: Server) -> None:
    """Those of a function and of its sandbox, too: a function has the credentials of its session there, as on Lambda, and nobody else's."""
    _, secret = server.credentials()
    server.client("secretsmanager").create_secret(Name="canary", SecretString=f"1f{MARK}-0042")
    iam = server.client("iam")
    role = iam.create_role(RoleName="f", AssumeRolePolicyDocument=trusts({"Service": "lambda.amazonaws.com"}))["Role"]
    iam.attach_role_policy(RoleName="f", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    functions = server.client("lambda", read_timeout=PATIENCE)
    functions.create_function(
        FunctionName="slow", Role=role["Arn"], Handler="app.handler", Runtime="python3.12", Timeout=60, Code={"ZipFile": package(SLOW)}
    )  # fmt: skip
    before = set(server.members())
    answers: list[Any] = []
    call = threading.Thread(
        target=lambda: answers.append(
            functions.invoke(FunctionName="slow", Payload=b'{"seconds": 6}')["Payload"].read()
        )
    )
    call.start()
    seen: dict[int, str] = {}
    problems: set[str] = set()
    while call.is_alive():
        for pid in server.members():
            told = told_of(pid)
            seen.setdefault(pid, told["cmdline"].replace(b"\0", b" ").decode("utf-8", "replace")[:60])
            for name, blob in told.items():
                problems.update(hits(blob, f"{name} of {seen[pid]}"))
                if secret.encode() in blob or re.search(rb"BEGIN .*PRIVATE KEY", blob):
                    problems.add(f"a key in {name} of {seen[pid]}")
        call.join(0.2)
    assert answers == [b'{"done": true}']
    assert problems == set()
    of_functions = {pid: name for pid, name in seen.items() if pid not in before}
    assert any("bwrap" in name for name in of_functions.values()), of_functions
    assert len(of_functions) > 2, of_functions


def told_of(pid: int) -> dict[str, bytes]:
    found = {}
    for name in ("environ", "cmdline"):
        found[name] = b""
        with suppress(OSError):  # it has ended
            found[name] = Path(f"/proc/{pid}/{name}").read_bytes()
    return found


# -- a crash -----------------------------------------------------------------------------------------------------------

CARELESS = """
from geumgo.edge import supervisor
real = supervisor.prctl
supervisor.harden = lambda: None
supervisor.prctl = lambda option, argument: None if option == supervisor.PR_SET_DUMPABLE else real(option, argument)
from geumgo.cli import main
main()
"""


def crashed(place: Path, program: list[str]) -> list[Path]:
    """What an API process leaves that dies of SIGSEGV where the system would write its memory down."""
    place.mkdir()
    unlimited = f'cd {place} && ulimit -c unlimited && exec "$@"'
    with Server(
        place / "data", arguments=("--workers", "1"), program=["bash", "-c", unlimited, "server", *program]
    ) as server:
        server.client("secretsmanager").create_secret(Name="canary", SecretString=f"1f{MARK}-0042")
        (pid,) = server.answering()
        os.kill(pid, signal.SIGSEGV)
        deadline = time.monotonic() + PATIENCE
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        again = server.client("secretsmanager", retries={"mode": "standard", "total_max_attempts": 5})
        assert again.get_secret_value(SecretId="canary")["SecretString"] == f"1f{MARK}-0042", "it was started again"
        return [path for path in place.iterdir() if path.name != "data"]


@pytest.fixture
def dumps(tmp_path: Path) -> None:
    """The system writes the memory of processes that crash beside them."""
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    place = tmp_path / "control"
    place.mkdir()
    subprocess.run(
        ["bash", "-c", 'ulimit -c unlimited && exec "$@"', "control", sys.executable, "-c", code],
        cwd=place,
        check=False,
    )
    if not list(place.iterdir()):
        pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
        pytest.skip(f"dumps go elsewhere here (kernel.core_pattern is {pattern}): set it to `core`")


@pytest.mark.usefixtures("dumps")
def test_a_process_that_crashes_leaves_no_dump_of_its_memory(tmp_path: Path) -> None:
    assert crashed(tmp_path / "server", GEUMGO) == []


@pytest.mark.usefixtures("dumps")
def test_a_server_that_does_not_forbid_dumps_is_caught(tmp_path: Path) -> None:
    (core,) = crashed(tmp_path / "careless", [sys.executable, "-c", CARELESS])
    assert core.stat().st_size > 1 << 20
    core.unlink()
