"""Databases that the operator runs and has attached: log in as a user, change that user's password.

The only place beside the storage engines that imports database drivers, because it is the only one that goes out to databases of others.
What is true of HTTP is true here: a connection goes to public addresses or to what the operator listed, the name is resolved once, all its
addresses are checked, and the driver is given one of exactly these; TLS and its certificate are those of the name. Drivers are loaded where
they are used first: they are larger than all else that a process loads, and most never use any.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from geumgo.outbound import mongodb
from geumgo.outbound.addresses import Address, Allowed, read_url
from geumgo.outbound.client import Failed, Resolve, addresses_of, system_resolve

if TYPE_CHECKING:
    import psycopg

Dialect = Literal["postgresql", "redshift", "mysql", "mongodb"]
Still = Callable[[], None]
"""Raises if what comes next is not to be done any more."""
Change = Callable[[str, Still], None]

_NO_TLS: Final[dict[str, Any]] = {
    "sslmode": "disable",
    "require_auth": "scram-sha-256,md5",
}  # never the password itself in clear
_FIRST_WITH_SCRAM: Final = 100_000  # PostgreSQL 10
_DENIED_BY_MYSQL: Final = frozenset({1044, 1045, 1130, 1698, 3118, 4151})
_DENIED_BY_MONGODB: Final = frozenset({11, 13, 18})  # UserNotFound, Unauthorized, AuthenticationFailed
_DENIED_BY_POSTGRESQL: Final = ("authentication failed", "no pg_hba.conf entry", "does not exist", "is not permitted")


class Denied(Exception):
    """The database is there and does not let the user in. The message names no secret."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a database is, and how it is spoken to. `tls` False: in clear, because whoever attached it said so."""

    dialect: Dialect
    host: str
    port: int
    database: str = ""
    tls: bool = True


class Databases:
    """Logs in to databases. One value serves all threads.

    `authorities` is a PEM file with those that sign the databases' certificates; empty: the system's. `seconds` bounds each step of a
    connection.
    """

    def __init__(
        self, allowed: Allowed, *, authorities: str = "", resolve: Resolve = system_resolve, seconds: int = 5
    ) -> None:
        self._allowed = allowed
        self._authorities = authorities
        self._resolve = resolve
        self._seconds = seconds

    def logs_in(self, server: Server, username: str, password: str) -> bool:
        """Whether the database lets `username` in.

        Raises:
            Refused: the database is nowhere where this server goes.
            Failed: it cannot be reached, or what is reached is no such database or shows no certificate that is trusted.
        """
        try:
            with self._session(server, username, password):
                return True
        except Denied:
            return False

    def set_password(
        self, server: Server, username: str, password: str, new: str, *, still: Still = lambda: None
    ) -> None:
        """From now on `username` logs in with `new`; he has set it himself, logged in with `password`.

        PostgreSQL is sent a verifier made here, so no log of statements ever holds the password. Redshift is sent the password, as AWS's
        own rotation function does it; so are MySQL and MongoDB, which know no other way. `still` is called when nothing but the
        change itself is left to do: it raises if the password is not to be changed any more.

        Raises:
            Refused, Failed: as `logs_in`.
            Denied: it does not let the user in, or does not let him set a password.
        """
        with self._session(server, username, password) as change:
            change(new, still)

    @contextmanager
    def _session(self, server: Server, username: str, password: str) -> Iterator[Change]:
        name = f"[{server.host}]" if ":" in server.host else server.host
        host = read_url(f"https://{name}:{server.port}/", self._allowed).host
        addresses = addresses_of(host, server.port, self._allowed, self._resolve)
        begin = {"mysql": self._mysql, "mongodb": self._mongodb}.get(server.dialect, self._postgresql)
        with begin(server, host, self._reachable(addresses, server.port), username, password) as change:
            yield change

    def _reachable(self, addresses: list[Address], port: int) -> Address:
        """The first address that answers. What does not answer is told apart here from what does not let in."""
        for address in addresses:
            try:
                socket.create_connection((str(address), port), timeout=self._seconds).close()
            except OSError:
                continue
            return address
        raise Failed("The database cannot be reached.")

    # -- PostgreSQL, and Redshift, which speaks as PostgreSQL 8.0 did ---------------------------------------------------

    @contextmanager
    def _postgresql(
        self, server: Server, host: str, address: Address, username: str, password: str
    ) -> Iterator[Change]:
        import psycopg

        tls = _NO_TLS
        if server.tls:
            tls = {"sslmode": "verify-full", "sslrootcert": self._authorities or "system"}
        try:
            connection = psycopg.connect(
                host=host,
                hostaddr=str(address),
                port=server.port,
                dbname=server.database or "postgres",
                user=username,
                password=password,
                connect_timeout=self._seconds,
                autocommit=True,
                gssencmode="disable",
                client_encoding="UTF8",  # unasked, Redshift says UNICODE, which psycopg does not know
                **tls,
            )
        except psycopg.OperationalError as fault:
            if any(sign in str(fault) for sign in _DENIED_BY_POSTGRESQL):
                raise Denied("The database does not let the user in.") from None
            raise Failed(_not_spoken_to(server)) from None
        with connection:
            yield lambda new, still: _set_in_postgresql(connection, username, new, still, self._seconds)

    # -- MySQL and MariaDB --------------------------------------------------------------------------------------------

    @contextmanager
    def _mysql(self, server: Server, host: str, address: Address, username: str, password: str) -> Iterator[Change]:
        import pymysql

        tls: dict[str, Any] = {"ssl_disabled": True}
        if server.tls:
            tls = {"ssl": ssl.create_default_context(cafile=self._authorities or None)}
        connection = pymysql.Connection(
            host=host,
            port=server.port,
            user=username,
            password=password.encode(),  # PyMySQL would take text for latin-1
            database=server.database or None,
            charset="utf8mb4",
            read_timeout=self._seconds,
            write_timeout=self._seconds,
            autocommit=True,
            defer_connect=True,
            **tls,
        )
        try:
            connection.connect(socket.create_connection((str(address), server.port), timeout=self._seconds))
        except (pymysql.MySQLError, OSError, RuntimeError) as fault:
            if isinstance(fault, pymysql.MySQLError) and fault.args and fault.args[0] in _DENIED_BY_MYSQL:
                raise Denied("The database does not let the user in.") from None
            raise Failed(_not_spoken_to(server)) from None
        with connection:
            yield lambda new, still: _set_in_mysql(connection, new, still)

    # -- MongoDB and DocumentDB ---------------------------------------------------------------------------------------

    @contextmanager
    def _mongodb(self, server: Server, host: str, address: Address, username: str, password: str) -> Iterator[Change]:
        try:
            connected = socket.create_connection((str(address), server.port), timeout=self._seconds)
        except OSError:
            raise Failed("The database cannot be reached.") from None
        with ExitStack() as stack:
            stack.callback(connected.close)
            try:
                if server.tls:
                    trusted = ssl.create_default_context(cafile=self._authorities or None)
                    connected = stack.enter_context(trusted.wrap_socket(connected, server_hostname=host))
                session = mongodb.Session(connected, server.database or mongodb.USERS)
                session.log_in(username, password)
            except mongodb.Refused as refusal:
                if refusal.code in _DENIED_BY_MONGODB:
                    raise Denied("The database does not let the user in.") from None
                raise Failed(_not_spoken_to(server)) from None
            except (mongodb.NotMongo, OSError, ValueError):
                raise Failed(_not_spoken_to(server)) from None
            yield lambda new, still: _set_in_mongodb(session, username, new, still)


