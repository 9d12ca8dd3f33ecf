"""Who has rested: whose connection was silent while somebody looked."""

import asyncio
import socket

import pytest

from geumgo.edge.batch import Done
from geumgo.edge.connection import REST_SECONDS, Connection
from geumgo.edge.server import site_of
from geumgo.message import Answer, Request
from geumgo.settings import Settings
from tests.edge.wire import GET, Handing


@pytest.mark.parametrize(("looked_after", "rested"), [(REST_SECONDS, True), (-1.0, False)])
def test_time_in_which_nobody_looked_is_no_rest(
    monkeypatch: pytest.MonkeyPatch, looked_after: float, *, rested: bool
) -> None:
    """The process has found nothing that had arrived, so many seconds after it had answered; then it read what comes second here."""
    now = [1_000.0]
    monkeypatch.setattr("geumgo.edge.connection.time.monotonic", lambda: now[0])
    asked: list[Request] = []

    def handle(request: Request, done: Done) -> None:
        asked.append(request)
        done(Answer(200, (), b""))

    async def scene() -> None:
        site = site_of(Handing(handle), Settings())
        site.looked_at = lambda: 1_000.0 + looked_after
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        with theirs:
            transport, _ = await loop.connect_accepted_socket(lambda: Connection(site, secure=False), ours)
            for seconds in (0.0, 3_600.0):
                now[0] += seconds
                await loop.sock_sendall(theirs, GET)
                await loop.sock_recv(theirs, 1_000)
            transport.abort()

    asyncio.run(scene())
    # Who has just connected has asked for nothing before.
    assert [each.rested for each in asked] == [True, rested]
