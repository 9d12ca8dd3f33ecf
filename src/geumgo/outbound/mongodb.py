"""MongoDB and Amazon DocumentDB: a connection that is there already, a login by SCRAM, single commands.

A driver looks names up, follows a cluster to its other members and keeps threads; what goes out from here goes to one address that was
checked. So the few messages are spoken here. Source: MongoDB wire protocol (OP_MSG), authentication specification of MongoDB's drivers,
RFC 5802, RFC 7677.
"""

import base64
import hashlib
import hmac
import secrets
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

Document = Mapping[str, Any]

USERS: Final = "admin"
"""The database that knows users, where nothing else is said."""

_OP_MSG: Final = 2013
_HEADER: Final = struct.Struct("<iiii")
_LARGEST_REPLY: Final = 1 << 20  # bytes
_MOST_ROUNDS: Final = 4  # messages that a login takes at most
_ITERATIONS: Final = range(4_096, 1_000_001)
"""RFC 7677 wants 4096 at least; MongoDB's default is 15000. More than a million would only keep this server busy."""


class Refused(Exception):
    """The server refuses a command. `code` is its number for why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class NotMongo(Exception):
    """What answers is no MongoDB, or not the one that knows the user. The message names no secret."""


class Mechanism(NamedTuple):
    """A kind of SCRAM: its name, the digest, and what it takes for the password."""

    name: str
    digest: str

    def secret_of(self, username: str, password: str) -> bytes:
        if self.digest == "sha256":
            from pymongo.saslprep import saslprep

            return str(saslprep(password)).encode()
        return hashlib.md5(f"{username}:mongo:{password}".encode()).hexdigest().encode()  # noqa: S324 - as the mechanism has it


_SHA_256: Final = Mechanism("SCRAM-SHA-256", "sha256")
_SHA_1: Final = Mechanism("SCRAM-SHA-1", "sha1")


class Session:
    """A user who is logged in, at the database that knows him."""

    def __init__(self, connected: socket.socket, database: str) -> None:
        self._socket = connected
        self._replies = connected.makefile("rb")
        self._database = database
        self._asked = 0

    def command(self, document: Document) -> Document:
        """The answer. Raises Refused, NotMongo, OSError."""
        import bson

        self._asked += 1
        body = b"\0\0\0\0\0" + bson.encode({**document, "$db": self._database})
        self._socket.sendall(_HEADER.pack(_HEADER.size + len(body), self._asked, 0, _OP_MSG) + body)
        answer = self._answer()
        if answer.get("ok") != 1:
            code = answer.get("code", 0)
            raise Refused(code if isinstance(code, int) else 0)
        return answer

    def _answer(self) -> Document:
        import bson
        from bson.errors import BSONError

        size, _, to, kind = _HEADER.unpack(self._exactly(_HEADER.size))
        if kind != _OP_MSG or to != self._asked or not _HEADER.size + 5 < size <= _LARGEST_REPLY:
            raise NotMongo("What answers there does not speak as MongoDB does.")
        body = self._exactly(size - _HEADER.size)
        try:
            return bson.decode(body[5:])
        except (BSONError, ValueError, RecursionError):
            raise NotMongo("What answers there does not speak as MongoDB does.") from None

    def _exactly(self, size: int) -> bytes:
        found = self._replies.read(size)
        if len(found) != size:
            raise ConnectionError("the connection is gone")
        return found

    def log_in(self, username: str, password: str) -> None:
        """The user is logged in, and the server has proved that it knows the password too. Raises Refused, NotMongo, OSError."""
        known = self.command({"isMaster": 1, "saslSupportedMechs": f"{self._database}.{username}"})
        mechanism = _SHA_256 if _SHA_256.name in (known.get("saslSupportedMechs") or ()) else _SHA_1
        scram = Scram(mechanism, username, password, nonce=secrets.token_urlsafe(24))
        begun = {
            "saslStart": 1,
            "mechanism": mechanism.name,
            "payload": scram.first(),
            "options": {"skipEmptyExchange": True},
        }
        answer = self.command(begun)
        conversation = answer.get("conversationId")
        answer = self.command(
            {"saslContinue": 1, "conversationId": conversation, "payload": scram.proof(_payload(answer))}
        )
        scram.check(_payload(answer))
        for _ in range(_MOST_ROUNDS):
            if answer.get("done"):
                return
            answer = self.command({"saslContinue": 1, "conversationId": conversation, "payload": b""})
        raise NotMongo("The server does not come to an end of the login.")


class Scram:
    """One login by SCRAM, as the client sees it. Channels are not bound: MongoDB knows no such thing."""

    def __init__(self, mechanism: Mechanism, username: str, password: str, *, nonce: str) -> None:
        self._mechanism = mechanism
        self._secret = mechanism.secret_of(username, password)
        self._nonce = nonce
        self._bare = f"n={username.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        self._signature = b""

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def proof(self, challenge: bytes) -> bytes:
        """The proof that the password is known. Raises NotMongo for a challenge that is none."""
        said = _fields(challenge)
        try:
            nonce, salt, iterations = said["r"], base64.b64decode(said["s"], validate=True), int(said["i"])
        except (KeyError, ValueError):
            raise NotMongo("The server's challenge is none.") from None
        if not nonce.startswith(self._nonce) or iterations not in _ITERATIONS:
            raise NotMongo("The server's challenge is none.")
        digest = self._mechanism.digest
        salted = hashlib.pbkdf2_hmac(digest, self._secret, salt, iterations)
        ending = f"c=biws,r={nonce}"
        spoken = f"{self._bare},{challenge.decode()},{ending}".encode()
        client = hmac.digest(salted, b"Client Key", digest)
        stored = hashlib.new(digest, client).digest()
        proof = bytes(a ^ b for a, b in zip(client, hmac.digest(stored, spoken, digest), strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", digest), spoken, digest)
        return f"{ending},p={base64.b64encode(proof).decode()}".encode()

    def check(self, last: bytes) -> None:
        """Raises NotMongo unless the server knows the password too."""
        shown = _fields(last).get("v", "")
        if not hmac.compare_digest(shown.encode(), base64.b64encode(self._signature)):
            raise NotMongo("The server does not know the password itself.")


def _payload(answer: Document) -> bytes:
    payload = answer.get("payload")
    if not isinstance(payload, bytes):
        raise NotMongo("The server's challenge is none.")
    return payload


def _fields(message: bytes) -> dict[str, str]:
    try:
        return dict(part.split("=", 1) for part in message.decode().split(","))
    except ValueError:
        raise NotMongo("The server's challenge is none.") from None
