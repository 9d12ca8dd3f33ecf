"""Backups of a server that is written to, and what is refused when one is brought back."""

import json
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from geumgo.app import backups
from geumgo.app.directory import fill_tables, prepare_tables
from geumgo.sealing.envelope import BackupError, new_recipient
from geumgo.sealing.files import write_private
from geumgo.sealing.seals import SealError
from geumgo.settings import load
from geumgo.storage import StorageError, postgres_copy, rows
from geumgo.storage.postgres import PostgresStorage
from geumgo.storage.sqlite import open_sqlite
from tests.cli.test_commands import geumgo
from tests.edge.wire import until
from tests.server import GEUMGO, Server
from tests.storage.postgres_server import PrivateServer

FLIPS = int(os.environ.get("GEUMGO_BACKUP_FLIPS", "150"))
WRITERS = 3


@dataclass(frozen=True)
class Scene:
    server: Server
    file: Path
    key: Path
    before: dict[str, str]
    revoked: str
    engine: str
    postgres: PrivateServer

    @property
    def seal(self) -> Path:
        return self.server.data / "seal.key"

    def restore(self, data: Path, *more: str, key: Path | None = None, environment: dict[str, str] | None = None):
        return geumgo(
            "restore", str(self.file), "--data", str(data), "--key", str(key or self.key), "--seal-file", str(self.seal), *more,
            **(environment or {}),
        )  # fmt: skip

    @contextmanager
    def empty(self, engine: str) -> Iterator[dict[str, str]]:
        """The environment of a server that has an empty database."""
        with database_on(self.postgres, engine) as environment:
            yield {"GEUMGO_SEAL_FILE": str(self.seal), **environment}


@contextmanager
def database_on(postgres: PrivateServer, engine: str) -> Iterator[dict[str, str]]:
    if engine == "sqlite":
        yield {}
        return
    with postgres.database() as dsn:
        yield {"GEUMGO_DATABASE": dsn}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres_server: PrivateServer
) -> Iterator[Scene]:
    """A backup taken while writers write; `before` is what was acknowledged before it began, `revoked` a key deleted after it."""
    place = tmp_path_factory.mktemp("backup")
    key, file = place / "backup.key", place / "backup"
    with (
        database_on(postgres_server, request.param) as environment,
        Server(place / "data", arguments=("--workers", "1"), environment=environment) as server,
    ):
        iam = server.client("iam")
        iam.create_user(UserName="ann")
        revoked = iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
        acknowledged: dict[str, str] = {}
        busy, stop = threading.Barrier(WRITERS + 1), threading.Event()

        def write(writer: int) -> None:
            client = server.client("secretsmanager")
            count = 0
            while not stop.is_set():
                name = f"w{writer}/{count}"
                client.create_secret(Name=name, SecretString=f"value of {name}")
                acknowledged[name] = f"value of {name}"
                count += 1
                if count == 3:
                    busy.wait(30)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        busy.wait(30)
        before = dict(acknowledged)
        done = server.run("backup", str(file), "--new-recipient", str(key), "--json")
        stop.set()
        for thread in threads:
            thread.join()
        assert done.returncode == 0, done.stderr
        iam.delete_access_key(UserName="ann", AccessKeyId=revoked)
        yield Scene(server, file, key, before, revoked, request.param, postgres_server)


@pytest.mark.parametrize("onto", ["sqlite", "postgres"])
def test_what_was_acknowledged_before_a_backup_is_served_after_it_is_restored(scene: Scene, tmp_path: Path, onto: str):
    data = tmp_path / "restored"
    with scene.empty(onto) as environment:
        done = scene.restore(data, "--trail", str(scene.server.data / "audit"), "--json", environment=environment)
        assert done.returncode == 0, done.stderr
        assert any(line.startswith(scene.revoked) for line in json.loads(done.stdout)["revoked"])
        assert (data / "geumgo.db").exists() == (onto == "sqlite")
        assert not [path.name for path in data.iterdir() if path.name.endswith(".rows")]
        shutil.copy2(scene.server.data / "admin.credentials", data)
        assert len(scene.before) >= 3 * WRITERS
        at_once = Server(data, environment=environment).run("audit", "verify")
        assert at_once.returncode == 0, at_once.stdout  # the trail is ahead of the database, and the restore knows it
        with Server(data, arguments=("--workers", "1"), environment=environment) as restored:
            client = restored.client("secretsmanager")
            found = {name: client.get_secret_value(SecretId=name)["SecretString"] for name in scene.before}
            assert found == scene.before
            client.create_secret(Name="afterwards", SecretString="new")
            assert client.list_secrets(Filters=[{"Key": "name", "Values": ["afterwards"]}])["SecretList"]
            until(lambda: events_of(restored, "w0/0"))
            assert restored.stop() == 0
            verified = restored.run("audit", "verify")
            assert verified.returncode == 0, verified.stdout


