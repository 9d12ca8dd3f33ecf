"""The room's SQL on trails."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Sealing
from geumgo.services.cloudtrail.records import Status, Trail
from geumgo.storage import Tx
from geumgo.storage.text import unkept

_TABLE: Final = "cloudtrail_trail"
COLUMNS: Final = ("account", "region", "name", "id", "described")
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