def _not_spoken_to(server: Server) -> str:
    certificate = " It must show a certificate for its name by an authority that is known here." if server.tls else ""
    return f"The database cannot be logged in to.{certificate}"


def _set_in_postgresql(
    connection: "psycopg.Connection[Any]", username: str, new: str, still: Still, seconds: int
) -> None:
    """Redshift says that it is PostgreSQL 8.0.2: it knows no verifier of SCRAM, and its roles are no users."""
    import psycopg
    from psycopg import sql

    statement, sent = sql.SQL("ALTER USER {} PASSWORD {}"), new
    try:
        connection.execute(sql.SQL("SET statement_timeout TO {}").format(sql.Literal(seconds * 1000)))
        if connection.info.server_version >= _FIRST_WITH_SCRAM:
            statement = sql.SQL("ALTER ROLE {} WITH PASSWORD {}")
            sent = _verifier(connection, username, new)
        still()
        connection.execute(statement.format(sql.Identifier(username), sql.Literal(sent)))
    except psycopg.errors.InsufficientPrivilege:
        raise Denied("The database does not let the user set a password.") from None
    except psycopg.Error as fault:
        raise Failed(f"The database did not set the password: {type(fault).__name__}.") from None


def _verifier(connection: "psycopg.Connection[Any]", username: str, password: str) -> str:
    """In the form that the server keeps. It is asked for here: libpq would ask it itself, and stop every thread meanwhile."""
    found = connection.execute("SHOW password_encryption").fetchone()
    algorithm = str(found[0]) if found is not None else "scram-sha-256"
    return connection.pgconn.encrypt_password(password.encode(), username.encode(), algorithm.encode()).decode()


def _set_in_mysql(connection: Any, new: str, still: Still) -> None:
    """Of the account that is logged in. MariaDB lets everybody set his own password with its own statement only."""
    import pymysql

    mariadb = "mariadb" in connection.server_version.lower()
    statement = "SET PASSWORD = PASSWORD(%s)" if mariadb else "ALTER USER CURRENT_USER() IDENTIFIED BY %s"
    still()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, (new,))
    except (pymysql.MySQLError, OSError) as fault:
        raise Failed(f"The database did not set the password: {type(fault).__name__}.") from None


def _set_in_mongodb(session: mongodb.Session, username: str, new: str, still: Still) -> None:
    still()
    try:
        session.command({"updateUser": username, "pwd": new})
    except mongodb.Refused as refusal:
        if refusal.code in _DENIED_BY_MONGODB:
            raise Denied("The database does not let the user set a password.") from None
        raise Failed(f"The database did not set the password: {refusal}.") from None
    except (mongodb.NotMongo, OSError) as fault:
        raise Failed(f"The database did not set the password: {type(fault).__name__}.") from None
