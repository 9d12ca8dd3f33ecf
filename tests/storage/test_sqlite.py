"""What is particular to SQLite: settings, files, and a disk that fails."""

import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from geumgo.storage import Broken, Conflict, Full, StorageError
from geumgo.storage.sqlite import CHECKPOINT_PAGES, Patience, SqliteStorage, open_sqlite, refuse_affected_library
from tests.storage.failing_disk import FailingDisk, failing_disk
from tests.storage.processes import is_locked_elsewhere, open_again, other_process, storage_at


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    with failing_disk() as disk:
        yield disk


@pytest.fixture
def table(disk: FailingDisk, tmp_path: Path) -> Iterator[SqliteStorage]:
    """A storage on a disk that can fail, with the table `t` and one row, 1, in it."""
    storage = open_sqlite(tmp_path / "geumgo.db")
    with storage.writing() as tx:
        tx.run("CREATE TABLE t (id BIGINT PRIMARY KEY, bytes BYTEA)")
        tx.run("INSERT INTO t (id) VALUES (1)")
    yield storage
    disk.fails.clear()
    storage.close()


def insert(storage: SqliteStorage, number: int, size: int = 0) -> None:
    with storage.writing() as tx:
        tx.run("INSERT INTO t (id, bytes) VALUES (:number, :bytes)", number=number, bytes=bytes(size))


def ids(storage: SqliteStorage) -> list[int]:
    with storage.reading() as tx:
        return [id_ for (id_,) in tx.all("SELECT id FROM t ORDER BY id")]


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.44.5", "3.45.0", "3.49.2", "3.50.6", "3.51.2"])
def test_a_library_that_can_lose_writes_is_refused(version: str) -> None:
    with pytest.raises(
        StorageError, match=re.escape(f"SQLite {version} is loaded, which can lose acknowledged writes")
    ):
        refuse_affected_library(version)


@pytest.mark.parametrize("version", ["3.44.6", "3.44.9", "3.50.7", "3.51.3", "3.52.0", "3.54.1", "4.0.0"])
def test_a_mended_library_is_taken(version: str) -> None:
    refuse_affected_library(version)


def test_the_library_that_is_installed_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.40.1")
    with pytest.raises(StorageError, match="WAL-reset"):
        open_sqlite(tmp_path / "geumgo.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1), ("trusted_schema", 0)],
)
def test_the_settings_that_promises_hang_on_are_taken(sqlite_storage: SqliteStorage, name: str, value: object) -> None:
    assert sqlite_storage._connection.pragma(name) == value


