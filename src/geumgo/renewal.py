# ruff: noqa: S608 - what is put into the texts are names of tables and columns, which the rooms name in their programs
"""What is kept under the root keys, table by table, and how its rows come under the newest term.

A row says itself in which term it was sealed, so there is no journal: a walk that was cut short is begun again, and finds only what is
left. A row is proven in its old term before it is written in the new one. One that cannot be proven stays as it is, and is named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from geumgo.sealing import Sealing, Unsealable
from geumgo.sealing.root import wrapping_id
from geumgo.storage import Tx

Cell = str | int | bytes | None
Position = tuple[str | int, ...]
"""The primary key of a row."""
Renewed = Callable[[Tx, Sealing, Mapping[str, Any]], Mapping[str, Cell] | None]

AT_ONCE: Final = 200
"""Rows of one transaction: what others wait for is a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A column that says in which term it was made.

    A MAC begins with the term. What was wrapped names the key of its `purpose`; whatever names another key is not under the root keys.
    `is_text`: a MAC in hexadecimal digits.
    """

    column: str
    purpose: str = ""
    is_text: bool = False

    def older(self) -> str:
        """A condition: the row is not in the term of the parameters that `parameters` gives."""
        if self.is_text:
            return f"substr({self.column}, 1, 8) <> :term_text"
        if not self.purpose:
            return f"substr({self.column}, 1, 4) <> :term"
        return f"(substr({self.column}, 3, 16) = :{self._key} AND substr({self.column}, 19, 4) <> :term)"

    def parameters(self, term: int) -> dict[str, Cell]:
        if self.is_text:
            return {"term_text": term.to_bytes(4, "big").hex()}
        named: dict[str, Cell] = {"term": term.to_bytes(4, "big")}
        return {**named, self._key: wrapping_id(self.purpose)} if self.purpose else named

    @property
    def _key(self) -> str:
        return f"key_{self.purpose}"


MAC: Final = Mark("mac")


@dataclass(frozen=True, slots=True)
class Renewal:
    """A table with something under the root keys.

    `key` is its primary key, `marks` are the columns that say their term, `columns` what `renewed` needs besides. That proves a row and
    answers the columns that change, sealed in the newest term, or None for a row that is of no use after a change of the root keys.
    Raises Unsealable if the row is not the one that we wrote.
    """

    table: str
    key: tuple[str, ...]
    marks: tuple[Mark, ...]
    columns: tuple[str, ...]
    renewed: Renewed
    at_once: int = AT_ONCE

    def selected(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.key, *self.columns, *(mark.column for mark in self.marks))))

    def older(self) -> str:
        return f"({' OR '.join(mark.older() for mark in self.marks)})"

    def parameters(self, term: int) -> dict[str, Cell]:
        return {name: value for mark in self.marks for name, value in mark.parameters(term).items()}


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row that nobody but a stranger, or a failing disk, can have written."""

    table: str
    key: Position
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction did. `after`: where the next one goes on; None: the table is through."""

    renewed: int
    damaged: tuple[Damaged, ...]
    after: Position | None


def vouched(table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> Renewal:
    """A table whose column `mac` vouches for exactly `columns`, and which has nothing sealed."""

    def renewed(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, Cell]:
        return {"mac": vouch_anew(sealing, table, {name: row[name] for name in columns}, row["mac"])}

    return Renewal(table, key, (MAC,), columns, renewed)


def vouch_anew(sealing: Sealing, table: str, cells: Mapping[str, Any], mac: bytes, **sealed: Any) -> bytes:
    """A MAC in the newest term for a row that `mac` vouches for, with what was `sealed` anew in it. Raises Unsealable."""
    sealing.check(table, cells, mac)
    return sealing.vouch(table, {**cells, **sealed})


def count(tx: Tx, *, renewal: Renewal, term: int) -> int:
    """How many rows are not in `term`."""
    row = tx.one(f"SELECT COUNT(*) FROM {renewal.table} WHERE {renewal.older()}", **renewal.parameters(term))
    assert row is not None, "a count has a row"
    return int(row[0])


def step(tx: Tx, *, sealing: Sealing, renewal: Renewal, term: int, after: Position | None) -> Step:
    """The next rows behind `after` are in `term`, the newest of `sealing`, but for those that are damaged."""
    columns = renewal.selected()
    behind, where = "", {}
    if after is not None:
        where = {f"after_{name}": value for name, value in zip(renewal.key, after, strict=True)}
        behind = f"AND ({', '.join(renewal.key)}) > ({', '.join(f':{name}' for name in where)})"
    found = tx.all(
        f"SELECT {', '.join(columns)} FROM {renewal.table} WHERE {renewal.older()} {behind} "
        f"ORDER BY {', '.join(renewal.key)} LIMIT :at_once",
        **renewal.parameters(term),
        **where,
        at_once=renewal.at_once,
    )
    damaged: list[Damaged] = []
    position: Position | None = None
    for cells in found:
        row = dict(zip(columns, cells, strict=True))
        position = tuple(row[name] for name in renewal.key)
        try:
            changes = renewal.renewed(tx, sealing, row)
        except Unsealable as fault:
            damaged.append(Damaged(renewal.table, position, str(fault) or "what is sealed in it does not open"))
            continue
        _write(tx, renewal, row, changes)
    ended = len(found) < renewal.at_once
    return Step(len(found) - len(damaged), tuple(damaged), None if ended else position)


def _write(tx: Tx, renewal: Renewal, row: Mapping[str, Any], changes: Mapping[str, Cell] | None) -> None:
    here = " AND ".join(f"{name} = :{name}" for name in renewal.key)
    key = {name: row[name] for name in renewal.key}
    if changes is None:
        changed = tx.run(f"DELETE FROM {renewal.table} WHERE {here}", **key)
    else:
        setting = ", ".join(f"{name} = :{name}" for name in changes)
        changed = tx.run(f"UPDATE {renewal.table} SET {setting} WHERE {here}", **key, **changes)
    assert changed == 1, f"a row of {renewal.table} changed under an open transaction"


def renew_all(tx: Tx, sealing: Sealing, renewals: Sequence[Renewal], term: int) -> int:
    """Every row of these tables is in `term`, in one transaction. Answers how many were not.

    Raises Unsealable for the first that is damaged.
    """
    done = 0
    for renewal in renewals:
        after: Position | None = None
        while True:
            went = step(tx, sealing=sealing, renewal=renewal, term=term, after=after)
            if went.damaged:
                raise Unsealable(f"{went.damaged[0].table}: {went.damaged[0].why}")
            done += went.renewed
            after = went.after
            if after is None:
                break
    return done
