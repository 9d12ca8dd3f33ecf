# ruff: noqa: S608 - what is put into the texts are names of columns and parameters, which are made here
"""The SQL of verdicts, and of the resources that wait to be looked at."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from geumgo.context import Place
from geumgo.services.config.records import Kept, Verdict
from geumgo.storage import Row, Tx
from geumgo.storage.text import unkept

AT_ONCE: Final = 100
"""Rows that one statement writes or looks up."""

_COLUMNS: Final = (
    "rule_id, resource_type, resource_id, compliance, annotation, memo, ordered_at_ms, invoked_at_ms, recorded_at_ms"
)


def _as_kept(row: Row) -> Kept:
    rule_id, kind, resource_id, compliance, annotation, memo, *times = row
    return Kept(rule_id, kind, resource_id, Verdict(compliance, annotation, memo), *times)


# -- verdicts ---------------------------------------------------------------------------------------------------------


def of_rule(tx: Tx, rule_id: str, resource_type: str) -> dict[str, Verdict]:
    """Every verdict of a rule on resources of a type, by resource."""
    rows = tx.all(
        """
        SELECT resource_id, compliance, annotation, memo FROM config_verdict
        WHERE rule_id = :rule_id AND resource_type = :resource_type
        """,
        rule_id=rule_id,
        resource_type=resource_type,
    )
    return {resource_id: Verdict(compliance, annotation, memo) for resource_id, compliance, annotation, memo in rows}


def some_of_rule(tx: Tx, rule_id: str, resource_type: str, resource_ids: Sequence[str]) -> dict[str, Kept]:
    """What is kept of a rule on at most AT_ONCE resources, by resource."""
    assert len(resource_ids) <= AT_ONCE, "ask for fewer at once"
    if not resource_ids:
        return {}
    named = {f"id_{number}": resource_id for number, resource_id in enumerate(resource_ids)}
    rows = tx.all(
        f"""
        SELECT {_COLUMNS} FROM config_verdict WHERE rule_id = :rule_id AND resource_type = :resource_type
        AND resource_id IN ({", ".join(f":{name}" for name in named)})
        """,
        rule_id=rule_id,
        resource_type=resource_type,
        **named,
    )
    return {row[2]: _as_kept(row) for row in rows}


def page_of_rule(tx: Tx, rule_id: str, compliances: Sequence[str], *, after: tuple[str, str], limit: int) -> list[Kept]:
    """Verdicts of a rule by resource, from the one behind `after` (type, id) on."""
    kinds = {f"kind_{number}": kind for number, kind in enumerate(compliances)}
    rows = tx.all(
        f"""
        SELECT {_COLUMNS} FROM config_verdict
        WHERE rule_id = :rule_id AND (resource_type, resource_id) > (:type, :id)
        AND compliance IN ({", ".join(f":{name}" for name in kinds)})
        ORDER BY resource_type, resource_id LIMIT :limit
        """,
        rule_id=rule_id,
        type=after[0],
        id=after[1],
        limit=limit,
        **kinds,
    )
    return [_as_kept(row) for row in rows]


def of_resource(tx: Tx, place: Place, resource_type: str, resource_id: str) -> list[Kept]:
    """What every rule thinks of a resource."""
    rows = tx.all(
        f"""
        SELECT {_COLUMNS} FROM config_verdict
        WHERE account = :account AND region = :region AND resource_type = :type AND resource_id = :id ORDER BY rule_id
        """,
        account=place.account,
        region=place.region,
        type=resource_type,
        id=resource_id,
    )
    return [_as_kept(row) for row in rows]


class Counted(NamedTuple):
    """How many rules think that of a resource."""

    resource_type: str
    resource_id: str
    compliance: str
    times: int


def by_resource(
    tx: Tx, place: Place, *, resource_type: str | None, resource_id: str | None, after: tuple[str, str], limit: int
) -> list[Counted]:
    """The verdicts on the next `limit` resources, behind `after` (type, id). Several entries for a resource follow each other."""
    rows = tx.all(
        """
        SELECT v.resource_type, v.resource_id, v.compliance, COUNT(*) FROM config_verdict v
        JOIN (
            SELECT DISTINCT resource_type, resource_id FROM config_verdict
            WHERE account = :account AND region = :region
            AND (resource_type, resource_id) > (:after_type, :after_id)
            AND (resource_type = :type OR :any_type = 1) AND (resource_id = :id OR :any_id = 1)
            ORDER BY resource_type, resource_id LIMIT :limit
        ) AS page ON page.resource_type = v.resource_type AND page.resource_id = v.resource_id
        WHERE v.account = :account AND v.region = :region
        GROUP BY v.resource_type, v.resource_id, v.compliance
        ORDER BY v.resource_type, v.resource_id, v.compliance
        """,
        account=place.account,
        region=place.region,
        after_type=after[0],
        after_id=after[1],
        type=resource_type or "",
        any_type=resource_type is None,
        id=resource_id or "",
        any_id=resource_id is None,
        limit=limit,
    )
    return [Counted(*row) for row in rows]


def by_rule(tx: Tx, place: Place) -> dict[str, dict[str, int]]:
    """How often each rule of this place gave each verdict: by the rule's id, then by verdict."""
    rows = tx.all(
        """
        SELECT rule_id, compliance, COUNT(*) FROM config_verdict
        WHERE account = :account AND region = :region GROUP BY rule_id, compliance
        """,
        account=place.account,
        region=place.region,
    )
    found: dict[str, dict[str, int]] = {}
    for rule_id, compliance, count in rows:
        found.setdefault(rule_id, {})[compliance] = count
    return found


