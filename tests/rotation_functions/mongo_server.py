"""A server that speaks MongoDB's wire protocol and keeps users: a fake that behaves, because MongoDB installs from no registry of packages.

It knows SCRAM-SHA-256 and SCRAM-SHA-1 as RFC 5802 has them, keeps verifiers and no passwords, and asks roles before each command. Where the
program `secantusd-py` is found (pip install secantusdb, which nobody here wrote), the same tests run against that as well.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import shutil
import socket
import socketserver
import ssl
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.saslprep import saslprep

from tests.rotation_functions.servers import CHIEF, free_port

SECANTUS = os.environ.get("GEUMGO_TEST_SECANTUSD") or shutil.which("secantusd-py")
DIGESTS = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
ITERATIONS = 4096
UNAUTHORIZED, FAILED, NOT_FOUND, EXISTS, UNKNOWN = 13, 18, 11, 51003, 59


@dataclass(frozen=True)
class Verifier:
    salt: bytes
    stored: bytes
    server: bytes


@dataclass(frozen=True)
class User:
    roles: tuple[tuple[str, str], ...]  # role, database
    verifiers: dict[str, Verifier]

    def has(self, database: str, *names: str) -> bool:
        return any(
            role in names and (at == database or role.endswith("AnyDatabase") or role == "root")
            for role, at in self.roles
        )


class Refusal(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class State:
    mechanisms: tuple[str, ...]
    users: dict[tuple[str, str], User] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    forge: str = ""  # "signature": as a server that does not know the password

    def verifiers(self, username: str, password: str) -> dict[str, Verifier]:
        made = {}
        for mechanism in self.mechanisms:
            digest, salt = DIGESTS[mechanism], os.urandom(16)
            secret = (
                saslprep(password).encode()
                if digest == "sha256"
                else hashlib.md5(f"{username}:mongo:{password}".encode()).hexdigest().encode()
            )
            salted = hashlib.pbkdf2_hmac(digest, secret, salt, ITERATIONS)
            stored = hashlib.new(digest, hmac.digest(salted, b"Client Key", digest)).digest()
            made[mechanism] = Verifier(salt, stored, hmac.digest(salted, b"Server Key", digest))
        return made


class Talk(socketserver.StreamRequestHandler):
    """One connection."""

    state: State
    tls: ssl.SSLContext | None = None

    def setup(self) -> None:
        if self.tls is not None:
            self.request = self.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.user: tuple[str, str] | None = None
        self.login: dict[str, Any] = {}

    def finish(self) -> None:
        super().finish()
        if self.tls is not None:
            self.request.close()

    def handle(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                size, number, _, kind = struct.unpack("<iiii", self._exactly(16))
                body = self._exactly(size - 16)
                if kind == 2004:  # OP_QUERY, with which drivers introduce themselves
                    at = body.index(b"\0", 4) + 1 + 8
                    answer = bson.encode(self._answer({**bson.decode(body[at:]), "$db": "admin"}))
                    self._send(number, 1, struct.pack("<iqii", 8, 0, 0, 1) + answer)
                else:
                    assert kind == 2013
                    assert body[4] == 0, "documents of their own are not read here"
                    self._send(number, 2013, b"\0" * 5 + bson.encode(self._answer(bson.decode(body[5:]))))

    def _exactly(self, size: int) -> bytes:
        found: bytes = self.rfile.read(size)
        if len(found) != size:
            raise EOFError
        return found

    def _send(self, to: int, kind: int, body: bytes) -> None:
        self.wfile.write(struct.pack("<iiii", 16 + len(body), 1, to, kind) + body)

    def _answer(self, document: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(document))
        known = {
            "hello": self.hello, "isMaster": self.hello, "ismaster": self.hello, "saslStart": self.sasl_start, "saslContinue": self.sasl_continue,
        }  # fmt: skip
        inside = {
            "usersInfo": self.users_info, "createUser": self.create_user, "updateUser": self.update_user, "find": self.find,
            "ping": lambda _: {}, "endSessions": lambda _: {},
        }  # fmt: skip
        self.state.commands.append(name)
        if name not in known and (name not in inside or self.user is None):
            code = UNAUTHORIZED if name in inside else UNKNOWN
            return {
                "ok": 0.0,
                "code": code,
                "errmsg": f"{name}: there is no such command, or it requires authentication",
            }
        try:
            return {**(known.get(name) or inside[name])(document), "ok": 1.0}
        except Refusal as refusal:
            return {"ok": 0.0, "code": refusal.code, "errmsg": str(refusal)}

    # -- logging in ---------------------------------------------------------------------------------------------------

    def hello(self, document: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "helloOk": True, "isWritablePrimary": True, "ismaster": True, "maxBsonObjectSize": 1 << 24, "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False,
        }  # fmt: skip
        database, _, username = document.get("saslSupportedMechs", "").partition(".")
        if (database, username) in self.state.users:
            shown["saslSupportedMechs"] = list(self.state.mechanisms)
        return shown

    def sasl_start(self, document: dict[str, Any]) -> dict[str, Any]:
        mechanism = document["mechanism"]
        bare = document["payload"].decode().removeprefix("n,,")
        said = dict(part.split("=", 1) for part in bare.split(","))
        username = said["n"].replace("=2C", ",").replace("=3D", "=")
        known = self.state.users.get((document["$db"], username))
        if known is None or mechanism not in known.verifiers:
            raise Refusal(FAILED, "Authentication failed.")
        verifier = known.verifiers[mechanism]
        nonce = said["r"] + base64.b64encode(os.urandom(18)).decode()
        challenge = f"r={nonce},s={base64.b64encode(verifier.salt).decode()},i={ITERATIONS}"
        self.login = {
            "user": (document["$db"], username), "verifier": verifier, "digest": DIGESTS[mechanism], "nonce": nonce,
            "spoken": f"{bare},{challenge},c=biws,r={nonce}".encode(), "skips": document.get("options", {}).get("skipEmptyExchange", False),
        }  # fmt: skip
        return {"conversationId": 1, "done": False, "payload": challenge.encode()}

    def sasl_continue(self, document: dict[str, Any]) -> dict[str, Any]:
        login = self.login
        if not document["payload"] and login.get("proved"):
            self.user = login["user"]
            return {"conversationId": 1, "done": True, "payload": b""}
        said = dict(part.split("=", 1) for part in document["payload"].decode().split(","))
        verifier, digest = login["verifier"], login["digest"]
        signature = hmac.digest(verifier.stored, login["spoken"], digest)
        client = bytes(a ^ b for a, b in zip(base64.b64decode(said["p"]), signature, strict=True))
        if said["r"] != login["nonce"] or not hmac.compare_digest(
            hashlib.new(digest, client).digest(), verifier.stored
        ):
            raise Refusal(FAILED, "Authentication failed.")
        server = os.urandom(32) if self.state.forge == "signature" else verifier.server
        proof = base64.b64encode(hmac.digest(server, login["spoken"], digest)).decode()
        login["proved"] = True
        if login["skips"]:
            self.user = login["user"]
        return {"conversationId": 1, "done": login["skips"], "payload": f"v={proof}".encode()}

    # -- commands -----------------------------------------------------------------------------------------------------

    def _needs(self, database: str, *roles: str) -> None:
        assert self.user is not None
        me = self.state.users.get(self.user)
        if me is None or not me.has(database, "root", *roles):
            raise Refusal(UNAUTHORIZED, f"not authorized on {database} to execute command")

    def users_info(self, document: dict[str, Any]) -> dict[str, Any]:
        """Source: usersInfo, MongoDB manual (who may look at himself: everybody)."""
        asked = (document["$db"], document["usersInfo"])
        if asked != self.user:
            self._needs(document["$db"], "userAdmin", "userAdminAnyDatabase")
        found = self.state.users.get(asked)
        roles = [] if found is None else [{"role": role, "db": at} for role, at in found.roles]
        return {
            "users": []
            if found is None
            else [{"_id": ".".join(asked), "user": asked[1], "db": asked[0], "roles": roles}]
        }

    def create_user(self, document: dict[str, Any]) -> dict[str, Any]:
        self._needs(document["$db"], "userAdmin", "userAdminAnyDatabase")
        name = (document["$db"], document["createUser"])
        if name in self.state.users:
            raise Refusal(EXISTS, "User already exists")
        roles = tuple(
            (each["role"], each["db"]) if isinstance(each, dict) else (each, name[0]) for each in document["roles"]
        )
        self.state.users[name] = User(roles, self.state.verifiers(name[1], document["pwd"]))
        return {}

    def update_user(self, document: dict[str, Any]) -> dict[str, Any]:
        name = (document["$db"], document["updateUser"])
        own = ("changeOwnPassword",) if name == self.user else ()
        self._needs(document["$db"], "userAdmin", "userAdminAnyDatabase", *own)
        if name not in self.state.users:
            raise Refusal(NOT_FOUND, "User not found")
        verifiers = self.state.verifiers(name[1], document["pwd"])
        self.state.users[name] = User(self.state.users[name].roles, verifiers)
        return {}

    def find(self, document: dict[str, Any]) -> dict[str, Any]:
        self._needs(document["$db"], "read", "readWrite", "readAnyDatabase")
        return {"cursor": {"id": bson.Int64(0), "ns": f"{document['$db']}.{document['find']}", "firstBatch": []}}


@contextmanager
def fake_mongo(
    *, mechanisms: tuple[str, ...] = tuple(DIGESTS), tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, State]]:
    """The port of a server whose CHIEF may do everything, and what it keeps."""
    state = State(mechanisms)
    state.users["admin", CHIEF[0]] = User((("root", "admin"),), state.verifiers(*CHIEF))
    talk = type("Talking", (Talk,), {"state": state, "tls": tls})

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is no event."""

    with Server(("127.0.0.1", 0), talk) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server.server_address[1], state
        finally:
            server.shutdown()


