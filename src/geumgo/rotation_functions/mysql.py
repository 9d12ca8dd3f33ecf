"""MySQL: how to log in and how to set a password. Driver: PyMySQL. `mariadb` is the same but for its name."""

import os
import re
import secrets
import ssl
from typing import Any

import pymysql

ENGINE = "mysql"
ALSO = ("aurora-mysql",)
NAME_LIMIT, NAME_UNIT = 32, "characters"  # the server refuses longer ones
BY_MASTER = False
keep = None
SECONDS = 5

NO_RIGHT = "GRANT USAGE ON *.*"
_QUOTED = re.compile(r"'(?:[^'\\]|''|\\.)*'|`(?:[^`]|``)*`")
_IDENTIFIED = re.compile(r" IDENTIFIED .*?(?= REQUIRE | WITH |$)", re.DOTALL)

Connection = Any  # PyMySQL has no types


def connect(secret: dict[str, Any]) -> Connection | None:
    """TLS with a verified certificate, unless the secret says `"ssl": false`; never plaintext without that word.

    The certificate authorities are the system's, or those of the file that SSL_ROOT_CERT names. PyMySQL ends the connection before
    the password when TLS is wanted and not offered.
    """
    plain = str(secret.get("ssl", True)).lower() == "false"
    tls: dict[str, Any] = {"ssl_disabled": True}
    if not plain:
        tls = {"ssl": ssl.create_default_context(cafile=os.environ.get("SSL_ROOT_CERT"))}
    try:
        return pymysql.connect(
            host=secret["host"],
            port=int(secret.get("port", 3306)),
            user=secret["username"],
            password=secret["password"].encode(),  # PyMySQL would take text for latin-1
            database=secret.get("dbname"),
            charset="utf8mb4",
            init_command="SET SESSION sql_mode = ''",  # so that names are shown as they are quoted here
            connect_timeout=SECONDS,
            read_timeout=SECONDS,
            write_timeout=SECONDS,
            autocommit=True,
            **tls,
        )
    except pymysql.OperationalError:
        return None


def set_password(connection: Connection, username: str, password: str, still: str | None) -> None:  # noqa: ARG001 - itself
    """Of the account that is logged in: the same name may have another account for another host."""
    if _is_mariadb(connection):
        _do(connection, "SET PASSWORD = PASSWORD(%s)", password)
    else:
        _do(connection, "ALTER USER CURRENT_USER() IDENTIFIED BY %s", password)


def set_clone(connection: Connection, username: str, clone: str, password: str) -> None:
    """A clone has an account for each host that `username` has an open one for, with the same rights and the same demand for TLS.

    No statement makes an account together with its rights, so a new one has a password that nobody knows until it has them all. Rights are
    copied at each rotation, as AWS's functions do it: what one of the two was granted since, the other has when it becomes the current one.
    """
    hosts = [host for host in _hosts(connection, username) if not _is_locked(connection, _account(username, host))]
    if not hosts:
        raise ValueError("The user to clone has no account that is open")
    unknown = password + secrets.token_hex(16)  # whatever rules there are for passwords, it keeps them, too
    for host in hosts:
        copy = _account(clone, host)
        _do(connection, f"CREATE USER IF NOT EXISTS {copy} IDENTIFIED BY %s", unknown)
        demand, values = _demand(connection, username, host)
        _do(connection, f"ALTER USER {copy} REQUIRE {demand}", *values)
        for statement in _rights(connection, username, clone, host):
            _do(connection, _literal(statement))
        if not _is_mariadb(connection) and not connection.server_version.startswith("5."):
            _do(connection, f"SET DEFAULT ROLE ALL TO {copy}")
    accounts = [_account(clone, host) for host in sorted({*hosts, *_hosts(connection, clone)})]
    each = ", ".join(f"{account} IDENTIFIED BY %s" for account in accounts)
    _do(connection, f"ALTER USER {each}", *[password] * len(accounts))


def _demand(connection: Connection, username: str, host: str) -> tuple[str, list[str]]:
    """What the account demands of TLS, as it stands after REQUIRE, and the values in it."""
    columns = "ssl_type, ssl_cipher, x509_issuer, x509_subject"
    ((kind, *found),) = _do(
        connection,
        f"SELECT {columns} FROM mysql.user WHERE user = %s AND host = %s",  # noqa: S608 - no name is in it
        username,
        host,
    )
    if kind != "SPECIFIED":
        return {"ANY": "SSL", "X509": "X509"}.get(kind, "NONE"), []
    told = [text.decode() if isinstance(text, bytes) else str(text or "") for text in found]
    named = [(word, text) for word, text in zip(("CIPHER", "ISSUER", "SUBJECT"), told, strict=True) if text]
    return " AND ".join(f"{word} %s" for word, _ in named), [text for _, text in named]


def _rights(connection: Connection, username: str, clone: str, host: str) -> list[str]:
    """Statements that give the clone what `username` may do. Raises ValueError when nothing in what the server shows is about him."""
    shown = _do(connection, f"SHOW GRANTS FOR {_account(username, host)}")
    told = [for_another(right, username, clone, host) for (right,) in shown]
    if all(each is None for each in told):
        raise ValueError("The rights of the user to clone are shown in words that are not known here")
    return [each for each in told if each]


def for_another(right: str, username: str, clone: str, host: str) -> str | None:
    """A line of SHOW GRANTS for `username`, as a statement that does the same for `clone`.

    Empty if it gives nothing, None if it is not about him. MySQL 5.7 quotes accounts as texts, all others as names.
    """
    copy = f"{_quoted(clone)}@{_quoted(host)}"
    for word in (" TO ", " FOR ", " FROM "):  # GRANT, SET DEFAULT ROLE, and REVOKE of MySQL's partial revokes
        for quote in ("`", "'"):
            what, found, more = right.rpartition(f"{word}{_quoted(username, quote)}@{_quoted(host, quote)}")
            if found:
                if what == NO_RIGHT and " WITH " not in _QUOTED.sub("", more):
                    return ""  # it would take a master with GRANT OPTION on everything
                return what + word + copy + _IDENTIFIED.sub("", more)
    return None


def _quoted(text: str, quote: str = "`") -> str:
    return quote + text.replace(quote, 2 * quote) + quote


def _hosts(connection: Connection, username: str) -> list[str]:
    found = "SELECT host FROM mysql.user WHERE user = %s"
    if _is_mariadb(connection):
        found += " AND is_role = 'N'"
    return [host for (host,) in _do(connection, found, username)]


def _is_locked(connection: Connection, account: str) -> bool:
    shown = _do(connection, f"SHOW CREATE USER {account}")[0][0]
    return " ACCOUNT LOCK" in _QUOTED.sub("", shown)


def _account(username: str, host: str) -> str:
    return _literal(f"{_quoted(username)}@{_quoted(host)}")


def _literal(text: str) -> str:
    """As it stands, in a statement that the driver puts values into."""
    return text.replace("%", "%%")


def _do(connection: Connection, statement: str, *values: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def _is_mariadb(connection: Connection) -> bool:
    return "mariadb" in connection.server_version.lower()
