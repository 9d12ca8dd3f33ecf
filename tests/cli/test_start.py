"""What an operator meets at a start that does not go as planned: in a sentence, and without harm."""

import os
import re
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from geumgo import app
from geumgo.settings import Settings
from tests.server import GEUMGO, Server, clean_environment

CRASHED = 9
STEPS = frozenset({"open", "os.mkdir", "os.link", "os.rename", "os.remove", "os.chmod"})
"""What a first start does to files, as Python's audit hooks tell it."""


def serve(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected not to start."""
    return subprocess.run(
        [*GEUMGO, "serve", "--data", str(data), "--listen", "127.0.0.1:0", *arguments],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=30,
        check=False,
    )


def refused_in_a_sentence(done: subprocess.CompletedProcess[str], *words: str) -> bool:
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(r"geumgo: [^\n]+\.\n", done.stderr), done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    return True


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An initialised data directory."""
    app.initialise(Settings(data=tmp_path / "data"))
    return tmp_path / "data"


def test_a_second_server_on_the_same_directory_is_refused_and_does_no_harm(data: Path):
    with Server(data, arguments=("--workers", "1")) as running:
        before = (data / "admin.config").read_bytes()
        assert refused_in_a_sentence(serve(data), "Another server runs on", str(data))
        init = running.run("init")
        assert refused_in_a_sentence(init, "Another server runs on")
        assert (data / "admin.config").read_bytes() == before
        assert running.client("secretsmanager").list_secrets()["SecretList"] == []
        assert running.run("audit", "verify").returncode == 0


def test_a_lost_keyring_is_never_replaced_by_a_new_one(data: Path):
    (data / "keyring.json").rename(data.parent / "kept")
    assert refused_in_a_sentence(serve(data), "keyring.json", "Bring it back")
    assert not (data / "keyring.json").exists()
    (data.parent / "kept").rename(data / "keyring.json")
    with Server(data, arguments=("--workers", "1")) as running:
        assert running.client("secretsmanager").list_secrets()["SecretList"] == []


def test_a_database_of_other_root_keys_is_refused(data: Path, tmp_path: Path):
    other = tmp_path / "other"
    app.initialise(Settings(data=other))
    shutil.copy(other / "geumgo.db", data / "geumgo.db")
    assert refused_in_a_sentence(serve(data), "do not belong to the root keys", "keyring.json")
    status = subprocess.run(
        [*GEUMGO, "status", "--data", str(data)], capture_output=True, text=True, env=clean_environment(), check=False
    )
    assert refused_in_a_sentence(status, "do not belong to the root keys")


def test_another_machine_is_given_the_keyring_and_names_itself(data: Path):
    """On PostgreSQL the database is shared; here what stands in for that is a copy."""
    another = data.parent / "another"
    another.mkdir(mode=0o700)
    for name in ("keyring.json", "seal.key", "geumgo.db", "admin.credentials"):
        shutil.copy2(data / name, another / name)
    with Server(another, arguments=("--workers", "1")) as running:
        assert running.client("secretsmanager").list_secrets()["SecretList"] == []
        assert re.fullmatch(r"[0-9a-f]{8}", (another / "node").read_text())
        assert (another / "node").read_text() != (data / "node").read_text()
        running.stop()
    (another / "node").unlink()
    assert refused_in_a_sentence(serve(another), "There is a trail in", "node")


def test_a_missing_seal_is_named(data: Path):
    (data / "seal.key").unlink()
    assert refused_in_a_sentence(serve(data), "seal.key is missing")


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    assert refused_in_a_sentence(serve(tmp_path / "file"), "cannot be used", "File exists")


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path):
    limited = ["prlimit", "--fsize=100", *GEUMGO, "init", "--data", str(tmp_path / "data")]
    done = subprocess.run(limited, capture_output=True, text=True, env=clean_environment(), timeout=30, check=False)
    assert refused_in_a_sentence(done, "File too large")


def first_start(settings: Settings, steps: int) -> int:
    """A first start in a process of its own that is killed before its step number `steps`. Answers its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    numbers = count()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in STEPS and str(settings.data) in str(arguments[0]) and next(numbers) == steps:
            os._exit(CRASHED)

    status = 1
    sys.addaudithook(hook)
    try:
        app.initialise(settings)
        status = 0
    finally:
        os._exit(status)


def test_a_first_start_that_is_killed_at_any_step_is_taken_up_by_the_next_one(tmp_path: Path):
    for steps in count():
        settings = Settings(data=tmp_path / str(steps))
        crashed = first_start(settings, steps)
        if not (app.initialised(settings) and app.prepare(settings)):
            app.initialise(settings)
        built = app.build(settings, slot="api-0")
        text = (settings.data / "admin.credentials").read_text()
        identity = re.search(r"aws_access_key_id = (\S+)", text)
        assert identity is not None
        with built.storage.reading() as tx:
            key = built.pipeline._parts.keyring.find(tx, identity[1], None, 0)
        built.close()
        assert key is not None, f"killed before step {steps}: the key in admin.credentials is nobody's"
        assert key.secret.reveal().decode() in text
        if crashed == 0:
            break
        assert crashed == CRASHED
    assert steps > 15
