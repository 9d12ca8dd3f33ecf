"""PyGreSQL's DB-API module `pgdb`, as far as rotation functions use it, on psycopg 3.

Values are put into statements here, because ALTER USER ... PASSWORD takes no parameters; rows are named tuples; `with` on a connection
commits, and leaves it open. A connection that cannot be made is an InternalError. Source: PyGreSQL 6.2, which the tests of this module
were tried with.
"""

from typing import Any, Self

import psycopg
from psycopg import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004  as DB-API 2 calls it
)
from psycopg.rows import namedtuple_row

__all__ = [
    "Connection",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]

apilevel = "2.0"
threadsafety = 1
paramstyle = "pyformat"


class Connection(psycopg.Connection[Any]):
    """A connection in a transaction, as DB-API 2 has it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        """Commits, or rolls back what ended with an exception; the connection stays open."""
        if kind is None:
            self.commit()
        else:
            self.rollback()


def connect(
    dsn: str | None = None,
    user: str | None = None,
    password: str | None = None,
    host: str | None = None,
    database: str | None = None,
    **options: Any,
) -> Connection:
    """A connection. `dsn` is "host:database:user:password:options", `host` may end in ":port"; `options` are those of libpq.

    Raises InternalError, with the message of libpq.
    """
    parts = [part or None for part in (dsn or "").split(":", 4)]
    said = dict(zip(("host", "dbname", "user", "password", "options"), parts, strict=False))
    place, _, port = (host or "").partition(":") if (host or "").count(":") == 1 else (host or "", "", "")
    own = {"host": place, "port": port, "dbname": database, "user": user, "password": password}
    given = {"client_encoding": "UTF8", **said, **{name: value for name, value in own.items() if value}, **options}
    try:
        return Connection.connect(
            **{name: value for name, value in given.items() if value is not None},
            cursor_factory=psycopg.ClientCursor[Any],
            row_factory=namedtuple_row,
            prepare_threshold=None,
        )
    except (psycopg.OperationalError, UnicodeError) as fault:
        raise InternalError(str(fault)) from None
