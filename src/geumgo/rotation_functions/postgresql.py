"""PostgreSQL: how to log in and how to set a password. Driver: psycopg 3."""

import os
from typing import Any

import psycopg
from psycopg import sql

ENGINE = "postgres"
ALSO = ("aurora-postgresql",)
NAME_LIMIT, NAME_UNIT = 63, "bytes"  # PostgreSQL cuts longer names silently
BY_MASTER = False
keep = None
CONNECT_SECONDS = 5


def connect(secret: dict[str, Any]) -> psycopg.Connection[Any] | None:
    """TLS with a verified certificate, unless the secret says `"ssl": false`; never plaintext without that word.

    The certificate authorities are the system's, or those of the file that SSL_ROOT_CERT names.
    """
    plain = str(secret.get("ssl", True)).lower() == "false"
    tls: dict[str, Any] = {"sslmode": "verify-full", "sslrootcert": os.environ.get("SSL_ROOT_CERT", "system")}
    try:
        return psycopg.connect(
            host=secret["host"],
            port=int(secret.get("port", 5432)),
            dbname=secret.get("dbname", "postgres"),
            user=secret["username"],
            password=secret["password"],
            connect_timeout=CONNECT_SECONDS,
            autocommit=True,
            **({"sslmode": "disable"} if plain else tls),
        )
    except psycopg.OperationalError:
        return None


def set_password(
    connection: psycopg.Connection[Any],
    username: str,
    password: str,
    still: str | None,  # noqa: ARG001 - a role has one password
) -> None:
    _with_password(connection, "ALTER ROLE {} WITH PASSWORD {}", username, password)


def set_clone(connection: psycopg.Connection[Any], username: str, clone: str, password: str) -> None:
    """A new clone is a member of `username`, made in the same transaction: it never exists without its rights."""
    with connection.transaction():
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (clone,)).fetchone()
        if found:
            set_password(connection, clone, password, None)
            return
        _with_password(connection, "CREATE ROLE {} WITH LOGIN PASSWORD {}", clone, password)
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(username), sql.Identifier(clone)))


def _with_password(connection: psycopg.Connection[Any], statement: Any, username: str, password: str) -> None:
    """The server is sent a verifier made here, so no statement log ever holds the password."""
    verifier = connection.pgconn.encrypt_password(password.encode(), username.encode()).decode()
    connection.execute(sql.SQL(statement).format(sql.Identifier(username), sql.Literal(verifier)))
