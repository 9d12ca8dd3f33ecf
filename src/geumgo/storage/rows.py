"""A whole database as a file of rows, which either engine can be filled from.

    file  = table ... || 0 (u32)
    table = length (u32) || JSON {"table": name, "columns": {name: "text", "bigint" or "bytea", ...}} || rows
    rows  = what PostgreSQL's COPY ... (FORMAT binary) writes: it says itself where it ends

Numbers are big-endian. Source: "COPY", section "Binary Format", PostgreSQL documentation.
"""

import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from geumgo.storage import Row, StorageError

SCHEMA_TABLE: Final = "schema_migration"
"""Which migrations a database had. It comes first: what the other tables are like follows from it."""
HEAD_BYTES: Final = 1 << 20  # the description of a table is never longer
FIELD_BYTES: Final = 1 << 30  # nor is a value: PostgreSQL's own limit

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_U32: Final = struct.Struct(">I")
_I32: Final = struct.Struct(">i")
_I16: Final = struct.Struct(">h")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

Columns = dict[str, str]
"""The type of each column by its name, in the order of the columns."""


def _whole_number(raw: bytes) -> int:
    if len(raw) != 8:
        raise broken()
    return int.from_bytes(raw, "big", signed=True)


_TYPES: Final[dict[str, Callable[[bytes], Any]]] = {"bigint": _whole_number, "text": bytes.decode, "bytea": bytes}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a database that is copied. `rows` can be gone through once, before the next table is asked for."""

    name: str
    columns: tuple[str, ...]
    rows: Iterable[Row]


def begin_table(out: BinaryIO, name: str, columns: Columns) -> None:
    """The rows of the table follow, as COPY writes them. Raises StorageError if a column has a type that rows do not have."""
    strange = set(columns.values()) - _TYPES.keys()
    if strange:
        raise StorageError(f"The table {name} has a column of a type that Geumgo never makes: {min(strange)}.")
    head = json.dumps({"table": name, "columns": columns}).encode()
    out.write(_U32.pack(len(head)) + head)


def end_tables(out: BinaryIO) -> None:
    out.write(_U32.pack(0))


def tables_of(path: Path) -> Iterator[Table]:
    """The tables of a file. Raises StorageError if it is not whole."""
    with path.open("rb") as file:
        while length := _U32.unpack(_exactly(file, _U32.size))[0]:
            if length > HEAD_BYTES:
                raise broken()
            name, columns = _head(_exactly(file, length))
            rows = _rows(file, [_TYPES[kind] for kind in columns.values()])
            yield Table(name, tuple(columns), rows)
            if next(rows, None) is not None:
                raise AssertionError(f"the rows of {name} were not all taken")
        if file.read(1):
            raise broken()


def counted(path: Path) -> dict[str, int]:
    """How many rows each table has. Raises StorageError if the file is not whole."""
    found: dict[str, int] = {}
    for table in tables_of(path):
        if table.name in found:
            raise broken()
        found[table.name] = sum(1 for _ in table.rows)
    return found


def broken() -> StorageError:
    return StorageError("The copy of the database is not whole.")


def _head(text: bytes) -> tuple[str, Columns]:
    try:
        found = json.loads(text)
        name, columns = found["table"], dict(found["columns"])
    except (ValueError, KeyError, TypeError):
        raise broken() from None
    for each in (name, *columns):
        if not isinstance(each, str) or not _NAME.fullmatch(each):
            raise broken()
    if not all(isinstance(kind, str) and kind in _TYPES for kind in columns.values()):
        raise broken()
    return name, columns


def _rows(file: BinaryIO, types: list[Callable[[bytes], Any]]) -> Iterator[Row]:
    if _exactly(file, len(_SIGNATURE)) != _SIGNATURE:
        raise broken()
    while (fields := _I16.unpack(_exactly(file, _I16.size))[0]) != -1:
        if fields != len(types):
            raise broken()
        try:
            yield tuple(_field(file, kind) for kind in types)
        except UnicodeDecodeError:
            raise broken() from None


def _field(file: BinaryIO, kind: Callable[[bytes], Any]) -> Any:
    length = _I32.unpack(_exactly(file, _I32.size))[0]
    if length == -1:
        return None
    if not 0 <= length <= FIELD_BYTES:
        raise broken()
    return kind(_exactly(file, length))


def _exactly(file: BinaryIO, length: int) -> bytes:
    found = file.read(length)
    if len(found) != length:
        raise broken()
    return found
