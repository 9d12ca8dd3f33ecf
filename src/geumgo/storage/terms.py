"""In which terms of the root keys rows may be sealed, of a database that several machines share: a table for each term that may.

Every writing transaction locks the table of its term together with its turn, so a term is closed by dropping its table: that waits for
those that are under way, and none begins any more. What a machine with old root keys would write then could be read by nobody once the
others have dropped them; so its processes end instead, and serve again when they have been given the keyring.

The table has a row with the name of the machine that has begun the term, if one has.
"""

from typing import Final

from geumgo.storage import Broken

PATTERN: Final = "^sealed_in_[0-9]+$"
NAMES: Final = f"""
SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '{PATTERN}' AND relnamespace = current_schema()::regnamespace
"""  # noqa: S608 - a pattern of ours
NAMED: Final = (
    "SELECT set_config('application_name', left(current_setting('application_name'), 40) || ' term {term}', false)"
)
USERS: Final = """
SELECT DISTINCT substring(application_name FROM ' term ([0-9]+)$')::bigint, coalesce(host(client_addr), 'here')
FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ ' term [0-9]+$'
"""


class Closed(Broken):
    """Rows are no longer sealed in the term of this process. It must end; what it had not committed is not kept."""


def table_of(term: int) -> str:
    return f"sealed_in_{int(term)}"


def term_of(table: str) -> int:
    return int(table.rpartition("_")[2])


def closed(term: int, open_ones: list[int]) -> Closed:
    """A sentence for the operator."""
    now = ", ".join(map(str, open_ones)) or "none"
    return Closed(
        f"The root keys in keyring.json (term {term}) are not those of this database any more (term {now}): they were renewed on another "
        "machine. Copy its keyring.json into this data directory (mode 0600); nothing else is needed."
    )


def turns(term: int | None, turn: str) -> tuple[bytes, bytes]:
    """What a writing transaction begins with: its turn among others, and its turn alone. Source: LOCK, PostgreSQL documentation."""
    own = table_of(term) if term is not None else ""
    shared = f"; LOCK TABLE {turn}{', ' + own if own else ''} IN ROW SHARE MODE"
    lone = f"; LOCK TABLE {turn} IN EXCLUSIVE MODE{'; LOCK TABLE ' + own + ' IN ROW SHARE MODE' if own else ''}"
    return shared.encode(), lone.encode()
