"""Copies of a PostgreSQL database: one snapshot of every table, with nothing of PostgreSQL's own programs."""

from pathlib import Path
from typing import Any, BinaryIO

import psycopg
from psycopg import sql

from geumgo.storage import StorageError, terms
from geumgo.storage.postgres import OWN_TABLES, complete, named
from geumgo.storage.rows import SCHEMA_TABLE, Columns, begin_table, end_tables

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> ALL (%s) AND c.relname !~ %s
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname <> %s, c.relname, a.attnum
"""
_SESSION = "SET statement_timeout = 0; SET lock_timeout = 5000; SET application_name = 'geumgo backup'"


def copy_out(dsn: str, to: Path) -> dict[str, int]:
    """`to` is a new file of rows with everything committed before the call, as of one moment; writers are not held up.

    The snapshot is that of a transaction that only reads, REPEATABLE READ: every transaction is in it whole, or not at all. Answers the
    rows of each table. Raises StorageError if the database is out of reach, or is none of ours.
    """
    try:
        with psycopg.connect(complete(dsn), autocommit=True) as connection, to.open("xb") as out:
            connection.execute(_SESSION)
            return _copied(connection, out)
    except psycopg.Error as fault:
        raise StorageError(f"The database could not be copied: {named(fault)}.") from None


def refuse_filled(dsn: str) -> None:
    """Raises StorageError if the database holds anything, or is out of reach."""
    try:
        with psycopg.connect(complete(dsn), autocommit=True) as connection:
            tables = _tables(connection)
    except psycopg.Error as fault:
        raise StorageError(f"PostgreSQL is out of reach: {named(fault)}.") from None
    if tables:
        raise StorageError(f"The database is not empty: it has the table {min(tables)}. Name a new one.")


def _copied(connection: psycopg.Connection[Any], out: BinaryIO) -> dict[str, int]:
    tables = _tables(connection)
    if SCHEMA_TABLE not in tables:
        raise StorageError("There is nothing of Geumgo in this database.")
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        names = sql.SQL(", ").join(map(sql.Identifier, tables))
        # before the snapshot is taken: from here on no migration can change what the tables are
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
        if _tables(connection) != tables:
            raise StorageError("The tables of the database were changed just now; try again.")
        rows = {name: _copy(connection, out, name, columns) for name, columns in tables.items()}
    end_tables(out)
    return rows


def _copy(connection: psycopg.Connection[Any], out: BinaryIO, name: str, columns: Columns) -> int:
    begin_table(out, name, columns)
    text = sql.SQL("COPY {} ({}) TO STDOUT (FORMAT BINARY)").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cursor = connection.cursor()
    with cursor.copy(text) as pieces:
        out.writelines(pieces)
    return cursor.rowcount


def _tables(connection: psycopg.Connection[Any]) -> dict[str, Columns]:
    """The columns of every table, by its name; those that say which migrations were applied come first."""
    found: dict[str, Columns] = {}
    for table, column, kind in connection.execute(_COLUMNS, (list(OWN_TABLES), terms.PATTERN, SCHEMA_TABLE)):
        found.setdefault(table, {})[column] = kind
    return found