def test_a_setting_that_is_not_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in memory has no write-ahead log: SQLite keeps its own journal mode and says nothing."""
    connect = apsw.Connection
    monkeypatch.setattr(apsw, "Connection", lambda _path, **_options: connect(":memory:"))
    with pytest.raises(StorageError, match="did not take the setting journal_mode=wal"):
        open_sqlite(tmp_path / "geumgo.db")


def test_a_switch_to_the_log_that_fails_on_the_disk_is_refused(disk: FailingDisk, tmp_path: Path) -> None:
    disk.fails["db sync"] = apsw.IOError
    with pytest.raises(StorageError):
        open_sqlite(tmp_path / "geumgo.db")


def test_all_files_are_there_at_once_and_their_owners_alone(sqlite_storage: SqliteStorage) -> None:
    files = sorted(sqlite_storage.path.parent.iterdir())
    assert [file.name for file in files] == ["geumgo.db", "geumgo.db-shm", "geumgo.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_sqlite(tmp_path / "geumgo.db").close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "geumgo.db").stat().st_mode) == 0o600


def test_a_file_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "geumgo.db"
    open_sqlite(path).close()
    path.chmod(0o644)
    open_sqlite(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_log_stays_when_the_last_storage_is_closed(tmp_path: Path) -> None:
    open_sqlite(tmp_path / "geumgo.db").close()
    assert (tmp_path / "geumgo.db-wal").exists()


def test_the_directory_is_synced_after_the_files_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, synced = os.fsync, []

    def note(descriptor: int) -> None:
        synced.append(
            (Path(f"/proc/self/fd/{descriptor}").readlink(), sorted(path.name for path in tmp_path.iterdir()))
        )
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    open_sqlite(tmp_path / "geumgo.db").close()
    assert synced == [(tmp_path, ["geumgo.db", "geumgo.db-shm", "geumgo.db-wal"])]


def test_a_directory_that_cannot_be_synced_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="cannot be opened: Input/output error"):
        open_sqlite(tmp_path / "geumgo.db")


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to look at" * 100, b"SQLite format 3\0" + bytes(4080)]
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "geumgo.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="cannot be opened"):
        open_sqlite(path)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "geumgo.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(StorageError, match="symbolic link"):
        open_sqlite(tmp_path / "geumgo.db")


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file or directory"):
        open_sqlite(tmp_path / "nowhere" / "geumgo.db")


def test_a_second_storage_of_this_process_leaves_the_locks_of_the_first(sqlite_storage: SqliteStorage) -> None:
    with sqlite_storage.writing() as tx:
        tx.run("CREATE TABLE t (id BIGINT PRIMARY KEY)")
        open_sqlite(sqlite_storage.path).close()
        assert is_locked_elsewhere(sqlite_storage)
    assert not is_locked_elsewhere(sqlite_storage)


def test_a_storage_is_not_carried_over_a_fork(sqlite_storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(AssertionError, match="never carried over"), sqlite_storage.reading():
        pass


def test_the_file_control_that_looks_like_a_mark_misses_other_processes(sqlite_storage: SqliteStorage) -> None:
    """Why `mark` asks the PRAGMA, which costs more."""
    with sqlite_storage.writing() as tx:
        tx.run("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    connection = sqlite_storage._connection
    pragma, control = connection.pragma("data_version"), connection.data_version()
    with other_process(sqlite_storage) as other:
        other.commit("INSERT INTO t (id) VALUES (1)")
        assert connection.data_version() == control
        assert connection.pragma("data_version") != pragma


def test_a_write_is_synced_to_the_disk_when_its_block_is_left(table: SqliteStorage, disk: FailingDisk) -> None:
    for number in range(2, 5):
        disk.deeds.clear()
        insert(table, number)
        assert "-wal write" in disk.deeds
        assert disk.deeds[-1] == "-wal sync"


@pytest.mark.parametrize("fault", ["-wal write", "-wal sync"])
def test_after_a_write_that_failed_on_the_disk_nothing_is_acknowledged(
    table: SqliteStorage, disk: FailingDisk, fault: str
) -> None:
    disk.fails[fault] = apsw.IOError
    with pytest.raises(Broken):
        insert(table, 2)
    disk.fails.clear()
    with pytest.raises(Broken):
        insert(table, 3)
    with pytest.raises(Broken):
        ids(table)
    with pytest.raises(Broken):
        table.mark()
    again = open_sqlite(table.path)
    assert ids(again) in ([1], [1, 2])
    again.close()


def test_after_a_checkpoint_that_failed_on_the_disk_nothing_is_acknowledged(
    table: SqliteStorage, disk: FailingDisk
) -> None:
    """SQLite itself hides the errors of its automatic checkpoint."""
    disk.fails["db sync"] = apsw.IOError
    with pytest.raises(Broken):
        insert(table, 2, size=CHECKPOINT_PAGES * 4096)
    disk.fails.clear()
    with pytest.raises(Broken):
        ids(table)
    again = open_sqlite(table.path)
    assert ids(again) == [1, 2]
    again.close()


def test_a_read_that_fails_on_the_disk_breaks_the_storage(table: SqliteStorage, disk: FailingDisk) -> None:
    again = open_sqlite(table.path)  # has read nothing yet
    disk.fails["-wal read"] = disk.fails["db read"] = apsw.IOError
    with pytest.raises(Broken):
        ids(again)
    disk.fails.clear()
    with pytest.raises(Broken):
        ids(again)
    again.close()


def test_a_full_disk_refuses_the_write_and_nothing_else(table: SqliteStorage, disk: FailingDisk) -> None:
    disk.fails["-wal write"] = apsw.FullError
    with pytest.raises(Full):
        insert(table, 2)
    assert ids(table) == [1]
    with pytest.raises(Full):
        insert(table, 2)
    disk.fails.clear()
    insert(table, 2)
    assert ids(table) == [1, 2]


def test_a_full_disk_at_a_checkpoint_leaves_the_commit_in_the_log(table: SqliteStorage, disk: FailingDisk) -> None:
    disk.fails["db write"] = apsw.FullError
    insert(table, 2, size=CHECKPOINT_PAGES * 4096)
    assert ids(table) == [1, 2]


def test_a_full_database_refuses_and_recovers(table: SqliteStorage) -> None:
    table._connection.pragma("max_page_count", 16)
    with pytest.raises(Full):
        insert(table, 2, size=100_000)
    assert ids(table) == [1]
    table._connection.pragma("max_page_count", 1_000_000)
    insert(table, 2, size=100_000)
    assert ids(table) == [1, 2]


def test_the_log_is_copied_into_the_file_and_does_not_grow_without_end(table: SqliteStorage) -> None:
    for number in range(2, 40):
        insert(table, number, size=1_000_000)
    assert table.path.with_name("geumgo.db-wal").stat().st_size < 16_000_000
    assert table.path.stat().st_size > 30_000_000


def test_a_reader_in_the_way_of_the_checkpoint_does_no_harm(table: SqliteStorage) -> None:
    reader = storage_at(open_again(table))
    with reader.reading() as tx:
        assert tx.all("SELECT id FROM t") == [(1,)]
        for number in range(2, 12):
            insert(table, number, size=1_000_000)
        assert tx.all("SELECT id FROM t") == [(1,)]
    insert(table, 12)
    assert len(ids(table)) == 12
    reader.close()


def test_writers_wait_for_each_other_for_as_long_as_they_were_told_to(sqlite_storage: SqliteStorage) -> None:
    with sqlite_storage.writing() as tx:
        tx.run("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    started = threading.Event()
    errors = []

    def wait_and_write() -> None:
        patient = storage_at(open_again(sqlite_storage), wait_ms=10_000)
        started.set()
        try:
            with patient.writing() as tx:
                tx.run("INSERT INTO t (id) VALUES (2)")
        except Conflict as conflict:
            errors.append(conflict)
        patient.close()

    thread = threading.Thread(target=wait_and_write)
    with sqlite_storage.writing() as tx:
        thread.start()
        started.wait()
        tx.run("INSERT INTO t (id) VALUES (1)")
    thread.join()
    assert errors == []
    assert ids(sqlite_storage) == [1, 2]


def test_what_is_deleted_is_gone_from_the_file(tmp_path: Path) -> None:
    storage = open_sqlite(tmp_path / "geumgo.db")
    with storage.writing() as tx:
        tx.run("CREATE TABLE t (id TEXT PRIMARY KEY)")
        tx.run("INSERT INTO t (id) VALUES ('hunter2-hunter2')")
    storage._checkpoint()
    assert b"hunter2-hunter2" in storage.path.read_bytes()
    with storage.writing() as tx:
        tx.run("DELETE FROM t")
    storage._checkpoint()
    assert b"hunter2-hunter2" not in storage.path.read_bytes()
    storage.close()


def test_whoever_waits_for_a_lock_looks_again_until_his_time_is_over() -> None:
    patient, hasty = Patience(3_600.0), Patience(0.0)
    for _ in range(2):  # for one lock after the other
        assert all(patient(times) for times in range(20))
        assert not hasty(0)