def events_of(server: Server, name: str) -> bool:
    """Whether the history of events knows who made the secret: the trail was brought back, and its index."""
    sought = {"AttributeKey": "ResourceName", "AttributeValue": name}
    found = server.client("cloudtrail").lookup_events(LookupAttributes=[sought])["Events"]
    return {"CreateSecret", "GetSecretValue"} <= {event["EventName"] for event in found}


def test_a_database_that_is_not_empty_is_not_restored_into(scene: Scene, tmp_path: Path):
    with scene.empty("postgres") as environment:
        with psycopg.connect(environment["GEUMGO_DATABASE"], autocommit=True) as connection:
            connection.execute("CREATE TABLE something (a BIGINT)")
        refused = scene.restore(tmp_path / "new", environment=environment)
        assert refused.returncode == 1
        assert "not empty: it has the table something" in refused.stderr
        assert not list((tmp_path / "new").iterdir())


def test_a_restore_that_is_refused_leaves_the_database_empty(scene: Scene, tmp_path: Path):
    altered = bytearray(scene.file.read_bytes())
    altered[-100] ^= 1
    (tmp_path / "altered").write_bytes(altered)
    with scene.empty("postgres") as environment:
        chosen = {"data": tmp_path / "new", "seal_file": str(scene.seal), "database": environment["GEUMGO_DATABASE"]}
        with pytest.raises(BackupError):
            backups.restore(load(chosen, {}, None), tmp_path / "altered", scene.key)
        postgres_copy.refuse_filled(environment["GEUMGO_DATABASE"])


def test_a_backup_is_of_one_moment_though_writers_write(scene: Scene, tmp_path: Path):
    """A secret is in the copy with its version and the key of that, or not at all."""
    with scene.empty("sqlite") as environment:
        assert scene.restore(tmp_path / "new", environment=environment).returncode == 0
    storage = open_sqlite(tmp_path / "new" / "geumgo.db")
    with storage.reading() as tx:
        secrets = tx.all("SELECT COUNT(*) FROM secret")[0][0]
        versions = tx.all("SELECT COUNT(*) FROM secret_version")[0][0]
        keys = tx.all("SELECT COUNT(*) FROM secret_version_key")[0][0]
    storage.close()
    assert secrets == versions == keys >= len(scene.before)


def test_a_backup_with_one_bit_flipped_is_refused(scene: Scene, tmp_path: Path):
    settings = load({"data": tmp_path / "none", "seal_file": str(scene.seal)}, {}, None)
    assert backups.verify_backup(settings, scene.file, scene.key).rows["schema_migration"] > 0
    whole = scene.file.read_bytes()
    dice = random.Random(7)
    ends = [0, 20, 400, len(whole) - 1, len(whole) - 70, len(whole) - 200]
    altered = tmp_path / "altered"
    for at in [*ends, *(dice.randrange(len(whole)) for _ in range(FLIPS))]:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << dice.randrange(8)
        altered.write_bytes(flipped)
        with pytest.raises(BackupError):
            backups.verify_backup(settings, altered, scene.key)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_a_backup_that_was_cut_short_or_continued_is_refused(scene: Scene, tmp_path: Path, kept: float):
    settings = load({"data": tmp_path / "none", "seal_file": str(scene.seal)}, {}, None)
    whole = scene.file.read_bytes()
    for content in (whole[: int(len(whole) * kept)], whole + b"\0"):
        altered = tmp_path / "altered"
        altered.write_bytes(content)
        with pytest.raises(BackupError):
            backups.verify_backup(settings, altered, scene.key)


