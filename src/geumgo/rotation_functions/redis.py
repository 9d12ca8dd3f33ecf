"""Redis and Valkey: users of the access control list, from Redis 6 on. No driver: the few commands are spoken here.

A user may have several passwords. So the password that opened the way still logs in after a rotation, until the next one.
"""

import hashlib
import logging
import os
import socket
import ssl
from typing import Any

ENGINE = "redis"
ALSO: tuple[str, ...] = ()
NAME_LIMIT, NAME_UNIT = 512, "bytes"  # the server knows none
BY_MASTER = True  # whoever may change passwords may do anything, so an application's user seldom may
SECONDS = 5
LONGEST_REPLY = 1 << 24  # bytes

Reply = Any  # text, a whole number, None, or a list of these


class Refused(Exception):
    """What the server answered instead."""


class Connection:
    """Commands and replies, RESP2."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._replies = connected.makefile("rb")

    def close(self) -> None:
        self._replies.close()
        self._socket.close()

    def command(self, *parts: str) -> Reply:
        """Raises Refused for an error, OSError when the connection is gone."""
        sent = b"*%d\r\n" % len(parts)
        for part in parts:
            sent += b"$%d\r\n%b\r\n" % (len(part.encode()), part.encode())
        self._socket.sendall(sent)
        return self._reply()

    def _reply(self) -> Reply:
        line = self._replies.readline(1 << 16)
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection is gone")
        kind, text = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"-":
            raise Refused(text)
        if kind == b"+":
            return text
        if kind not in b":$*":
            raise ConnectionError("this is no Redis")
        number = int(text)
        if kind == b":":
            return number
        if number < 0:
            return None
        if number > LONGEST_REPLY:
            raise ConnectionError("a reply is too long")
        if kind == b"*":
            return [self._reply() for _ in range(number)]
        return self._replies.read(number + 2)[:-2].decode(errors="replace")


def connect(secret: dict[str, Any]) -> Connection | None:
    """TLS with a verified certificate, unless the secret says `"ssl": false`; never plaintext without that word.

    The certificate authorities are the system's, or those of the file that SSL_ROOT_CERT names.
    """
    host, port = secret["host"], int(secret.get("port", 6379))
    try:
        connected = socket.create_connection((host, port), timeout=SECONDS)
    except OSError:
        return None
    try:
        if str(secret.get("ssl", True)).lower() != "false":
            context = ssl.create_default_context(cafile=os.environ.get("SSL_ROOT_CERT"))
            connected = context.wrap_socket(connected, server_hostname=host)
        connection = Connection(connected)
        connection.command("AUTH", secret["username"], secret["password"])
    except (OSError, Refused):
        connected.close()
        return None
    return connection


def set_password(connection: Connection, username: str, password: str, still: str | None) -> None:
    """One command: there is no moment without a password that logs in. The server is sent hashes only."""
    kept = [_hash(still)] if still is not None else []
    connection.command("ACL", "SETUSER", username, "resetpass", *kept, _hash(password))
    keep(connection)


def set_clone(connection: Connection, username: str, clone: str, password: str) -> None:
    """A new clone has the rules of `username`, given in the one command that makes it."""
    rules = {name: rest for _, name, rest in (line.split(" ", 2) for line in connection.command("ACL", "LIST"))}
    if clone in rules:
        connection.command("ACL", "SETUSER", clone, "resetpass", _hash(password))
    elif username in rules:
        own = [rule for rule in rules[username].split() if not rule.startswith("#") and rule != "nopass"]
        connection.command("ACL", "SETUSER", clone, "reset", *own, _hash(password))
    else:
        raise ValueError("The user to clone does not exist")
    keep(connection)


def keep(connection: Connection) -> None:
    """A restart of the server finds the change, if it has a file for its users or for its configuration."""
    try:
        connection.command("ACL", "SAVE")
    except Refused as refused:
        if "not configured to use an ACL file" not in str(refused):
            raise
        try:
            connection.command("CONFIG", "REWRITE")
        except Refused as no_file:
            if "without a config file" not in str(no_file):
                raise
            logging.getLogger(__name__).warning("the server has no file for its users: a restart forgets the password")


def _hash(password: str) -> str:
    return "#" + hashlib.sha256(password.encode()).hexdigest()
