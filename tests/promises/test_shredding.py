"""P11: what is deleted is gone from every file of a server that runs: no key that would open it, and nothing that it would open.

Looked for is the middle of each wrapped data key, ciphertext and key material, which no header that a database writes into freed space covers.
A deletion is complete a minute after it at the latest, with the first write then.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from geumgo.storage import sqlite
from geumgo.storage.sqlite import SqliteStorage
from tests.house import House

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


def carved(house: House, wanted: dict[bytes, str]) -> dict[str, set[str]]:
    """Which of these are found in which files of the data directory."""
    hits: dict[str, set[str]] = {}
    for path in house.settings.data.rglob("*"):
        if path.is_file():
            blob = path.read_bytes()
            hits.setdefault(path.name, set()).update(
                f"{what} {needle.hex()}" for needle, what in wanted.items() if needle in blob
            )
    return {name: found for name, found in hits.items() if found}


def shred(house: House, *, before: Callable[[], None] = lambda: None) -> dict[str, set[str]]:
    """What is found of everything that was made, deleted, and expired. `before` is called before anything is deleted."""
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
    assert sum(map(len, carved(house, made).values())) >= len(made), "the search finds what is there"
    print(f"\n{len(made)} blobs")
    before()
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
    return carved(house, made)


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
