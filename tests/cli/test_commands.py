"""Commands as an operator types them, against a server that runs."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import GEUMGO, Server, clean_environment


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("cli") / "data", arguments=("--workers", "1")) as running:
        secrets = running.client("secretsmanager")
        values: dict[str, Any] = {
            "app/prod/db": json.dumps({"DB_USER": "ann", "DB_PASSWORD": "s3cret", "DB_PORT": 5432}),
            "app/prod/api-key": "plain text",
            "app/production": "another application",
            "evil/loader": json.dumps({"LD_PRELOAD": "/tmp/x.so"}),
            "twice/a": json.dumps({"SAME": "1"}),
            "twice/b": json.dumps({"SAME": "2"}),
        }
        for name, value in values.items():
            secrets.create_secret(Name=name, SecretString=value)
        yield running


def geumgo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GEUMGO, *arguments],
        capture_output=True,
        text=True,
        env={**clean_environment(), **environment},
        timeout=60,
        check=False,
    )


def run(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    key, secret = server.credentials()
    return geumgo(
        "run",
        *arguments,
        AWS_ENDPOINT_URL=server.endpoint,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ACCESS_KEY_ID=key,
        AWS_SECRET_ACCESS_KEY=secret,
    )


def variables(server: Server, *arguments: str) -> dict[str, str]:
    done = run(server, *arguments, "--", "env", "-0")
    assert done.returncode == 0, done.stderr
    pairs = [pair.partition("=") for pair in done.stdout.split("\0") if pair]
    return {name: value for name, _, value in pairs if name not in os.environ and not name.startswith("AWS_")}


# -- run ---------------------------------------------------------------------------------------------------------------


def test_a_command_has_the_secrets_under_a_path_and_no_others(server: Server):
    found = variables(server, "--path", "app/prod")
    assert {name: found.get(name) for name in ("DB_USER", "DB_PASSWORD", "DB_PORT", "api_key")} == {
        "DB_USER": "ann",
        "DB_PASSWORD": "s3cret",
        "DB_PORT": "5432",
        "api_key": "plain text",
    }
    assert "another application" not in found.values()


def test_a_path_may_name_one_secret(server: Server):
    assert variables(server, "--path", "app/production")["production"] == "another application"


def test_variables_can_be_prefixed_chosen_and_written_in_capitals(server: Server):
    found = variables(server, "--path", "app/prod", "--prefix", "my_", "--upper", "--only", "MY_API_KEY")
    assert found["MY_API_KEY"] == "plain text"
    assert not any(name.startswith("MY_DB") for name in found)


def test_the_exit_status_of_the_command_is_kept(server: Server):
    assert run(server, "--path", "app/prod", "--", "sh", "-c", "exit 42").returncode == 42


def test_options_of_the_command_are_its_own(server: Server):
    assert run(server, "--path", "app/prod", "--", "echo", "--prefix", "x").stdout == "--prefix x\n"


def test_a_command_that_is_not_there_is_127(server: Server):
    done = run(server, "--path", "app/prod", "--", "no-such-command")
    assert (done.returncode, done.stderr) == (
        127,
        "geumgo: no-such-command cannot be run: No such file or directory.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--path", "evil"), "The secret evil/loader would set LD_PRELOAD, which says what programs run or load."),
        (("--path", "twice"), "both set SAME"),
        (("--path", "nothing/here"), "There is no secret under nothing/here. Nothing was run."),
        (("--path", "app/prod", "--only", "MISSING"), "gives the variable MISSING"),
        (("--path", "app/prod", "--prefix", "1"), "which is no name"),
    ],
)
def test_nothing_is_run_when_the_secrets_do_not_fit(server: Server, arguments: tuple[str, ...], says: str):
    done = run(server, *arguments, "--", "echo", "it ran")
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stdout == ""


def test_a_caller_who_may_not_read_runs_nothing(server: Server):
    iam = server.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    done = geumgo(
        "run", "--path", "app", "--", "echo", "it ran",
        AWS_ENDPOINT_URL=server.endpoint, AWS_DEFAULT_REGION="us-east-1",
        AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"],
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "ListSecrets was refused: AccessDeniedException" in done.stderr


def test_a_server_that_is_not_there_is_said(server: Server):
    done = geumgo(
        "run", "--path", "a", "--", "echo",
        AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="AKIAA", AWS_SECRET_ACCESS_KEY="s",
    )  # fmt: skip
    assert done.returncode == 1
    assert "http://127.0.0.1:1 does not answer" in done.stderr


# -- what an operator looks at -----------------------------------------------------------------------------------------


def test_status_is_one_screen_and_for_machines_json(server: Server):
    done = server.run("status")
    assert done.returncode == 0
    assert "SQLite" in done.stdout
    found = json.loads(server.run("status", "--json").stdout)
    assert found["problems"] == []
    assert len(found["accounts"]) == 1


def test_doctor_finds_a_healthy_server_ready(server: Server):
    environment = {"GEUMGO_LISTEN": server.endpoint.removeprefix("http://")}
    done = geumgo("doctor", "--data", str(server.data), "--json", **environment)
    found = {each["what"]: each["level"] for each in json.loads(done.stdout)}
    assert done.returncode == 0
    assert (found["server"], found["database"], found["root key"]) == ("ok", "ok", "ok")


def test_doctor_says_what_is_wrong(tmp_path: Path):
    data = tmp_path / "data"
    assert geumgo("init", "--data", str(data)).returncode == 0
    data.chmod(0o755)
    done = geumgo("doctor", "--data", str(data), GEUMGO_LISTEN="0.0.0.0:1")
    assert done.returncode == 1
    assert "is open to others (mode 0755)" in done.stdout
    assert f"-> chmod 700 {data}" in done.stdout
    assert "secrets travel in the clear" in done.stdout


def test_the_trail_is_verified_shown_and_exported(server: Server):
    assert server.run("audit", "verify").returncode == 0
    shown = [json.loads(line) for line in server.run("audit", "tail", "-n", "3").stdout.splitlines()]
    assert len(shown) == 3
    everything = [json.loads(line) for line in server.run("audit", "export").stdout.splitlines()]
    created = [each for each in everything if each["eventName"] == "CreateSecret"]
    assert len(created) == 6
    assert "s3cret" not in json.dumps(everything)
    assert server.run("audit", "export", "--since", "2999-01-01").stdout == ""


def test_a_second_account_is_made_once(server: Server):
    done = server.run("account", "create", "--json", "210987654321")
    found = json.loads(done.stdout)
    assert found["Account"] == "210987654321"
    identity = server.client("sts", key=(found["AccessKeyId"], found["SecretAccessKey"])).get_caller_identity()
    assert identity["Account"] == "210987654321"
    again = server.run("account", "create", "210987654321")
    assert (again.returncode, "there already" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    "command", [("status",), ("audit", "verify"), ("audit", "tail"), ("account", "create", "1" * 12)]
)
def test_a_directory_that_is_not_ours_is_said_and_left_alone(tmp_path: Path, command: tuple[str, ...]):
    done = geumgo(*command, "--data", str(tmp_path))
    assert done.returncode == 1
    assert f"There is nothing of Geumgo in {tmp_path}" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- init and serve ----------------------------------------------------------------------------------------------------


def test_init_makes_a_private_directory_and_prints_the_key_once(tmp_path: Path):
    data = tmp_path / "data"
    done = geumgo("init", "--data", str(data), "--account", "123456789012")
    assert done.returncode == 0
    assert "Account 123456789012" in done.stdout
    assert "export AWS_SECRET_ACCESS_KEY=" in done.stdout
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "admin.credentials").stat().st_mode) == 0o600
    again = geumgo("init", "--data", str(data))
    assert (again.returncode, again.stdout) == (1, "")
    assert "is initialised already; nothing was changed" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (("--listen", "nowhere"), {}, "The setting 'listen' is 'nowhere'"),
        (("--dev", "--data", "x"), {}, "leave out --data"),
        (("--dev",), {"GEUMGO_WORKER": "2"}, "Did you mean workers?"),
        (("--region", "mars"), {}, "is not a region"),
        (("--account", "1"), {}, "No such option"),
    ],
)
def test_serve_says_what_it_cannot_use(arguments: tuple[str, ...], environment: dict[str, str], says: str):
    done = geumgo("serve", *arguments, **environment)
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_and_nothing_is_made(server: Server, tmp_path: Path):
    data = tmp_path / "data"
    done = geumgo("serve", "--data", str(data), "--listen", server.endpoint.removeprefix("http://"))
    assert done.returncode == 1
    assert "Address already in use. End what listens there" in done.stderr
    assert not data.exists()


def test_later_starts_say_which_files_to_use(tmp_path: Path):
    data = tmp_path / "data"
    server = Server(data, arguments=("--workers", "1"))
    with server:
        assert f"AWS_SECRET_ACCESS_KEY={server.credentials()[1]}" in server.printed()
        assert server.stop() == 0
        server.start()
        assert (
            f"export AWS_SHARED_CREDENTIALS_FILE={data}/admin.credentials AWS_CONFIG_FILE={data}/admin.config"
            in server.printed()
        )
        assert server.credentials()[1] not in server.printed()
        assert f"endpoint_url = {server.endpoint}" in (data / "admin.config").read_text()
        assert server.stop() == 0


def test_dev_leaves_nothing_behind(tmp_path: Path):
    command = [*GEUMGO, "serve", "--dev", "--listen", "127.0.0.1:0", "--workers", "1"]
    environment = {**clean_environment(), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said: list[str] = []
        while not (said and said[-1].startswith("ready: http://127.0.0.1:")):
            said.append(process.stdout.readline())
            assert said[-1], "it ended before it was ready"
        assert "gone when this server stops" in said[0]
        assert list(tmp_path.iterdir()) != []
        process.terminate()
        assert process.wait(20) == 0
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_where_they_were_asked_for(tmp_path: Path):
    done = geumgo("serve", "--help")
    assert "--metrics" in done.stdout


def test_the_version_says_whether_the_hot_path_is_compiled() -> None:
    assert geumgo("--version").stdout.endswith(", interpreted\n")
