# ruff: noqa: S608 - what is put into the texts are names of columns and conditions, which are constants
"""The SQL of recorders, delivery channels and rules. Rows that decide rights are vouched for when written and checked when read."""

import json
from collections.abc import Mapping
from typing import Any, Final

from geumgo.context import Place
from geumgo.sealing import Sealing
from geumgo.services.config.records import Recorder, RecorderStatus, Rule, RuleStatus
from geumgo.storage import Row, Tx
from geumgo.storage.text import unkept

Cell = str | int | bytes | None

RECORDER: Final = (
    "account",
    "region",
    "partition",
    "id",
    "name",
    "role_arn",
    "settings",
    "tags",
    "recording",
    "last_start_at_ms",
    "last_stop_at_ms",
    "revision",
)
RULE: Final = (
    "id",
    "account",
    "region",
    "partition",
    "name",
    "definition",
    "tags",
    "created_at_ms",
    "revision",
)
_RULE_STATUS: Final = (
    "activated_at_ms",
    "asked_at_ms",
    "succeeded_at_ms",
    "recorded_at_ms",
    "failed_at_ms",
    "error_code",
    "error_message",
)
_JSON: Final = ("settings", "tags", "definition")


def _as_row(columns: tuple[str, ...], record: Any) -> dict[str, Cell]:
    row = {name: getattr(record, name) for name in columns}
    for name in _JSON:
        if name in row:
            row[name] = json.dumps(dict(row[name]), ensure_ascii=False, separators=(",", ":"))
    if "recording" in row:
        row["recording"] = int(row["recording"])
    return row


def _as_record(sealing: Sealing, table: str, columns: tuple[str, ...], row: Row) -> dict[str, Any]:
    cells: dict[str, Any] = dict(zip(columns, row, strict=False))
    sealing.check(table, cells, row[len(columns)])
    for name in _JSON:
        if name in cells:
            cells[name] = json.loads(cells[name])
    return cells


def _insert(tx: Tx, table: str, row: Mapping[str, Cell]) -> None:
    tx.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})", **row)


def _save(tx: Tx, sealing: Sealing, table: str, columns: tuple[str, ...], record: Recorder | Rule) -> None:
    row = {**_as_row(columns, record), "revision": record.revision + 1}
    row["mac"] = sealing.vouch(table, row)
    changes = ", ".join(f"{name} = :{name}" for name in row if name != "id")
    changed = tx.run(f"UPDATE {table} SET {changes} WHERE id = :id AND revision = :read", **row, read=record.revision)
    assert changed == 1, f"{record.arn} changed under an open transaction"


# -- recorders and delivery channels ----------------------------------------------------------------------------------


def recorder(tx: Tx, sealing: Sealing, place: Place) -> Recorder | None:
    """The recorder of this place."""
    row = tx.one(
        f"SELECT {', '.join(RECORDER)}, mac FROM config_recorder WHERE account = :account AND region = :region",
        account=place.account,
        region=place.region,
    )
    if row is None:
        return None
    cells = _as_record(sealing, "config_recorder", RECORDER, row)
    return Recorder(**{**cells, "recording": bool(cells["recording"])})


def add_recorder(tx: Tx, sealing: Sealing, made: Recorder) -> None:
    row = _as_row(RECORDER, made)
    row["mac"] = sealing.vouch("config_recorder", row)
    _insert(tx, "config_recorder", row)


def save_recorder(tx: Tx, sealing: Sealing, changed: Recorder) -> None:
    """Its `revision` must be the one that was read."""
    _save(tx, sealing, "config_recorder", RECORDER, changed)


def remove_recorder(tx: Tx, gone: Recorder) -> None:
    for table in ("config_recorder", "config_recorder_status", "config_touched"):
        tx.run(
            f"DELETE FROM {table} WHERE account = :account AND region = :region",
            account=gone.account,
            region=gone.region,
        )


def recorder_status(tx: Tx, place: Place) -> RecorderStatus | None:
    row = tx.one(
        """
        SELECT status, changed_at_ms, error_code, error_message FROM config_recorder_status
        WHERE account = :account AND region = :region
        """,
        account=place.account,
        region=place.region,
    )
    return None if row is None else RecorderStatus(*row)


def keep_recorder_status(tx: Tx, place: Place, status: RecorderStatus) -> None:
    tx.run(
        unkept("""
        INSERT INTO config_recorder_status (account, region, status, changed_at_ms, error_code, error_message)
        VALUES (:account, :region, :status, :changed_at_ms, :error_code, :error_message)
        ON CONFLICT (account, region) DO UPDATE SET
            status = excluded.status, changed_at_ms = excluded.changed_at_ms,
            error_code = excluded.error_code, error_message = excluded.error_message
        """),
        account=place.account,
        region=place.region,
        status=status.status,
        changed_at_ms=status.changed_at_ms,
        error_code=status.error_code,
        error_message=status.error_message,
    )


