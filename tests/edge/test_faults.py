"""A fault of ours while something arrives: the log has it, and nobody waits for an answer."""

import asyncio
import socket

import pytest
from structlog.testing import capture_logs

from geumgo.edge.batch import Done
from geumgo.edge.connection import Connection
from geumgo.edge.server import site_of
from geumgo.message import Request
from geumgo.settings import Settings
from tests.edge.wire import DEADLINE_SECONDS, GET, Handing


def met(fault: BaseException) -> bytes:
    """What a client reads until its connection ends, who has asked for something twice at once."""

    def handle(_request: Request, _done: Done) -> None:
        raise fault

    async def scene() -> bytes:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        with theirs:
            site = site_of(Handing(handle), Settings())
            await loop.connect_accepted_socket(lambda: Connection(site, secure=False), ours)
            await loop.sock_sendall(theirs, GET * 2)
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await loop.sock_recv(theirs, 1_000)

    return asyncio.run(scene())


def test_a_fault_that_the_parser_hides_is_told_and_the_connection_is_closed() -> None:
    with capture_logs() as told:
        assert met(ZeroDivisionError("a fault")) == b""
    assert [(each["event"], str(each["exc_info"])) for each in told] == [("fault", "a fault")]


def test_what_ends_the_process_is_not_taken_for_a_fault_of_the_client() -> None:
    with capture_logs() as told, pytest.raises(KeyboardInterrupt):
        met(KeyboardInterrupt())
    assert len(told) == 1
