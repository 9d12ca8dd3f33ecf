"""Migrations: in order, once, whatever is killed and whoever else starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from geumgo.storage import Storage, StorageError
from geumgo.storage.migrate import applied, migrate, migrations_of
from tests.storage.processes import open_again

FIRST = "CREATE TABLE a (id BIGINT PRIMARY KEY);\n"
SECOND = (
    "-- why\nCREATE TABLE b (id BIGINT PRIMARY KEY, name TEXT); -- trailing\n\nINSERT INTO b VALUES (1, 'x;\ny');\n"
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package `room_tables` with two migrations."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "room_tables", raising=False)
    directory = tmp_path / "room_tables"
    directory.mkdir()
    (directory / "__init__.py").write_text("")
    (directory / "0001_first.sql").write_text(FIRST)
    (directory / "0002_second.sql").write_text(SECOND)
    return directory


ROOMS = [("room", "room_tables")]


def test_files_are_applied_in_order_and_once(storage: Storage, package: Path) -> None:
    assert migrate(storage, ROOMS) == ["room/0001_first", "room/0002_second"]
    assert migrate(storage, ROOMS) == []
    with storage.reading() as tx:
        assert tx.all("SELECT id, name FROM b") == [(1, "x;\ny")]
        assert sorted(applied(tx, "room")) == [1, 2]


def test_a_new_file_is_applied_at_the_next_start(storage: Storage, package: Path) -> None:
    migrate(storage, ROOMS)
    (package / "0003_third.sql").write_text("ALTER TABLE b ADD COLUMN n BIGINT NOT NULL DEFAULT 7;")
    assert migrate(storage, ROOMS) == ["room/0003_third"]
    with storage.reading() as tx:
        assert tx.all("SELECT n FROM b") == [(7,)]


def test_a_file_that_fails_leaves_nothing_and_is_applied_when_it_is_mended(storage: Storage, package: Path) -> None:
    (package / "0002_second.sql").write_text(
        "CREATE TABLE b (id BIGINT);\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (NULL);\n"
    )
    with pytest.raises(StorageError):
        migrate(storage, ROOMS)
    with storage.reading() as tx:
        assert tx.all("SELECT id FROM a") == []
    (package / "0002_second.sql").write_text(SECOND)
    assert migrate(storage, ROOMS) == ["room/0002_second"]


def test_a_changed_file_is_refused(storage: Storage, package: Path) -> None:
    migrate(storage, ROOMS)
    (package / "0001_first.sql").write_text(FIRST + "-- changed\n")
    with pytest.raises(StorageError, match=r"room/0001_first was changed after it had been applied"):
        migrate(storage, ROOMS)


def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(storage: Storage, package: Path) -> None:
    migrate(storage, ROOMS)
    (package / "0002_second.sql").unlink()
    with pytest.raises(StorageError, match=r"newer program: it has the migration room/0002_second"):
        migrate(storage, ROOMS)


def test_a_gap_in_the_numbers_is_refused(package: Path) -> None:
    (package / "0004_late.sql").write_text(FIRST)
    with pytest.raises(ValueError, match="not numbered"):
        migrations_of("room", "room_tables")


def test_a_file_with_another_name_is_refused(package: Path) -> None:
    (package / "3_late.sql").write_text(FIRST)
    with pytest.raises(ValueError, match="is not called like"):
        migrations_of("room", "room_tables")


@pytest.mark.parametrize("text", ["CREATE TABLE a (id BIGINT)", "SELECT 'open;\n", 'SELECT "open;\n'])
def test_a_statement_left_open_is_refused(package: Path, text: str) -> None:
    (package / "0001_first.sql").write_text(text)
    with pytest.raises(ValueError, match="not closed"):
        migrations_of("room", "room_tables")


MIGRATES = """
import sys
from geumgo.storage.migrate import migrate
from tests.storage.processes import storage_at
print(len(migrate(storage_at(sys.argv[1]), [("room", "room_tables")])))
"""


def test_processes_that_start_at_once_apply_each_file_once(storage: Storage, package: Path) -> None:
    command = [sys.executable, "-c", MIGRATES, open_again(storage)]
    environment = {"PYTHONPATH": f"{package.parent}:{Path.cwd()}"}
    starts = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(4)]
    answers = [start.communicate()[0] for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0, 0]
    assert sum(int(answer) for answer in answers) == 2


KILLED = """
import os, sys
from geumgo.storage.migrate import migrate
from geumgo.storage.transaction import Engine, OpenTx
from tests.storage.processes import storage_at
storage = storage_at(sys.argv[1])
left = int(sys.argv[2])
execute, commit = type(storage).execute, type(storage).commit
def count(done):
    def step(*arguments):
        global left
        if left == 0:
            os.kill(os.getpid(), 9)
        left -= 1
        return done(*arguments)
    return step
type(storage).execute, type(storage).commit = count(execute), count(commit)
migrate(storage, [("room", "room_tables")])
"""


def test_killed_between_any_two_statements_the_next_start_completes(storage: Storage, package: Path) -> None:
    environment = {"PYTHONPATH": f"{package.parent}:{Path.cwd()}"}
    kills = 0
    for steps in range(40):
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, open_again(storage), str(steps)], env=environment, check=False
        )
        if ended.returncode == 0:
            break
        assert ended.returncode == -9
        kills += 1
    assert kills > 5
    assert migrate(storage, ROOMS) == []
    with storage.reading() as tx:
        assert tx.all("SELECT id, name FROM b") == [(1, "x;\ny")]