def test_a_backup_that_is_killed_leaves_no_file_under_its_name_and_the_server_as_it_was(scene: Scene, tmp_path: Path):
    file = tmp_path / "backup"
    command = [*GEUMGO, "backup", str(file), "--data", str(scene.server.data)]
    with subprocess.Popen(
        command, env=scene.server.environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        until(lambda: process.poll() is not None or (tmp_path / ".backup.partial").exists())
        process.kill()
    settings = load({"data": tmp_path / "none", "seal_file": str(scene.seal)}, {}, None)
    if file.exists():  # it was faster
        backups.verify_backup(settings, file, scene.key)
    else:
        with pytest.raises(BackupError):
            backups.verify_backup(settings, tmp_path / ".backup.partial", scene.key)
    assert scene.server.run("backup", str(tmp_path / "again")).returncode == 0
    backups.verify_backup(settings, tmp_path / "again", scene.key)


def test_restoring_needs_the_seal_and_a_recipients_key(scene: Scene, tmp_path: Path):
    other = tmp_path / "other.key"
    settings = load({"data": scene.server.data}, {}, None)
    write_private(other, new_recipient()[0].reveal(), replace=False)
    refused = scene.restore(tmp_path / "a", key=other)
    assert refused.returncode == 1
    assert "not made for this key" in refused.stderr
    wrong = tmp_path / "seal.key"
    wrong.write_bytes(os.urandom(32))
    wrong.chmod(0o600)
    with pytest.raises(SealError):
        backups.verify_backup(load({"data": tmp_path / "b", "seal_file": str(wrong)}, {}, None), scene.file, scene.key)
    assert not list((tmp_path / "a").iterdir())
    assert backups.verify_backup(settings, scene.file, scene.key).term == 1


def test_nothing_is_restored_over_what_is_there_and_no_backup_is_overwritten(scene: Scene, tmp_path: Path):
    refused = scene.restore(scene.server.data)
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    content = scene.file.read_bytes()
    again = scene.server.run("backup", str(scene.file))
    assert again.returncode == 1
    assert scene.file.read_bytes() == content
    assert [path.name for path in scene.file.parent.iterdir() if path.name.endswith(".partial")] == []


def test_a_backup_shows_no_name_of_a_secret(scene: Scene):
    content = scene.file.read_bytes()
    assert b"secret:w0/0" not in content
    assert b"secretsmanager" not in content
    assert scene.revoked.encode() not in content


def test_a_backup_of_postgresql_by_a_newer_program_is_refused(tmp_path: Path, postgres_storage: PostgresStorage):
    prepare_tables(postgres_storage)
    with postgres_storage.writing() as tx:
        tx.run("INSERT INTO schema_migration (room, number, name, sha256) VALUES ('kms', 9000, 'later', 'x')")
    postgres_copy.copy_out(postgres_storage.dsn, tmp_path / "copy")
    empty = open_sqlite(tmp_path / "empty.db")
    with pytest.raises(StorageError, match="newer program"):
        fill_tables(empty, rows.tables_of(tmp_path / "copy"))
    with empty.reading() as tx:
        assert tx.all("SELECT name FROM sqlite_schema WHERE name LIKE '%secret%'") == []
    empty.close()


def test_every_table_of_a_copy_is_of_the_same_moment(
    tmp_path: Path, postgres_storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
):
    """Between two tables somebody writes to both."""
    with postgres_storage.writing() as tx:
        for name in ("schema_migration", "first", "last"):
            tx.run(f"CREATE TABLE {name} (a BIGINT)")
    copy = postgres_copy._copy

    def meanwhile(*arguments: Any) -> int:
        with postgres_storage.writing() as tx:
            for name in ("first", "last"):
                tx.run(f"INSERT INTO {name} (a) VALUES (1)")
        return copy(*arguments)

    monkeypatch.setattr(postgres_copy, "_copy", meanwhile)
    counts = postgres_copy.copy_out(postgres_storage.dsn, tmp_path / "copy")
    assert (counts["first"], counts["last"]) == (0, 0)
    assert rows.counted(tmp_path / "copy") == counts


def test_values_of_every_kind_come_back_as_they_were(tmp_path: Path, postgres_storage: PostgresStorage):
    kept = [(-(2**63), "", b""), (2**63 - 1, "금고 'x' \\ \t\n", bytes(range(256))), (0, None, None)]
    prepare_tables(postgres_storage)
    with postgres_storage.writing() as tx:
        tx.run("CREATE TABLE odd (a BIGINT, b TEXT, c BYTEA)")
        for a, b, c in kept:
            tx.run("INSERT INTO odd (a, b, c) VALUES (:a, :b, :c)", a=a, b=b, c=c)
    counts = postgres_copy.copy_out(postgres_storage.dsn, tmp_path / "copy")
    assert counts == rows.counted(tmp_path / "copy")
    tables = {table.name: list(table.rows) for table in rows.tables_of(tmp_path / "copy")}
    assert tables["odd"] == kept
    assert next(iter(tables)) == "schema_migration"


def test_a_copy_that_is_cut_anywhere_is_not_whole(tmp_path: Path, postgres_storage: PostgresStorage):
    prepare_tables(postgres_storage)
    postgres_copy.copy_out(postgres_storage.dsn, tmp_path / "copy")
    whole = (tmp_path / "copy").read_bytes()
    for length in (*range(0, len(whole), 97), len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(StorageError, match="not whole"):
            rows.counted(tmp_path / "cut")
    (tmp_path / "cut").write_bytes(whole + b"x")
    with pytest.raises(StorageError, match="not whole"):
        rows.counted(tmp_path / "cut")
