"""Terms of a PostgreSQL database are opened and closed. See `storage.terms`."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg import sql

from geumgo.storage import Conflict, StorageError
from geumgo.storage.postgres import complete, named
from geumgo.storage.terms import NAMES, USERS, table_of, term_of

TRIES: Final = 20
PAUSE_SECONDS: Final = 0.25
_SESSION: Final = "SET statement_timeout = 0; SET lock_timeout = 2000; SET application_name = 'geumgo rekey'"


T = TypeVar("T")


class Terms:
    """The terms of one database. Every method raises StorageError."""

    def __init__(self, dsn: str) -> None:
        self._dsn = complete(dsn)

    def open_ones(self) -> dict[int, str]:
        """The terms in which rows may be sealed, each with the machine that has begun it; "": it was there from the beginning."""
        return self._do(_open_ones)

    def allow(self, term: int, node: str) -> None:
        """Rows may be sealed in `term`, which `node` has begun."""

        def work(connection: psycopg.Connection[Any]) -> None:
            name = sql.Identifier(table_of(term))
            connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} (node TEXT NOT NULL)").format(name))
            connection.execute(sql.SQL("DELETE FROM {}").format(name))
            connection.execute(sql.SQL("INSERT INTO {} (node) VALUES (%s)").format(name), (node,))

        self._do(work)

    def close_below(self, term: int) -> list[int]:
        """Nobody seals in a term older than this one any more, and everything that was is committed. Answers which were closed."""

        def work(connection: psycopg.Connection[Any]) -> list[int]:
            older = sorted(each for each in _open_ones(connection) if each < term)
            for each in older:
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(table_of(each))))
            return older

        return self._do(work)

    def users_below(self, term: int) -> list[str]:
        """Where connections come from whose processes seal in an older term, as far as the server tells."""
        found = self._do(lambda connection: connection.execute(USERS).fetchall())
        return sorted({where for used, where in found if used < term})

    def _do(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        for left in reversed(range(TRIES)):
            try:
                with psycopg.connect(self._dsn, autocommit=True) as connection:
                    connection.execute(_SESSION)
                    with connection.transaction():
                        return work(connection)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as fault:
                if not left:
                    raise Conflict(f"PostgreSQL: {named(fault)}") from None
                time.sleep(PAUSE_SECONDS)
            except psycopg.Error as fault:
                raise StorageError(f"PostgreSQL: {named(fault)}") from None
        raise AssertionError("not reached")


def _open_ones(connection: psycopg.Connection[Any]) -> dict[int, str]:
    found = {}
    for (table,) in connection.execute(NAMES).fetchall():
        row = connection.execute(sql.SQL("SELECT node FROM {}").format(sql.Identifier(table))).fetchone()
        found[term_of(table)] = row[0] if row is not None else ""
    return found
