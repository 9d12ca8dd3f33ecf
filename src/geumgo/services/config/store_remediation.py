# ruff: noqa: S608 - what is put into the texts are names of columns, which are constants
"""The SQL of remediation: what is to be done, how it went, and what is left alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from geumgo.sealing import Sealing
from geumgo.services.config.records import Rule
from geumgo.storage import Row, Tx
from geumgo.storage.text import unkept

COLUMNS: Final = ("rule_id", "account", "region", "partition", "id", "definition", "revision")


@dataclass(frozen=True, slots=True)
class Remediation:
    """A remediation configuration. `definition` holds its members, without ARN."""

    rule_id: str
    account: str
    region: str
    partition: str
    id: str
    definition: dict[str, Any]
    revision: int = 1

    @property
    def arn(self) -> str:
        at = f"arn:{self.partition}:config:{self.region}:{self.account}"
        return f"{at}:remediation-configuration/{self.definition['ConfigRuleName']}/{self.id}"


class Run(NamedTuple):
    """How the last run on a resource went. Times are Unix milliseconds."""

    resource_type: str
    resource_id: str
    state: str
    steps: list[dict[str, Any]]
    attempts: int
    invoked_at_ms: int
    updated_at_ms: int

    @property
    def is_under_way(self) -> bool:
        return self.state in ("QUEUED", "IN_PROGRESS")


class Exempt(NamedTuple):
    """A resource that is left alone until `expires_at_ms`, None: for good."""

    resource_type: str
    resource_id: str
    message: str
    expires_at_ms: int | None


def find(tx: Tx, sealing: Sealing, rule_id: str) -> Remediation | None:
    row = tx.one(f"SELECT {', '.join(COLUMNS)}, mac FROM config_remediation WHERE rule_id = :id", id=rule_id)
    if row is None:
        return None
    cells = dict(zip(COLUMNS, row, strict=False))
    sealing.check("config_remediation", cells, row[len(COLUMNS)])
    return Remediation(**{**cells, "definition": json.loads(cells["definition"])})


def put(tx: Tx, sealing: Sealing, made: Remediation) -> None:
    """The remediation of its rule, in place of the one before."""
    row: dict[str, Any] = {name: getattr(made, name) for name in COLUMNS}
    row["definition"] = json.dumps(made.definition, ensure_ascii=False, separators=(",", ":"))
    row["mac"] = sealing.vouch("config_remediation", row)
    tx.run("DELETE FROM config_remediation WHERE rule_id = :rule_id", rule_id=made.rule_id)
    names = ", ".join(row)
    tx.run(f"INSERT INTO config_remediation ({names}) VALUES ({', '.join(f':{name}' for name in row)})", **row)


def remove(tx: Tx, rule: Rule) -> None:
    """With all that is known of its runs, and its exceptions."""
    for table in ("config_remediation", "config_remediation_run", "config_remediation_exception"):
        tx.run(f"DELETE FROM {table} WHERE rule_id = :rule_id", rule_id=rule.id)


# -- runs -------------------------------------------------------------------------------------------------------------

_RUN: Final = "resource_type, resource_id, state, steps, attempts, invoked_at_ms, updated_at_ms"


def _as_run(row: Row) -> Run:
    return Run(*row)._replace(steps=json.loads(row[3]))


def run_on(tx: Tx, rule_id: str, resource_type: str, resource_id: str) -> Run | None:
    row = tx.one(
        f"SELECT {_RUN} FROM config_remediation_run WHERE rule_id = :rule_id AND resource_type = :type AND resource_id = :id",
        rule_id=rule_id,
        type=resource_type,
        id=resource_id,
    )
    return None if row is None else _as_run(row)


def runs(tx: Tx, rule_id: str, *, after: Sequence[str], limit: int) -> list[Run]:
    """The last run on each resource, from the one behind `after` (type, id) on."""
    rows = tx.all(
        f"""
        SELECT {_RUN} FROM config_remediation_run
        WHERE rule_id = :rule_id AND (resource_type, resource_id) > (:type, :id)
        ORDER BY resource_type, resource_id LIMIT :limit
        """,
        rule_id=rule_id,
        type=after[0],
        id=after[1],
        limit=limit,
    )
    return [_as_run(row) for row in rows]


def is_any_under_way(tx: Tx, rule_id: str) -> bool:
    row = tx.one(
        """
        SELECT COUNT(*) FROM config_remediation_run
        WHERE rule_id = :rule_id AND state IN ('QUEUED', 'IN_PROGRESS')
        """,
        rule_id=rule_id,
    )
    assert row is not None
    return bool(row[0])


def keep_run(tx: Tx, rule_id: str, run: Run) -> None:
    tx.run(
        unkept(f"""
        INSERT INTO config_remediation_run (rule_id, {_RUN})
        VALUES (:rule_id, :resource_type, :resource_id, :state, :steps, :attempts, :invoked_at_ms, :updated_at_ms)
        ON CONFLICT (rule_id, resource_type, resource_id) DO UPDATE SET
            state = excluded.state, steps = excluded.steps, attempts = excluded.attempts,
            invoked_at_ms = excluded.invoked_at_ms, updated_at_ms = excluded.updated_at_ms
        """),
        rule_id=rule_id,
        **{**run._asdict(), "steps": json.dumps(run.steps, ensure_ascii=False)},
    )


# -- exceptions -------------------------------------------------------------------------------------------------------


def keep_exception(tx: Tx, rule_id: str, made: Exempt) -> None:
    tx.run(
        unkept("""
        INSERT INTO config_remediation_exception (rule_id, resource_type, resource_id, message, expires_at_ms)
        VALUES (:rule_id, :resource_type, :resource_id, :message, :expires_at_ms)
        ON CONFLICT (rule_id, resource_type, resource_id) DO UPDATE SET
            message = excluded.message, expires_at_ms = excluded.expires_at_ms
        """),
        rule_id=rule_id,
        **made._asdict(),
    )


def exceptions(tx: Tx, rule_id: str, now_ms: int, *, after: Sequence[str], limit: int) -> list[Exempt]:
    """Those that hold at `now_ms`, from the one behind `after` (type, id) on."""
    rows = tx.all(
        """
        SELECT resource_type, resource_id, message, expires_at_ms FROM config_remediation_exception
        WHERE rule_id = :rule_id AND (resource_type, resource_id) > (:type, :id)
        AND (expires_at_ms IS NULL OR expires_at_ms > :now_ms) ORDER BY resource_type, resource_id LIMIT :limit
        """,
        rule_id=rule_id,
        type=after[0],
        id=after[1],
        now_ms=now_ms,
        limit=limit,
    )
    return [Exempt(*row) for row in rows]


def is_exempt(tx: Tx, rule_id: str, resource_type: str, resource_id: str, now_ms: int) -> bool:
    row = tx.one(
        """
        SELECT expires_at_ms FROM config_remediation_exception
        WHERE rule_id = :rule_id AND resource_type = :type AND resource_id = :id
        """,
        rule_id=rule_id,
        type=resource_type,
        id=resource_id,
    )
    return row is not None and (row[0] is None or row[0] > now_ms)


def remove_exception(tx: Tx, rule_id: str, resource_type: str, resource_id: str) -> int:
    """Answers how many there were, 0 or 1."""
    return tx.run(
        unkept("""
        DELETE FROM config_remediation_exception
        WHERE rule_id = :rule_id AND resource_type = :type AND resource_id = :id
        """),
        rule_id=rule_id,
        type=resource_type,
        id=resource_id,
    )
