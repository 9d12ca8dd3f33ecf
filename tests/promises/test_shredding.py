"""P11: what is deleted is gone from every file of a server that runs: no key that would open it, and nothing that it would open.

Looked for is the middle of each wrapped data key, ciphertext and key material, which no header that a database writes into freed space covers.
A deletion is complete a minute after it at the latest, with the first write then.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from geumgo import app
from geumgo.app.directory import open_root
from geumgo.sealing import Unsealable
from geumgo.services.kms import store as kms_store
from geumgo.services.kms.sealed import open_material
from geumgo.storage import sqlite
from geumgo.storage.sqlite import SqliteStorage
from tests.clock import TurnedClock
from tests.house import House, turn_botocore
from tests.promises.test_new_root_keys import rekeyed
from tests.storage.postgres_server import PrivateServer, private_server

SECRETS = 60
PARAMETERS = 30
KEPT = (
    ("SELECT ciphertext FROM secret_version WHERE ciphertext IS NOT NULL", "ciphertext"),
    ("SELECT wrapped FROM secret_version_key", "data key"),
    ("SELECT sealed FROM ssm_parameter_version", "parameter"),
    ("SELECT wrapped FROM ssm_parameter_version WHERE wrapped IS NOT NULL", "data key of a parameter"),
    ("SELECT sealed FROM kms_material WHERE sealed IS NOT NULL", "key material"),
)


def needles(house: House) -> dict[bytes, str]:
    """The middle of whatever is kept of secrets, parameters and keys, and what it is."""
    found: dict[bytes, str] = {}
    with house.app.storage.reading() as tx:
        for text, what in KEPT:
            for row in tx.all(text):
                blob = bytes(next(iter(row)))
                found[blob[len(blob) // 2 - 12 : len(blob) // 2 + 12]] = what
    return found


def carved(places: Iterable[Path], wanted: dict[bytes, str]) -> dict[str, set[str]]:
    """Which of these are found in which files below these directories."""
    hits: dict[str, set[str]] = {}
    for path in (each for place in places for each in place.rglob("*")):
        if path.is_file():
            with suppress(FileNotFoundError):  # a server goes on with what is its own meanwhile
                blob = path.read_bytes()
                hits.setdefault(path.name, set()).update(
                    f"{what} {needle.hex()}" for needle, what in wanted.items() if needle in blob
                )
    return {name: found for name, found in hits.items() if found}


def filled(house: House) -> tuple[dict[bytes, str], str]:
    """What lies in the database of everything that was made, and the KMS key of half of it."""
    secrets, ssm, kms = (house.client(name) for name in ("secretsmanager", "ssm", "kms"))
    secrets.create_secret(Name="first", SecretString="x")  # AWS managed keys are made at their first use, and stay
    ssm.put_parameter(Name="/first", Value="x", Type="SecureString")
    had = needles(house)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for number in range(SECRETS):
        secrets.create_secret(
            Name=f"s{number}", SecretString="x" * (50 + number * 200), **({"KmsKeyId": key} if number % 2 else {})
        )
        secrets.put_secret_value(SecretId=f"s{number}", SecretString="y" * (50 + number))
    for number in range(PARAMETERS):
        kind = ("String", "SecureString")[number % 2]
        ssm.put_parameter(
            Name=f"/p/{number}",
            Value="z" * (10 + number * 50),
            Type=kind,
            Tier=("Standard", "Advanced")[number // 2 % 2],
        )
    made = {needle: what for needle, what in needles(house).items() if needle not in had}
    assert set(made.values()) == {what for _, what in KEPT}
    print(f"\n{len(made)} blobs")
    return made, str(key)


def emptied(house: House, made: dict[bytes, str], key: str) -> None:
    """Everything was deleted, or has expired, and its key, too; something was written afterwards."""
    secrets, ssm, kms = (house.client(name) for name in ("secretsmanager", "ssm", "kms"))
    for number in range(SECRETS):
        how = {"ForceDeleteWithoutRecovery": True} if number % 3 else {"RecoveryWindowInDays": 7}
        secrets.delete_secret(SecretId=f"s{number}", **how)
    for number in range(PARAMETERS):
        ssm.delete_parameter(Name=f"/p/{number}")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    house.clock.turn(days=8)
    while house.run_jobs():
        pass
    left = needles(house)
    assert not set(made) & set(left)
    secrets.create_secret(Name="next", SecretString="x")


def shred(house: House, *, before: Callable[[], None] = lambda: None) -> dict[str, set[str]]:
    """What is found of everything that was made, deleted, and expired. `before` is called before anything is deleted."""
    made, key = filled(house)
    place = house.settings.data
    assert sum(map(len, carved([place], made).values())) >= len(made), "the search finds what is there"
    before()
    emptied(house, made, key)
    return carved([place], made)


@pytest.fixture
def minute_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WIPE_SECONDS", 0.0)


@pytest.mark.usefixtures("minute_is_over")
def test_what_was_deleted_is_in_no_file_any_more(house: House) -> None:
    assert shred(house) == {}


@pytest.mark.usefixtures("minute_is_over")
def test_a_database_that_does_not_overwrite_what_it_deletes_is_caught(house: House) -> None:
    storage = house.app.storage
    assert isinstance(storage, SqliteStorage)

    def careless() -> None:
        storage._connection.execute("PRAGMA secure_delete = 0").fetchall()

    assert "geumgo.db" in shred(house, before=careless)


def test_a_log_that_is_never_emptied_is_caught(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStorage, "_wipe", lambda _: None)
    assert "geumgo.db-wal" in shred(house)


def test_somebody_who_reads_puts_it_off_and_does_not_keep_it_from_being_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WIPE_SECONDS", 0.0)
    monkeypatch.setattr(sqlite, "WIPE_AGAIN_SECONDS", 0.0)
    one, other = (sqlite.open_sqlite(tmp_path / "geumgo.db") for _ in range(2))
    log = tmp_path / "geumgo.db-wal"
    with one.writing() as tx:
        tx.run("CREATE TABLE t (a TEXT)")
    with other.reading() as reader:
        assert reader.all("SELECT a FROM t") == []
        with one.writing() as tx:
            tx.run("INSERT INTO t (a) VALUES ('x')")
        assert log.stat().st_size > 0
    with one.writing() as tx:
        tx.run("INSERT INTO t (a) VALUES ('y')")
    assert log.stat().st_size == 0
    one.close()
    other.close()


# -- PostgreSQL: what remains is ciphertext, for as long as PostgreSQL keeps it -------------------------------------------


@pytest.fixture(scope="module")
def own_server() -> Iterator[PrivateServer]:
    """A server whose directory holds nothing of others, and which removes segments of its log instead of writing them over."""
    with private_server(wal_recycle="off", min_wal_size="32MB", max_wal_size="32MB") as server:
        yield server


def where(server: PrivateServer, made: dict[bytes, str]) -> tuple[set[str], set[str]]:
    """Which are found in the tables, and which in the log."""
    found = [carved([server.data / place], made) for place in ("base", "pg_wal")]
    tables, log = (set().union(*each.values()) for each in found)
    return tables, log


def test_what_was_deleted_on_postgresql_stays_in_its_files_until_it_rewrites_them_and_no_longer(
    own_server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = TurnedClock(time.time_ns() // 1_000_000)
    turn_botocore(monkeypatch, clock)
    with own_server.database() as dsn:
        house = House.build(tmp_path, clock, database=dsn)
        made, key = filled(house)
        emptied(house, made, key)
        own_server.command("CHECKPOINT")  # pages of tables are in memory until then
        counts = {"at once": where(own_server, made)}
        house.close()
        own_server.command("VACUUM", dsn)
        own_server.command("CHECKPOINT")
        counts["after VACUUM"] = where(own_server, made)
        own_server.command("VACUUM FULL", dsn)
        own_server.command("CHECKPOINT")
        counts["after VACUUM FULL"] = where(own_server, made)
        for _ in range(4):  # the log before the checkpoint before is of no use then
            own_server.command("SELECT pg_switch_wal()")
            own_server.command("CHECKPOINT")
        counts["after the log was changed"] = where(own_server, made)
        for when, (tables, log) in counts.items():
            print(f"{when}: {len(tables)} of {len(made)} in the tables, {len(log)} in the log")
        assert carved([house.settings.data], made) == {}
    assert counts["at once"][0], "the search finds what is there"
    assert counts["at once"][1]
    assert counts["after VACUUM FULL"][0] == set()
    assert counts["after the log was changed"] == (set(), set())


def test_what_was_under_a_key_that_is_gone_opens_for_nobody_after_new_root_keys(house_on_each: House) -> None:
    """Whatever a copy still holds of it: a backup, a log, the pages of a database. Until then the old root key opens it."""
    house = house_on_each
    kms, secrets = house.client("kms"), house.client("secretsmanager")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    secrets.create_secret(Name="gone", SecretString="the value", KmsKeyId=key)
    with house.app.storage.reading() as tx:
        found = kms_store.find(tx, open_root(house.settings), "us-east-1", key.replace("-", ""))
        assert found is not None
        (material,) = kms_store.list_material(tx, found)
    secrets.delete_secret(SecretId="gone", ForceDeleteWithoutRecovery=True)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    house.clock.turn(days=8)
    while house.run_jobs():
        pass
    house.app.close()

    def opens() -> bool:
        try:
            open_material(cast("Any", SimpleNamespace(sealing=open_root(house.settings))), found, material)
        except Unsealable:
            return False
        return True

    assert opens(), "whoever has a copy, and the root keys, has the key"
    rekeyed(house.settings)
    assert not opens()
    house.__dict__["app"] = app.build(house.settings, slot="api-0", clock=house.clock)