def resources_by_type(tx: Tx, place: Place) -> dict[str, tuple[int, int]]:
    """For each type of resource how many resources have verdicts, and how many of them a NON_COMPLIANT one."""
    rows = tx.all(
        """
        SELECT resource_type, COUNT(*), SUM(bad) FROM (
            SELECT resource_type, resource_id, MAX(CASE WHEN compliance = 'NON_COMPLIANT' THEN 1 ELSE 0 END) AS bad
            FROM config_verdict
            WHERE account = :account AND region = :region AND compliance IN ('COMPLIANT', 'NON_COMPLIANT')
            GROUP BY resource_type, resource_id
        ) AS each_one GROUP BY resource_type
        """,
        account=place.account,
        region=place.region,
    )
    return {resource_type: (count, int(bad)) for resource_type, count, bad in rows}


def keep(tx: Tx, place: Place, made: Iterable[Kept]) -> None:
    """These are the newest verdicts on their resources."""
    rest = iter(made)
    while some := list(islice(rest, AT_ONCE)):
        params: dict[str, Any] = {"account": place.account, "region": place.region}
        values = []
        for number, one in enumerate(some):
            row = {
                "rule": one.rule_id,
                "type": one.resource_type,
                "id": one.resource_id,
                "said": one.verdict.compliance,
                "note": one.verdict.annotation,
                "memo": one.verdict.memo,
                "ordered": one.ordered_at_ms,
                "invoked": one.invoked_at_ms,
                "recorded": one.recorded_at_ms,
            }
            params |= {f"{name}_{number}": value for name, value in row.items()}
            values.append(f"(:account, :region, {', '.join(f':{name}_{number}' for name in row)})")
        tx.run(
            unkept(
                f"""
                INSERT INTO config_verdict (account, region, {_COLUMNS}) VALUES {", ".join(values)}
                ON CONFLICT (rule_id, resource_type, resource_id) DO UPDATE SET
                    compliance = excluded.compliance, annotation = excluded.annotation, memo = excluded.memo,
                    ordered_at_ms = excluded.ordered_at_ms, invoked_at_ms = excluded.invoked_at_ms,
                    recorded_at_ms = excluded.recorded_at_ms
                """
            ),
            **params,
        )


def forget(tx: Tx, rule_id: str, resource_type: str, resource_ids: Sequence[str]) -> None:
    """The rule has nothing to say on these resources."""
    for resource_id in resource_ids:
        tx.run(
            unkept("""
            DELETE FROM config_verdict
            WHERE rule_id = :rule_id AND resource_type = :resource_type AND resource_id = :resource_id
            """),
            rule_id=rule_id,
            resource_type=resource_type,
            resource_id=resource_id,
        )


def forget_rule(tx: Tx, rule_id: str) -> None:
    """The rule has said nothing yet."""
    tx.run(unkept("DELETE FROM config_verdict WHERE rule_id = :rule_id"), rule_id=rule_id)


# -- what was touched -------------------------------------------------------------------------------------------------


class Touched(NamedTuple):
    """A resource that was changed, as it was named by whoever did it."""

    resource_type: str
    resource_id: str
    seen: int


def touch(tx: Tx, place: Place, resource_type: str, resource_id: str) -> None:
    """The resource is to be looked at."""
    tx.run(
        unkept("""
        INSERT INTO config_touched (account, region, resource_type, resource_id, seen)
        VALUES (:account, :region, :resource_type, :resource_id, 1)
        ON CONFLICT (account, region, resource_type, resource_id) DO UPDATE SET seen = config_touched.seen + 1
        """),
        account=place.account,
        region=place.region,
        resource_type=resource_type,
        resource_id=resource_id,
    )


def touched(tx: Tx, place: Place, limit: int) -> list[Touched]:
    rows = tx.all(
        """
        SELECT resource_type, resource_id, seen FROM config_touched
        WHERE account = :account AND region = :region ORDER BY resource_type, resource_id LIMIT :limit
        """,
        account=place.account,
        region=place.region,
        limit=limit,
    )
    return [Touched(*row) for row in rows]


def untouch_all(tx: Tx, place: Place) -> None:
    """Nothing waits to be looked at by itself: everything will be."""
    tx.run(
        unkept("DELETE FROM config_touched WHERE account = :account AND region = :region"),
        account=place.account,
        region=place.region,
    )


def untouch(tx: Tx, place: Place, looked_at: Iterable[Touched]) -> None:
    """These have been looked at. One that was changed meanwhile waits on."""
    for one in looked_at:
        tx.run(
            unkept("""
            DELETE FROM config_touched WHERE account = :account AND region = :region
            AND resource_type = :resource_type AND resource_id = :resource_id AND seen = :seen
            """),
            account=place.account,
            region=place.region,
            **one._asdict(),
        )