def channel(tx: Tx, place: Place) -> dict[str, Any] | None:
    """The delivery channel of this place, as a DeliveryChannel."""
    row = tx.one(
        "SELECT name, settings FROM config_delivery_channel WHERE account = :account AND region = :region",
        account=place.account,
        region=place.region,
    )
    return None if row is None else {"name": row[0], **json.loads(row[1])}


def keep_channel(tx: Tx, place: Place, name: str, settings: Mapping[str, Any]) -> None:
    tx.run(
        """
        INSERT INTO config_delivery_channel (account, region, name, settings)
        VALUES (:account, :region, :name, :settings)
        ON CONFLICT (account, region) DO UPDATE SET name = excluded.name, settings = excluded.settings
        """,
        account=place.account,
        region=place.region,
        name=name,
        settings=json.dumps(dict(settings), ensure_ascii=False),
    )


def remove_channel(tx: Tx, place: Place) -> None:
    tx.run(
        "DELETE FROM config_delivery_channel WHERE account = :account AND region = :region",
        account=place.account,
        region=place.region,
    )


# -- rules ------------------------------------------------------------------------------------------------------------


def _as_rule(sealing: Sealing, row: Row) -> Rule:
    return Rule(**_as_record(sealing, "config_rule", RULE, row))


def rule_by_name(tx: Tx, sealing: Sealing, place: Place, name: str) -> Rule | None:
    row = tx.one(
        f"""
        SELECT {", ".join(RULE)}, mac FROM config_rule
        WHERE account = :account AND region = :region AND name = :name
        """,
        account=place.account,
        region=place.region,
        name=name,
    )
    return None if row is None else _as_rule(sealing, row)


def rule_by_id(tx: Tx, sealing: Sealing, rule_id: str) -> Rule | None:
    row = tx.one(f"SELECT {', '.join(RULE)}, mac FROM config_rule WHERE id = :id", id=rule_id)
    return None if row is None else _as_rule(sealing, row)


def rules(tx: Tx, sealing: Sealing, place: Place, *, after: str = "", limit: int = 10_000) -> list[Rule]:
    """The rules of this place by name, from the one behind `after` on."""
    found = tx.all(
        f"""
        SELECT {", ".join(RULE)}, mac FROM config_rule
        WHERE account = :account AND region = :region AND name > :after ORDER BY name LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        after=after,
        limit=limit,
    )
    return [_as_rule(sealing, row) for row in found]


def count_rules(tx: Tx, place: Place) -> int:
    row = tx.one(
        "SELECT COUNT(*) FROM config_rule WHERE account = :account AND region = :region",
        account=place.account,
        region=place.region,
    )
    assert row is not None
    count: int = row[0]
    return count


def add_rule(tx: Tx, sealing: Sealing, made: Rule) -> None:
    """A new rule, active from now on. Raises storage.Taken if another transaction has taken its name."""
    row = _as_row(RULE, made)
    row["mac"] = sealing.vouch("config_rule", row)
    _insert(tx, "config_rule", row)
    _insert(
        tx,
        "config_rule_status",
        {"rule_id": made.id, "activated_at_ms": made.created_at_ms, "error_code": "", "error_message": ""},
    )


def save_rule(tx: Tx, sealing: Sealing, changed: Rule) -> None:
    """Its `revision` must be the one that was read."""
    _save(tx, sealing, "config_rule", RULE, changed)


def remove_rule(tx: Tx, gone: Rule) -> None:
    """The rule is gone with all that it found out."""
    tx.run("DELETE FROM config_verdict WHERE rule_id = :id", id=gone.id)
    tx.run("DELETE FROM config_rule_status WHERE rule_id = :id", id=gone.id)
    tx.run("DELETE FROM config_rule WHERE id = :id", id=gone.id)


def rule_status(tx: Tx, rule_id: str) -> RuleStatus:
    row = tx.one(f"SELECT {', '.join(_RULE_STATUS)} FROM config_rule_status WHERE rule_id = :id", id=rule_id)
    assert row is not None, f"{rule_id} has no status"
    return RuleStatus(*row)


def keep_rule_status(tx: Tx, rule_id: str, status: RuleStatus) -> None:
    changes = ", ".join(f"{name} = :{name}" for name in _RULE_STATUS)
    tx.run(
        unkept(f"UPDATE config_rule_status SET {changes} WHERE rule_id = :id"),
        id=rule_id,
        **{name: getattr(status, name) for name in _RULE_STATUS},
    )
