"""The room's SQL on what trails deliver: events that wait, log files, digest files, and the keys that sign these."""

from collections.abc import Iterable
from typing import Any, Final

from geumgo.services.cloudtrail import store
from geumgo.services.cloudtrail.records import Digest, LogFile, SigningKey, Trail
from geumgo.storage import Tx
from geumgo.storage.text import unkept

# -- what waits, and the files that it goes into ----------------------------------------------------------------------------


def wait(tx: Tx, trail: Trail, region: str, event: int) -> None:
    """The event is to be delivered by the trail, in the directory of `region`."""
    tx.run(
        unkept("INSERT INTO cloudtrail_waiting (trail, region, event) VALUES (:trail, :region, :event)"),
        trail=trail.id,
        region=region,
        event=event,
    )


def waits(tx: Tx, trail: str, region: str) -> bool:
    row = tx.one(
        "SELECT COUNT(*) FROM (SELECT event FROM cloudtrail_waiting WHERE trail = :trail AND region = :region LIMIT 1) AS oldest",
        trail=trail,
        region=region,
    )
    return row is not None and row[0] > 0


def decided_file(tx: Tx, trail: str, region: str) -> LogFile | None:
    """The log file that was decided and is not delivered yet."""
    row = tx.one(
        "SELECT id, bucket, object FROM cloudtrail_file WHERE trail = :trail AND region = :region AND hash IS NULL",
        trail=trail,
        region=region,
    )
    return LogFile(*row) if row is not None else None


def decide_file(tx: Tx, trail: str, region: str, file: LogFile, most: int) -> int:
    """The oldest `most` events that wait will be in `file`. Answers how many there are; with none, there is no file."""
    taken = tx.run(
        unkept(
            "UPDATE cloudtrail_waiting SET file = :file WHERE trail = :trail AND event IN (SELECT event FROM cloudtrail_waiting "
            "WHERE trail = :trail AND region = :region AND file IS NULL ORDER BY event LIMIT :most)"
        ),
        file=file.id,
        trail=trail,
        region=region,
        most=most,
    )
    if taken:
        tx.run(
            unkept(
                "INSERT INTO cloudtrail_file (id, trail, region, bucket, object) VALUES (:id, :trail, :region, :bucket, :object)"
            ),
            id=file.id,
            trail=trail,
            region=region,
            bucket=file.bucket,
            object=file.object,
        )
    return taken


def events_of(tx: Tx, file: LogFile) -> list[store.Row]:
    """The events that are to be in the file, in their order."""
    numbers = tx.all("SELECT event FROM cloudtrail_waiting WHERE file = :file ORDER BY event", file=file.id)
    found = (store.find(tx, event) for (event,) in numbers)
    return [row for row in found if row is not None]


def deliver_file(tx: Tx, file: LogFile, at_ms: int) -> None:
    """The file is delivered as it says; its events wait no more."""
    tx.run(
        unkept(
            "UPDATE cloudtrail_file SET hash = :hash, oldest_at_s = :oldest, newest_at_s = :newest, delivered_at_ms = :at_ms "
            "WHERE id = :id"
        ),
        id=file.id,
        hash=file.hash,
        oldest=file.oldest_at_s,
        newest=file.newest_at_s,
        at_ms=at_ms,
    )
    tx.run(unkept("DELETE FROM cloudtrail_waiting WHERE file = :file"), file=file.id)


def forget_file(tx: Tx, file: LogFile) -> None:
    """Nothing refers to the file any more."""
    tx.run(unkept("DELETE FROM cloudtrail_file WHERE id = :id"), id=file.id)


def unread_files(tx: Tx, trail: str, region: str) -> int:
    """How many delivered files no digest names yet."""
    row = tx.one(
        "SELECT COUNT(*) FROM cloudtrail_file WHERE trail = :trail AND region = :region AND hash IS NOT NULL AND digest IS NULL",
        trail=trail,
        region=region,
    )
    return int(row[0]) if row is not None else 0


# -- digests ----------------------------------------------------------------------------------------------------------------

_DIGEST: Final = "id, started_at_s, ended_at_s, bucket, object, fingerprint, hash, signature"