def client(port: int, username: str, password: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        "127.0.0.1", port, username=username, password=password, authSource="admin", directConnection=True, serverSelectionTimeoutMS=5_000,
    )  # fmt: skip


@contextmanager
def secantus_server() -> Iterator[int]:
    """The port of a SecantusDB whose CHIEF may do everything: made in a first start without logins, as its manual says."""
    with tempfile.TemporaryDirectory(prefix="geumgo-secantus-") as directory:
        port = free_port()
        command = [
            str(SECANTUS),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--storage-path",
            f"{directory}/data",
            "--cache-size",
            "64M",
        ]
        with (
            _running(command, Path(directory), port),
            MongoClient[dict[str, Any]]("127.0.0.1", port, directConnection=True) as first,
        ):
            first.admin.command("createUser", CHIEF[0], pwd=CHIEF[1], roles=["root"])
        with _running([*command, "--auth"], Path(directory), port):
            yield port


@contextmanager
def _running(command: list[str], directory: Path, port: int) -> Iterator[None]:
    with (
        (directory / "log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=directory) as process,
    ):
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                assert process.poll() is None, (directory / "log").read_text()[-2000:]
                threading.Event().wait(0.05)
            yield
        finally:
            process.terminate()
            process.wait(20)


def logs_in(port: int, username: str, password: str, collection: str = "") -> bool:
    """Whether a real driver logs in, and reads that collection of the database `app`."""
    with client(port, username, password) as connection:
        try:
            connection.admin.command("ping")
            if collection:
                list(connection.app[collection].find())
        except PyMongoError:
            return False
    return True
