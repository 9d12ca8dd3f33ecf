"""MySQL: how to log in and how to set a password. Driver: PyMySQL. `mariadb` is the same but for its name."""

import os
import re
import ssl
from typing import Any

import pymysql

ENGINE = "mysql"
ALSO = ("aurora-mysql",)
NAME_LIMIT, NAME_UNIT = 32, "characters"  # the server refuses longer ones
BY_MASTER = False
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
    """A clone has an account for each host that `username` has one for.

    No statement makes an account together with its rights, so a new one is locked until it has them all: after a crash in between it
    is found locked, and finished.
    """
    originals, there = _hosts(connection, username), _hosts(connection, clone)
    if not originals:
        raise ValueError("The user to clone has no account")
    for host in originals:
        if host not in there or _is_locked(connection, _account(clone, host)):
            _copy(connection, username, clone, host, password)
    accounts = [_account(clone, host) for host in sorted({*originals, *there})]
    each = ", ".join(f"{account} IDENTIFIED BY %s" for account in accounts)
    _do(connection, f"ALTER USER {each} ACCOUNT UNLOCK", *[password] * len(accounts))


def _copy(connection: Connection, username: str, clone: str, host: str, password: str) -> None:
    original, copy = _account(username, host), _account(clone, host)
    tls = _do(connection, "SELECT ssl_type FROM mysql.user WHERE user = %s AND host = %s", username, host)
    require = " REQUIRE SSL" if tls[0][0] else ""
    _do(connection, f"CREATE USER IF NOT EXISTS {copy} IDENTIFIED BY %s{require} ACCOUNT LOCK", password)
    for (grant,) in _do(connection, f"SHOW GRANTS FOR {original}"):
        for word in (" TO ", " FOR "):
            what, found, more = grant.rpartition(word + original.replace("%%", "%"))
            if found:
                if what == NO_RIGHT and " WITH " not in more:
                    break  # it gives nothing, and would take a master with GRANT OPTION on everything
                _do(connection, _literal(what + word) + copy + _literal(_IDENTIFIED.sub("", more)))
                break
    if not _is_mariadb(connection) and not connection.server_version.startswith("5."):
        _do(connection, f"SET DEFAULT ROLE ALL TO {copy}")


def _hosts(connection: Connection, username: str) -> list[str]:
    found = "SELECT host FROM mysql.user WHERE user = %s"
    if _is_mariadb(connection):
        found += " AND is_role = 'N'"
    return [host for (host,) in _do(connection, found, username)]


def _is_locked(connection: Connection, account: str) -> bool:
    shown = _do(connection, f"SHOW CREATE USER {account}")[0][0]
    return " ACCOUNT LOCK" in _QUOTED.sub("", shown)


def _account(username: str, host: str) -> str:
    return "@".join(f"`{_literal(part).replace('`', '``')}`" for part in (username, host))


def _literal(text: str) -> str:
    """As it stands, in a statement that the driver puts values into."""
    return text.replace("%", "%%")


def _do(connection: Connection, statement: str, *values: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def _is_mariadb(connection: Connection) -> bool:
    return "mariadb" in connection.server_version.lower()