def last_digest(tx: Tx, trail: str, region: str) -> Digest | None:
    """The newest digest that was delivered."""
    row = tx.one(
        f"SELECT {_DIGEST} FROM cloudtrail_digest WHERE trail = :trail AND region = :region AND signature IS NOT NULL",  # noqa: S608
        trail=trail,
        region=region,
    )
    return Digest(*row) if row is not None else None


def decided_digest(tx: Tx, trail: str, region: str) -> Digest | None:
    """The digest that was decided and is not delivered yet."""
    row = tx.one(
        f"SELECT {_DIGEST} FROM cloudtrail_digest WHERE trail = :trail AND region = :region AND signature IS NULL",  # noqa: S608
        trail=trail,
        region=region,
    )
    return Digest(*row) if row is not None else None


def decide_digest(tx: Tx, trail: str, region: str, digest: Digest) -> None:
    """The digest will name every file that was delivered and is in no other digest."""
    tx.run(
        unkept(
            "INSERT INTO cloudtrail_digest (id, trail, region, started_at_s, ended_at_s, bucket, object, fingerprint) VALUES "
            "(:id, :trail, :region, :started, :ended, :bucket, :object, :fingerprint)"
        ),
        id=digest.id,
        trail=trail,
        region=region,
        started=digest.started_at_s,
        ended=digest.ended_at_s,
        bucket=digest.bucket,
        object=digest.object,
        fingerprint=digest.fingerprint,
    )
    tx.run(
        unkept(
            "UPDATE cloudtrail_file SET digest = :digest WHERE trail = :trail AND region = :region AND hash IS NOT NULL "
            "AND digest IS NULL"
        ),
        digest=digest.id,
        trail=trail,
        region=region,
    )


def files_of(tx: Tx, digest: Digest) -> list[LogFile]:
    rows = tx.all(
        "SELECT id, bucket, object, hash, oldest_at_s, newest_at_s FROM cloudtrail_file WHERE digest = :digest ORDER BY object",
        digest=digest.id,
    )
    return [LogFile(*row) for row in rows]


def deliver_digest(tx: Tx, trail: str, region: str, digest: Digest) -> None:
    """The digest is delivered as it says. It is the last one now; the one before and the files that it names are on the disk alone."""
    tx.run(
        unkept("DELETE FROM cloudtrail_digest WHERE trail = :trail AND region = :region AND id <> :id"),
        trail=trail,
        region=region,
        id=digest.id,
    )
    tx.run(
        unkept("UPDATE cloudtrail_digest SET hash = :hash, signature = :signature WHERE id = :id"),
        id=digest.id,
        hash=digest.hash,
        signature=digest.signature,
    )
    tx.run(unkept("DELETE FROM cloudtrail_file WHERE digest = :digest"), digest=digest.id)


# -- signing keys -----------------------------------------------------------------------------------------------------------


def keys(tx: Tx, from_ms: int, until_ms: int) -> list[SigningKey]:
    """The keys that are valid at some time between the two, oldest first."""
    rows: Iterable[Any] = tx.all(
        "SELECT fingerprint, public_key, sealed, valid_from_ms, valid_until_ms FROM cloudtrail_signing_key "
        "WHERE valid_from_ms <= :until_ms AND valid_until_ms >= :from_ms ORDER BY valid_from_ms, fingerprint",
        from_ms=from_ms,
        until_ms=until_ms,
    )
    return [SigningKey(*row) for row in rows]


def key(tx: Tx, fingerprint: str) -> SigningKey:
    row = tx.one(
        "SELECT fingerprint, public_key, sealed, valid_from_ms, valid_until_ms FROM cloudtrail_signing_key "
        "WHERE fingerprint = :fingerprint",
        fingerprint=fingerprint,
    )
    assert row is not None, "a signing key is kept for ever"
    return SigningKey(*row)


def add_key(tx: Tx, made: SigningKey) -> None:
    tx.run(
        unkept(
            "INSERT INTO cloudtrail_signing_key (fingerprint, public_key, sealed, valid_from_ms, valid_until_ms) "
            "VALUES (:fingerprint, :public_key, :sealed, :valid_from_ms, :valid_until_ms)"
        ),
        fingerprint=made.fingerprint,
        public_key=made.public,
        sealed=made.sealed,
        valid_from_ms=made.valid_from_ms,
        valid_until_ms=made.valid_until_ms,
    )
