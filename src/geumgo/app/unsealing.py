"""A server whose root keys open with shares waits for them: several people enter one each, over a socket that only the owner can reach.

Until then `/healthz` answers, `/readyz` says how many shares are missing, and everything else is refused. What was entered stays in the
memory of the parent process, so that its children open the keyring too; at the next start the shares are needed again.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

from geumgo.edge.batch import Done
from geumgo.edge.server import JSON, PROBES, Entrance, look_after, site_of, sweep
from geumgo.edge.tls import certificate_of
from geumgo.message import Answer, Request
from geumgo.sealing import keyring
from geumgo.sealing.seals import SealError, SharesSeal
from geumgo.sealing.shares import BadShare, Share, read
from geumgo.settings import Settings

log = structlog.get_logger("geumgo.unsealing")

SOCKET_NAME: Final = "unseal.sock"
LINE_BYTES: Final = 1_024
ANSWER_SECONDS: Final = 10.0
_PEER: Final = struct.Struct("3i")  # pid, uid, gid

_given: list[Share] = []


def given() -> Sequence[Share]:
    """The shares that were entered in this process, or in the one that it was forked from."""
    return tuple(_given)


def enter(settings: Settings, text: str) -> dict[str, Any]:
    """One more share. Answers how many are `given` of the `needed` ones, and whether the root keys are `open`.

    Nobody can undo what another one has entered; only if enough shares do not open the root keys do all have to be entered again.

    Raises BadShare, SealError.
    """
    share = read(text)
    if _given and (share.of, share.threshold) != (_given[0].of, _given[0].threshold):
        raise BadShare("The share is of another set than those that were entered before.")
    if any(share.point == each.point for each in _given):
        raise BadShare("This share was entered before.")
    _given.append(share)
    told = {"given": len(_given), "needed": share.threshold, "open": False}
    if len(_given) < share.threshold:
        return told
    try:
        keyring.open_keyring(settings.data, SharesSeal(_given))
    except SealError:
        _given.clear()
        raise
    return {**told, "open": True}


def wait(settings: Settings, listener: socket.socket) -> None:
    """Returns when the root keys are open. `listener` is the API's, on which nothing is served meanwhile."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_wait(settings, listener))


async def _wait(settings: Settings, listener: socket.socket) -> None:
    opened = asyncio.Event()
    site = site_of(Sealed(), settings)
    with _reachable(settings.data) as path:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108  a path through /proc
        people = await asyncio.start_unix_server(_asked(settings, opened), path, limit=LINE_BYTES)
        os.chmod(path, 0o600)  # noqa: PTH101  the directory is 0700 already
        certificate = certificate_of(settings)
        entrance = Entrance(
            site, listener.dup(), certificate.context if certificate else None, settings.request_seconds
        )
        entrance.open()
        beside = [
            asyncio.create_task(sweep(site)),
            *([asyncio.create_task(look_after(certificate))] if certificate else []),
        ]
        log.warning(
            "sealed",
            socket=str(settings.data / SOCKET_NAME),
            next=f"whoever holds a share runs: geumgo unseal --data {settings.data}",
        )
        try:
            await opened.wait()
        finally:
            for task in beside:
                task.cancel()
            people.close()
            entrance.shut()
            for connection in list(site.connections):
                connection.abort()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108
    log.info("unsealed")


def _asked(settings: Settings, opened: asyncio.Event) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                told = _told(settings, writer, await reader.readline())
                writer.write(json.dumps(told).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ValueError, ConnectionError):
            return  # who does not finish his line has entered nothing
        finally:
            writer.close()
        if told.get("open"):
            opened.set()

    return answer


def _told(settings: Settings, writer: asyncio.StreamWriter, line: bytes) -> dict[str, Any]:
    found = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    if _PEER.unpack(found)[1] not in (0, os.geteuid()):
        return {"error": "Only the owner of the server may enter shares."}
    try:
        told = enter(settings, line.decode("ascii", "replace"))
    except (BadShare, SealError) as refusal:
        log.warning("share refused", why=str(refusal))
        return {"error": str(refusal)}
    log.info("share entered", given=told["given"], needed=told["needed"])
    return told


class Sealed:
    """What the API answers meanwhile."""

    def handle(self, request: Request, done: Done) -> None:
        if request.target == PROBES[0]:
            done(Answer(200, (JSON,), b'{"status": "ok"}'))
            return
        needed = _given[0].threshold if _given else 0
        have = f"{len(_given)} of {needed} shares were entered" if needed else "no share was entered yet"
        said = {"status": "not ready", "problems": [f"the server is sealed: {have}"]}
        done(Answer(503, (JSON, (b"retry-after", b"5")), json.dumps(said).encode()))

    def seen_as(self, peer: str, secure: bool, _headers: Sequence[tuple[bytes, bytes]]) -> tuple[str, bool]:
        return peer, secure

    def stands_for_many(self, _peer: str) -> bool:
        return False


@contextlib.contextmanager
def _reachable(data: Path) -> Iterator[str]:
    """The path of the socket, however long that of its directory is: a socket's own may have 107 bytes only."""
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def offer(settings: Settings, text: str) -> dict[str, Any]:
    """Enter a share at the server that waits for it. Answers as `enter` does. Raises SealError."""
    with _reachable(settings.data) as path, socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(ANSWER_SECONDS)
        try:
            wire.connect(path)
        except OSError:
            raise SealError(f"No server waits for shares in {settings.data}.") from None
        wire.sendall(text.strip().encode("ascii", "replace")[:LINE_BYTES] + b"\n")
        line = wire.makefile("rb").readline()
    if not line:
        raise SealError("The server ended before it answered; look at its log.")
    told: dict[str, Any] = json.loads(line)
    if "error" in told:
        raise SealError(str(told["error"]))
    return told
