# ruff: noqa: S608 - what is put into the texts are names of columns and conditions, which are constants
"""Secrets in the order of a listing, a page at a time, with what is told of each.

Rows that no filter can mean are passed over by the database; every row that is shown is vouched for. Whoever can change rows could hide one
from a filter so, as he could remove it.
"""

from typing import Any, Final, NamedTuple

from geumgo.sealing import Sealing
from geumgo.services.secretsmanager import store, store_external, store_rotation
from geumgo.services.secretsmanager.domain_filters import Part, Sieve
from geumgo.services.secretsmanager.domain_rotation import Rotation
from geumgo.services.secretsmanager.records import Secret
from geumgo.services.secretsmanager.store_external import External
from geumgo.storage import Row, Tx

Position = tuple[str | int, str]

_SORTED_BY: Final = {
    "created-date": "s.created_at_ms",
    "last-changed-date": "s.changed_at_ms",
    "last-accessed-date": "COALESCE(d.day_ms, 0)",
    "name": "s.name",
}
_WITHOUT_AN_INDEX: Final = "last-accessed-date"
_HIGHEST: Final = "\U0010ffff"

_ROTATION: Final = (*store_rotation.COLUMNS, "mac")
_EXTERNAL: Final = (*store_external.COLUMNS, "mac")
_COLUMNS: Final = ", ".join(
    (store.SECRET, "d.day_ms", *(f"r.{name}" for name in _ROTATION), *(f"e.{name}" for name in _EXTERNAL))
)
_DAY: Final = store.WIDTH
_ROTATION_AT: Final = slice(_DAY + 1, _DAY + 1 + len(_ROTATION))
_EXTERNAL_AT: Final = slice(_ROTATION_AT.stop, _ROTATION_AT.stop + len(_EXTERNAL))
_READ: Final = "LEFT JOIN secret_read d ON d.secret_id = s.id AND d.version_id = ''"
_TOLD: Final = """
    LEFT JOIN secret_rotation r ON r.secret_id = s.id
    LEFT JOIN secret_external e ON e.secret_id = s.id AND s.secret_type IS NOT NULL
"""


class Listed(NamedTuple):
    """A secret in a listing: when it was read last, how it is rotated, and its place in the order."""

    secret: Secret
    read_day_ms: int | None
    rotation: Rotation | None
    external: External | None
    position: Position


class Order(NamedTuple):
    """How a listing is sorted."""

    by: str
    descending: bool


class Range(NamedTuple):
    """The secrets of an account in a region that lie behind `after` and not behind `until`, where a beginning of the name is `prefix`."""

    account: str
    region: str
    order: Order
    after: Position | None
    until: Position | None = None
    prefix: str = ""


def list_secrets(
    tx: Tx, sealing: Sealing, among: Range, *, deleted_too: bool, sieve: Sieve = (), limit: int
) -> list[Listed]:
    """The next secrets of a range whose rows hold what `sieve` asks for."""
    conditions, params = _within(among)
    if not deleted_too:
        conditions.append("s.deleted_at_ms IS NULL")
    for alternatives in sieve:
        conditions.append(_any_of([_all_of([_holds(part, params) for part in parts]) for parts in alternatives]))
    rows = tx.all(
        f"""
        SELECT {_COLUMNS}, {_SORTED_BY[among.order.by]} FROM secret s {_READ} {_TOLD}
        WHERE {" AND ".join(conditions)} {_ordered(among.order)} LIMIT :limit
        """,
        **params,
        limit=limit,
    )
    return [_as_listed(sealing, row) for row in rows]


def place_of(tx: Tx, among: Range, number: int) -> Position | None:
    """The place of the secret that has `number` of the range before it; None if there is none, or if all must be sorted to find it."""
    if among.order.by == _WITHOUT_AN_INDEX:
        return None
    conditions, params = _within(among)
    row = tx.one(
        f"""
        SELECT {_SORTED_BY[among.order.by]}, s.id FROM secret s
        WHERE {" AND ".join(conditions)} {_ordered(among.order)} LIMIT 1 OFFSET :number
        """,
        **params,
        number=number,
    )
    return None if row is None else (row[0], row[1])


def _within(among: Range) -> tuple[list[str], dict[str, Any]]:
    column = _SORTED_BY[among.order.by]
    follows, precedes = ("<", ">=") if among.order.descending else (">", "<=")
    conditions = ["s.account = :account", "s.region = :region"]
    params: dict[str, Any] = {"account": among.account, "region": among.region}
    if among.prefix:
        conditions.append("s.name >= :prefix AND s.name < :beyond")
        params.update(prefix=among.prefix, beyond=among.prefix + _HIGHEST)
    for position, way, name in ((among.after, follows, "after"), (among.until, precedes, "until")):
        if position is not None:
            conditions.append(f"({column}, s.id) {way} (:{name}, :{name}_id)")
            params |= {name: position[0], f"{name}_id": position[1]}
    return conditions, params


def _ordered(order: Order) -> str:
    way = "DESC" if order.descending else "ASC"
    return f"ORDER BY {_SORTED_BY[order.by]} {way}, s.id {way}"


def _holds(part: Part, params: dict[str, Any]) -> str:
    name = f"part_{len(params)}"
    params[name] = part.pattern
    columns = [f"LOWER(s.{column})" if part.lower else f"s.{column}" for column in part.columns]
    return _any_of([f"{column} LIKE :{name} ESCAPE '\\'" for column in columns])


def _any_of(conditions: list[str]) -> str:
    return f"({' OR '.join(conditions)})" if conditions else "(1 = 0)"


def _all_of(conditions: list[str]) -> str:
    return f"({' AND '.join(conditions)})"


def _as_listed(sealing: Sealing, row: Row) -> Listed:
    secret, rotated, external = store.as_secret(sealing, row), row[_ROTATION_AT], row[_EXTERNAL_AT]
    return Listed(
        secret,
        row[_DAY],
        None if rotated[0] is None else store_rotation.as_rotation(sealing, rotated),
        None if external[0] is None else store_external.as_external(sealing, external),
        (row[-1], secret.id),
    )
