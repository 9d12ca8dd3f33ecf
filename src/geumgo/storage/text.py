"""SQL texts and the values beside them, before an engine sees them: the same rules for both engines.

Pure functions. An engine translates each SQL text once and keeps the outcome.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

# What a rewrite must step over: a string, a quoted name, a comment.
_STRING = r"'(?:[^']|'')*'"
_NAME = r'"(?:[^"]|"")*"'
_COMMENT = r"--[^\n]*"

_FOR_SQLITE = re.compile(
    rf'{_STRING}|(?P<collation>\bCOLLATE\s+"C")|{_NAME}|{_COMMENT}|(?P<bigint>\bBIGINT\b)|(?P<bytea>\bBYTEA\b)'
)
_FOR_POSTGRES = re.compile(
    rf"{_STRING}|{_NAME}|{_COMMENT}|::|:(?P<parameter>[A-Za-z_][A-Za-z0-9_]*)|(?P<in_order>\s*\bWITHOUT\s+ROWID\b)"
)
_NO_CODE = re.compile(rf"(?P<comment>{_COMMENT})|{_STRING}|{_NAME}")
_CREATES_TABLE = re.compile(r"\s*CREATE\s+TABLE\b", re.IGNORECASE)
_IN_ORDER = re.compile(r"\bWITHOUT\s+ROWID$")
_CHANGES_ROWS = re.compile(r"\b(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE)

_UNKEPT: Final = "-- nothing that is kept rests on these rows\n"
_UNDER: Final = re.compile(r"-- what is kept under :([a-z_]+) rests on these rows\n")
EVERYTHING: Final = "*"
"""In place of a parameter's name: all that is kept is dropped."""

HIGHEST = 2**63 - 1
LOWEST = -(2**63)


def checked(params: dict[str, Any]) -> dict[str, Any]:
    """`params` as both engines can keep them: str, bytes, None and int of 64 bit; a bool becomes 0 or 1.

    Raises:
        ValueError: a text holds NUL or half of a surrogate pair (PostgreSQL keeps neither), or an integer needs more
        than
            64 bit.
        TypeError: a value of any other type.
    """
    for name, value in params.items():
        kind = type(value)
        if kind is str:
            if "\0" in value:
                raise ValueError(f"parameter {name} holds NUL")
            if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
                raise ValueError(f"parameter {name} holds half of a surrogate pair")
        elif kind is int:
            if not LOWEST <= value <= HIGHEST:
                raise ValueError(f"parameter {name} needs more than 64 bit")
        elif value is not None and kind is not bytes:
            return checked({**params, name: _plain(name, value)})
    return params


def _plain(name: str, value: object) -> object:
    if isinstance(value, int):  # bool above all
        return int(value)
    if isinstance(value, str):  # an enumeration
        return str.__str__(value)
    raise TypeError(f"parameter {name} is {type(value).__name__}; rows hold str, bytes, int and None")


def checked_rows(rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """The same for the values of many rows. Raises as `checked`."""
    for values in zip(*rows, strict=True):
        kinds = set(map(type, values))
        if kinds - {int, bytes, str, type(None)}:
            return [tuple(checked({"in a row": value})["in a row"] for value in row) for row in rows]
        if int in kinds:
            numbers = values if len(kinds) == 1 else [value for value in values if type(value) is int]
            checked({"in a row": max(numbers)})
            checked({"in a row": min(numbers)})
        if str in kinds:
            for value in {value for value in values if type(value) is str}:
                checked({"in a row": value})
    return rows


def changes_rows(sql: str) -> bool:
    """Whether `sql` inserts, changes or deletes rows, so that it makes sense to count them."""
    return _CHANGES_ROWS.search(_NO_CODE.sub(" ", sql)) is not None


def unkept(sql: str) -> str:
    """`sql`, a change after which everything derived from rows is still true: of dates of use, leases, heads of the trail.

    A change that does not say so drops all that is kept, in every process (see storage.derived). So it must not be said of rows that
    decide anything for whoever finds an entry made before.
    """
    return _UNKEPT + sql


def kept_under(parameter: str, sql: str) -> str:
    """`sql`, a change that drops no more than what is kept under the value of `parameter`: an id of 32 hexadecimal digits.

    It must be said only of rows on which nothing rests that is kept otherwise: whatever is derived from them says `under` (see Tx.derived).
    """
    return f"-- what is kept under :{parameter} rests on these rows\n{sql}"


def drops(sql: str) -> str:
    """What is dropped after `sql`: nothing (""), what is kept under the parameter of this name, or EVERYTHING if that is not plain."""
    if sql.startswith(_UNKEPT) or (sql.lstrip()[:6].upper() == "SELECT" and not changes_rows(sql)):
        return ""
    under = _UNDER.match(sql)
    return under[1] if under is not None else EVERYTHING


def for_sqlite(sql: str) -> str:
    """`sql` in SQLite's dialect.

    The collation "C" is BINARY there: both compare UTF-8 byte by byte. Tables become STRICT, so that a value of the
    wrong type is refused as PostgreSQL refuses it; STRICT tables know INT and BLOB, not BIGINT and BYTEA.
    """
    text = _FOR_SQLITE.sub(_in_sqlite, sql)
    if not _CREATES_TABLE.match(text):
        return text
    bare = text.rstrip().rstrip(";").rstrip()
    return f"{bare}{',' if _IN_ORDER.search(bare) else ''}\nSTRICT"


def _in_sqlite(match: re.Match[str]) -> str:
    if match["collation"]:
        return "COLLATE BINARY"
    if match["bigint"]:
        return "INT"
    return "BLOB" if match["bytea"] else match[0]


def for_postgres(sql: str) -> tuple[str, tuple[str, ...]]:
    """`sql` with `$1`, `$2` ... in place of `:name`, and the names in the order of these numbers.

    Tables lie as PostgreSQL lays them: `WITHOUT ROWID` is left out.
    """
    numbers: dict[str, int] = {}

    def numbered(match: re.Match[str]) -> str:
        name = match["parameter"]
        if match["in_order"] is not None:
            return ""
        return match[0] if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _FOR_POSTGRES.sub(numbered, sql), tuple(numbers)


def statements(script: str) -> Iterator[str]:
    """The statements of a migration file, in order, without comments. A statement ends with `;` at the end of a line.

    Raises:
        ValueError: the file ends inside a statement, a string or a quoted name.
    """
    pending = ""
    for line in script.splitlines():
        pending = f"{pending}\n{line}" if pending else line
        bare = _without_comments(pending).strip()
        if not bare:
            pending = ""
        elif bare.endswith(";") and not re.search("['\"]", _NO_CODE.sub("", bare)):
            yield bare.removesuffix(";").rstrip()
            pending = ""
    if pending:
        raise ValueError(f"the last statement is not closed by ';' at the end of a line: {pending.strip()[:60]}")


def _without_comments(sql: str) -> str:
    return _NO_CODE.sub(lambda match: "" if match["comment"] else match[0], sql)
