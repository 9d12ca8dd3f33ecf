"""Connections are divided among the processes that answer."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from geumgo.edge.balance import Balance, Load, alone
from tests.server import Server

ASKS = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
ESTABLISHED = "01"  # in /proc/net/tcp


def taking(loads: list[Load]) -> list[bool]:
    return [each.may_take() for each in loads]


def test_whoever_has_no_more_than_any_other_takes_the_next() -> None:
    balance = Balance(["api-0", "api-1", "api-2"])
    loads = [balance.of(f"api-{number}") for number in range(3)]
    assert taking(loads) == [True, True, True]
    loads[0].is_now(1)
    assert taking(loads) == [False, True, True]
    loads[1].is_now(1)
    loads[2].is_now(2)
    assert taking(loads) == [True, True, False]
    assert alone().may_take()


def test_where_they_are_many_one_may_have_an_eighth_more() -> None:
    balance = Balance(["api-0", "api-1"])
    loads = [balance.of("api-0"), balance.of("api-1")]
    loads[0].is_now(40)
    for count, takes in ((40, True), (45, True), (46, False)):
        loads[1].is_now(count)
        assert taking(loads) == [True, takes]
    loads[0].is_now(7)
    loads[1].is_now(8)
    assert taking(loads) == [True, False]


def test_a_process_that_is_started_again_has_nobody() -> None:
    balance = Balance(["api-0", "api-1"])
    one, other = balance.of("api-0"), balance.of("api-1")
    one.is_now(7)
    other.is_now(3)
    assert not one.may_take()
    assert balance.of("api-0").may_take()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", arguments=("--workers", "2")) as made:
        yield made


def connected(server: Server, stack: ExitStack) -> socket.socket:
    """Somebody who was answered, and stays."""
    address = urlsplit(server.endpoint)
    found = stack.enter_context(socket.create_connection((address.hostname or "", address.port or 0), timeout=60))
    found.sendall(ASKS)
    assert found.recv(65_536).startswith(b"HTTP/1.1 200")
    return found


def connections(server: Server) -> list[int]:
    """How many each process has that answers."""
    port = f":{urlsplit(server.endpoint).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == ESTABLISHED}
    return [
        sum(str(each.readlink()) in ours for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink())
        for pid in server.answering()
    ]


def test_those_who_connect_at_once_are_divided(server: Server) -> None:
    address = urlsplit(server.endpoint)
    with ExitStack() as stack:
        for _ in range(3):
            everybody = [
                stack.enter_context(socket.create_connection((address.hostname or "", address.port or 0), timeout=60))
                for _ in range(20)
            ]
            for each in everybody:
                each.sendall(ASKS)
            for each in everybody:
                assert each.recv(65_536).startswith(b"HTTP/1.1 200")
        found = connections(server)
        assert sum(found) == 60
        assert min(found) >= 20, found


def test_whoever_connects_while_one_process_stands_still_is_served_by_the_other(server: Server) -> None:
    stopped = server.answering()[0]
    with ExitStack() as stack:
        os.kill(stopped, signal.SIGSTOP)
        stack.callback(os.kill, stopped, signal.SIGCONT)
        for _ in range(20):
            connected(server, stack)
        found = connections(server)
        assert sorted(found) == [0, 20], found


def test_whoever_comes_after_others_have_left_goes_where_they_were(server: Server) -> None:
    with ExitStack() as stack:
        with ExitStack() as gone:
            stopped = server.answering()[0]
            os.kill(stopped, signal.SIGSTOP)
            for _ in range(10):
                connected(server, stack)
            os.kill(stopped, signal.SIGCONT)
            for _ in range(10):
                connected(server, gone)
        for _ in range(10):
            connected(server, stack)
        found = connections(server)
        assert sum(found) == 20
        assert min(found) >= 6, found
