"""The room's SQL on trails and what they deliver."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Sealing
from geumgo.services.cloudtrail import store
from geumgo.services.cloudtrail.records import Digest, LogFile, SigningKey, Status, Trail
from geumgo.storage import Tx
from geumgo.storage.text import unkept

_TABLE: Final = "cloudtrail_trail"
_DECIDED: Final = (
    *("bucket", "prefix", "global_events", "multi_region", "validates", "logging", "started_at_ms", "stopped_at_ms"),
    *("selectors", "advanced", "tags"),
)


# -- trails ---------------------------------------------------------------------------------------------------------------


def find(tx: Tx, sealing: Sealing, place: Place, name: str) -> Trail | None:
    row = tx.one(
        "SELECT account, region, name, id, described, mac FROM cloudtrail_trail "
        "WHERE account = :account AND region = :region AND name = :name",
        account=place.account,
        region=place.region,
        name=name,
    )
    return _trail(sealing, place.partition, row) if row is not None else None


def find_by_id(tx: Tx, sealing: Sealing, partition: str, trail: str) -> Trail | None:
    row = tx.one(
        "SELECT account, region, name, id, described, mac FROM cloudtrail_trail WHERE id = :id",
        id=trail,
    )
    return _trail(sealing, partition, row) if row is not None else None


def of_account(tx: Tx, sealing: Sealing, account: str, partition: str) -> list[Trail]:
    """Every trail of an account, of all regions."""
    rows = tx.all(
        "SELECT account, region, name, id, described, mac FROM cloudtrail_trail WHERE account = :account "
        "ORDER BY name, region",
        account=account,
    )
    return [_trail(sealing, partition, row) for row in rows]


def add(tx: Tx, sealing: Sealing, trail: Trail) -> None:
    row = _row(trail)
    tx.run(
        "INSERT INTO cloudtrail_trail (account, region, name, id, described, mac) "
        "VALUES (:account, :region, :name, :id, :described, :mac)",
        **row,
        mac=sealing.vouch(_TABLE, row),
    )
    tx.run(unkept("INSERT INTO cloudtrail_status (trail) VALUES (:trail)"), trail=trail.id)


def save(tx: Tx, sealing: Sealing, trail: Trail) -> None:
    row = _row(trail)
    changed = tx.run(
        "UPDATE cloudtrail_trail SET described = :described, mac = :mac WHERE id = :id",
        id=trail.id,
        described=row["described"],
        mac=sealing.vouch(_TABLE, row),
    )
    assert changed == 1, f"{trail.arn} is gone under an open transaction"


def remove(tx: Tx, trail: Trail) -> None:
    """The trail is gone, with what it had not delivered. Files that it delivered stay."""
    tx.run("DELETE FROM cloudtrail_trail WHERE id = :id", id=trail.id)
    for table in ("cloudtrail_status", "cloudtrail_waiting", "cloudtrail_file", "cloudtrail_digest"):
        tx.run(f"DELETE FROM {table} WHERE trail = :trail", trail=trail.id)  # noqa: S608 - names of our own


def _row(trail: Trail) -> dict[str, str | int | bytes | None]:
    decided = {name: value for name, value in asdict(trail).items() if name in _DECIDED}
    return {
        "account": trail.place.account,
        "region": trail.place.region,
        "name": trail.name,
        "id": trail.id,
        "described": json.dumps(decided, sort_keys=True),
    }


def _trail(sealing: Sealing, partition: str, row: Sequence[Any]) -> Trail:
    """Raises Unsealable if the row is not the one we wrote."""
    account, region, name, id_, described, mac = row
    cells = {"account": account, "region": region, "name": name, "id": id_, "described": described}
    sealing.check(_TABLE, cells, mac)
    return Trail(Place(account, region, partition), name, id_, **json.loads(described))


# -- status ---------------------------------------------------------------------------------------------------------------


def status(tx: Tx, trail: Trail) -> Status:
    row = tx.one(
        "SELECT delivered_at_ms, attempted_at_ms, delivery_error, digested_at_ms, digest_error FROM cloudtrail_status "
        "WHERE trail = :trail",
        trail=trail.id,
    )
    return Status(*row) if row is not None else Status()


def note_delivery(tx: Tx, trail: str, at_ms: int, error: str | None) -> None:
    """A log file was delivered at `at_ms`, or could not be."""
    tx.run(
        unkept(
            "UPDATE cloudtrail_status SET attempted_at_ms = :at_ms, delivery_error = :error, "
            "delivered_at_ms = CASE WHEN :failed = 1 THEN delivered_at_ms ELSE :at_ms END WHERE trail = :trail"
        ),
        trail=trail,
        at_ms=at_ms,
        error=error,
        failed=int(error is not None),
    )


def note_digest(tx: Tx, trail: str, at_ms: int, error: str | None) -> None:
    """A digest file was delivered at `at_ms`, or could not be."""
    tx.run(
        unkept(
            "UPDATE cloudtrail_status SET digest_error = :error, "
            "digested_at_ms = CASE WHEN :failed = 1 THEN digested_at_ms ELSE :at_ms END WHERE trail = :trail"
        ),
        trail=trail,
        at_ms=at_ms,
        error=error,
        failed=int(error is not None),
    )


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
