"""Amazon Redshift: how to log in and how to set a password. It speaks PostgreSQL's protocol; driver: psycopg 3.

Every statement is one that Redshift and PostgreSQL both know, and carries its values in itself. Source: AWS's functions for Redshift.
"""

import os
from typing import Any

import psycopg
from psycopg import sql

ENGINE = "redshift"
ALSO: tuple[str, ...] = ()
NAME_LIMIT, NAME_UNIT = 127, "bytes"
BY_MASTER = False
keep = None
CONNECT_SECONDS = 5

_DATABASE_RIGHTS = ("CREATE", "TEMPORARY")
_SCHEMA_RIGHTS = ("CREATE", "USAGE")
_TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES")
_OWN = "schemaname <> 'information_schema' AND substring(schemaname, 1, 3) <> 'pg_'"

Connection = psycopg.Connection[Any]


def connect(secret: dict[str, Any]) -> Connection | None:
    """TLS with a verified certificate, unless the secret says `"ssl": false`; never plaintext without that word.

    The certificate authorities are the system's, or those of the file that SSL_ROOT_CERT names.
    """
    plain = str(secret.get("ssl", True)).lower() == "false"
    tls: dict[str, Any] = {"sslmode": "verify-full", "sslrootcert": os.environ.get("SSL_ROOT_CERT", "system")}
    try:
        return psycopg.connect(
            host=secret["host"],
            port=int(secret.get("port", 5439)),
            dbname=secret.get("dbname", "dev"),
            user=secret["username"],
            password=secret["password"],
            connect_timeout=CONNECT_SECONDS,
            autocommit=True,
            client_encoding="UTF8",  # unasked, Redshift says UNICODE, which psycopg does not know
            prepare_threshold=None,
            **({"sslmode": "disable"} if plain else tls),
        )
    except psycopg.OperationalError:
        return None


def set_password(
    connection: Connection,
    username: str,
    password: str,
    still: str | None,  # noqa: ARG001 - a user has one password
) -> None:
    """The server is sent the password: it knows no verifier that can be made here and logs in by SCRAM."""
    _run(connection, "ALTER USER {} PASSWORD {}", sql.Identifier(username), sql.Literal(password))


def set_clone(connection: Connection, username: str, clone: str, password: str) -> None:
    """A new clone has the rights of `username` and is in his groups, all in one transaction: it never exists without them."""
    with connection.transaction():
        if _rows(connection, "SELECT usename FROM pg_user WHERE usename = {}", sql.Literal(clone)):
            set_password(connection, clone, password, None)
            return
        if not _rows(connection, "SELECT usename FROM pg_user WHERE usename = {}", sql.Literal(username)):
            raise ValueError("The user to clone does not exist")
        _run(connection, "CREATE USER {} PASSWORD {}", sql.Identifier(clone), sql.Literal(password))
        _join_groups(connection, username, clone)
        _grant_what_he_may(connection, username, clone)


def _join_groups(connection: Connection, username: str, clone: str) -> None:
    found = "SELECT groname FROM pg_group, pg_user WHERE usename = {} AND usesysid = ANY (grolist)"
    for (group,) in _rows(connection, found, sql.Literal(username)):
        _run(connection, "ALTER GROUP {} ADD USER {}", sql.Identifier(group), sql.Identifier(clone))


def _grant_what_he_may(connection: Connection, username: str, clone: str) -> None:
    who, to = sql.Literal(username), sql.Identifier(clone)
    for right in _DATABASE_RIGHTS:
        databases = "SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege({}, datname, {})"
        for name in _rows(connection, databases, who, sql.Literal(right)):
            _run(connection, f"GRANT {right} ON DATABASE {{}} TO {{}}", sql.Identifier(*name), to)
    for right in _SCHEMA_RIGHTS:
        schemas = (
            f"SELECT DISTINCT schemaname FROM pg_tables WHERE {_OWN} AND has_schema_privilege({{}}, schemaname, {{}})"  # noqa: S608
        )
        for name in _rows(connection, schemas, who, sql.Literal(right)):
            _run(connection, f"GRANT {right} ON SCHEMA {{}} TO {{}}", sql.Identifier(*name), to)
    named = "quote_ident(schemaname) || '.' || quote_ident(tablename)"
    for right in _TABLE_RIGHTS:
        tables = (
            f"SELECT schemaname, tablename FROM pg_tables WHERE {_OWN} AND has_table_privilege({{}}, {named}, {{}})"  # noqa: S608
        )
        for name in _rows(connection, tables, who, sql.Literal(right)):
            _run(connection, f"GRANT {right} ON TABLE {{}} TO {{}}", sql.Identifier(*name), to)


def _run(connection: Connection, statement: str, *values: sql.Composable) -> None:
    connection.execute(sql.SQL(statement).format(*values))


def _rows(connection: Connection, query: str, *values: sql.Composable) -> list[tuple[str, ...]]:
    return connection.execute(sql.SQL(query).format(*values)).fetchall()
