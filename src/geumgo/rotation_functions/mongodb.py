"""MongoDB and Amazon DocumentDB: how to log in and how to set a password. Driver: PyMongo.

Users live in the database that the secret's `dbname` names, `admin` without it, as in AWS's functions.
"""

import os
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

ENGINE = "mongo"
ALSO: tuple[str, ...] = ()
NAME_LIMIT, NAME_UNIT = 128, "bytes"  # the server knows none
BY_MASTER = True  # only who may administer users may change a password, his own included
keep = None
MILLISECONDS = 5_000


@dataclass(frozen=True)
class Connection:
    """A user who is logged in, and the database that knows him."""

    client: MongoClient[dict[str, Any]]
    users: str

    def close(self) -> None:
        self.client.close()

    def command(self, name: str, value: str, **more: Any) -> dict[str, Any]:
        return dict(self.client[self.users].command(name, value, **more))


def connect(secret: dict[str, Any]) -> Connection | None:
    """TLS with a verified certificate, unless the secret says `"ssl": false`; never plaintext without that word.

    The certificate authorities are the system's, or those of the file that SSL_ROOT_CERT names. The host that the secret names is spoken
    to, and no other member of its cluster: it must be the one that takes writes.
    """
    plain = str(secret.get("ssl", True)).lower() == "false"
    users = secret.get("dbname", "admin")
    client: MongoClient[dict[str, Any]] = MongoClient(
        host=secret["host"],
        port=int(secret.get("port", 27017)),
        username=secret["username"],
        password=secret["password"],
        authSource=users,
        directConnection=True,
        tls=not plain,
        tlsCAFile=None if plain else os.environ.get("SSL_ROOT_CERT"),
        connectTimeoutMS=MILLISECONDS,
        serverSelectionTimeoutMS=MILLISECONDS,
        socketTimeoutMS=MILLISECONDS,
    )
    try:
        client[users].command("ping")
    except PyMongoError:
        client.close()
        return None
    return Connection(client, users)


def set_password(
    connection: Connection,
    username: str,
    password: str,
    still: str | None,  # noqa: ARG001 - a user has one password
) -> None:
    connection.command("updateUser", username, pwd=password)


def set_clone(connection: Connection, username: str, clone: str, password: str) -> None:
    """A new clone is made with the roles of `username` in one command: it never exists without its rights."""
    if connection.command("usersInfo", clone)["users"]:
        set_password(connection, clone, password, None)
        return
    found = connection.command("usersInfo", username)["users"]
    if not found:
        raise ValueError("The user to clone does not exist")
    connection.command("createUser", clone, pwd=password, roles=found[0]["roles"])
