"""A server process from its first connection to its end: batches, bounds, clocks, health, drain."""

import errno
import os
import select
import ssl
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from geumgo.edge.batch import FEW
from tests.certificates import certificate
from tests.edge.wire import GET, Echo, Wire, until


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A FIFO: a request to `/wait` and this path is worked on until somebody opens it for writing."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def waiting(gate: Path) -> bytes:
    return b"GET /wait" + str(gate).encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n"


class Held:
    """While it is open, the request to the gate is being worked on."""

    def __init__(self, gate: Path) -> None:
        self.descriptor = -1
        until(lambda: self._open(gate))

    def _open(self, gate: Path) -> bool:
        try:
            self.descriptor = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as fault:
            if fault.errno == errno.ENXIO:  # nobody reads yet
                return False
            raise
        return True

    def release(self) -> None:
        os.close(self.descriptor)


# -- batches -----------------------------------------------------------------------------------------------------------


def test_a_request_at_rest_is_a_batch_of_its_own():
    with Echo() as echo, echo.connect() as wire:
        for number in (1, 2):
            wire.send(GET)
            assert (found := wire.reply().seen)["batch"] == number
            assert found["together"] == 1


@pytest.mark.interpreted
def test_what_arrives_while_a_batch_is_worked_on_is_one_batch(gate: Path):
    with Echo() as echo, echo.connect() as first:
        # One more, and whoever has rested meanwhile would be a batch of its own.
        others = [echo.connect() for _ in range(FEW)]
        for other in others:  # so that the loop knows each connection
            other.send(GET)
            other.reply()
        first.send(waiting(gate))
        held = Held(gate)
        for other in others:
            other.send(GET)
        held.release()
        number = first.reply().seen["batch"]
        seen = [other.reply().seen for other in others]
    assert {(each["batch"], each["together"]) for each in seen} == {(number + 1, FEW)}


def test_no_batch_is_larger_than_the_settings_say(gate: Path):
    with Echo(batch_requests=3) as echo, echo.connect() as first:
        others = [echo.connect() for _ in range(10)]
        for other in others:
            other.send(GET)
            other.reply()
        first.send(waiting(gate))
        held = Held(gate)
        for other in others:
            other.send(GET)
        held.release()
        together = [other.reply().seen["together"] for other in others]
    assert sorted(together) == [1, 3, 3, 3, 3, 3, 3, 3, 3, 3]


def test_a_broken_trail_ends_the_process_with_70_and_nobody_is_answered():
    with Echo() as echo, echo.connect() as wire:
        wire.send(b"GET /break HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.rest() == b""
        status, out, _ = echo.end()
    assert (status, out) == (70, "")


HEAD_OF_MUCH = b"PUT /code HTTP/1.1\r\nHost: a\r\nX-Largest: broken\r\nContent-Length: 9000000\r\n\r\n"


@pytest.mark.parametrize("asked", [HEAD_OF_MUCH, b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_broken_database_ends_the_process_whoever_comes_upon_it(tmp_path: Path, asked: bytes):
    """Outside of a batch, too: it is asked how large a body may be, and whether it is ready. Nobody is answered after that."""
    problems = tmp_path / "problems"
    with Echo(problems) as echo, echo.connect() as wire:
        problems.write_text("broken\n")
        wire.send(asked)
        assert wire.rest() == b""
        status, out, _ = echo.end()
    assert (status, out) == (70, "")


def test_a_broken_database_ends_the_process_whoever_reads_its_metrics(tmp_path: Path):
    problems = tmp_path / "problems"
    with Echo(problems) as echo, echo.connect(echo.metrics_port) as wire:
        problems.write_text("broken\n")
        wire.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.rest() == b""
        status, out, _ = echo.end()
    assert (status, out) == (70, "")


# -- bounds and clocks -------------------------------------------------------------------------------------------------


def test_a_slow_head_is_ended_and_does_not_hold_up_others():
    with Echo(request_seconds=0.5) as echo:
        slow = [echo.connect() for _ in range(50)]
        started = time.monotonic()
        for wire in slow:
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        assert echo.ask(GET).status == 200
        for wire in slow:
            while not select.select([wire.sock], [], [], 0.02)[0]:
                wire.send(b"X-A: b\r\n")  # a byte now and then buys no time
            assert wire.reply().status == 408
            assert time.monotonic() - started < 10
            wire.sock.close()


@pytest.mark.parametrize(
    "start",
    [b"", b"\r\n", b"GET", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"],
    ids=["nothing", "an empty line", "half a line", "half a body"],
)
def test_a_request_that_does_not_arrive_is_ended(start: bytes):
    with Echo(request_seconds=0.3) as echo, echo.connect() as wire:
        wire.send(start)
        assert wire.reply().status == 408


def test_an_idle_connection_is_closed():
    with Echo(idle_seconds=1.0) as echo, echo.connect() as wire:
        wire.send(GET)
        assert wire.reply().status == 200
        assert wire.rest() == b""


def test_an_idle_connection_is_closed_though_it_sends_empty_lines():
    with Echo(idle_seconds=60.0, request_seconds=0.5) as echo, echo.connect() as wire:
        wire.send(GET)
        assert wire.reply().status == 200
        wire.send(b"\r\n")
        assert wire.reply().status == 408


def test_a_client_that_does_not_read_is_ended():
    with Echo(request_seconds=0.5, idle_seconds=1.0) as echo, echo.connect() as wire:
        wire.sock.setsockopt(1, 8, 4_096)  # SO_RCVBUF
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Pad: 20000000\r\n\r\n")
        until(lambda: "geumgo_batches_total 1" in echo.scrape())
        until(lambda: 'geumgo_connections{process="api-0"} 0' in echo.scrape())


def test_more_connections_than_allowed_are_refused_and_the_others_still_served():
    with Echo(max_connections=5, max_connections_each=5) as echo:
        held = [echo.connect() for _ in range(5)]
        for wire in held:
            wire.send(GET)
            assert wire.reply().status == 200
        with echo.connect() as wire:
            assert wire.reply().status == 503
        held[0].send(GET)
        assert held[0].reply().status == 200
        held.pop().sock.close()
        until(lambda: echo.ask(GET).status == 200)


def test_one_address_has_no_more_connections_than_its_share_and_a_proxy_has_all_of_them():
    with Echo(max_connections=6) as echo:
        held = [served(echo) for _ in range(3)]
        with echo.connect() as wire:
            assert wire.reply().status == 503
        with echo.connect(address="127.0.0.2") as wire:
            wire.send(GET)
            assert wire.reply().status == 200
        held.pop().sock.close()
        until(lambda: echo.ask(GET).status == 200)
    with Echo(max_connections=6, trusted_proxies=["127.0.0.1"]) as echo:
        for _ in range(6):
            served(echo)


def served(echo: Echo) -> Wire:
    wire = echo.connect()
    wire.send(GET)
    assert wire.reply().status == 200
    return wire


def test_one_address_leaves_room_for_the_bodies_and_heads_of_others():
    with Echo(max_body_bytes=100_000, max_waiting_bytes=1_000_000) as echo:
        for _ in range(12):
            echo.connect().send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 99_999)
        whole = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90_000
        until(lambda: echo.ask(whole).status == 503)
        for _ in range(5):
            with echo.connect(address="127.0.0.2") as other:
                other.send(whole)
                assert other.reply().status == 200


def test_bodies_take_no_more_memory_than_the_settings_say_and_give_it_back():
    with Echo(max_body_bytes=100_000, max_waiting_bytes=100_000) as echo:
        with echo.connect() as first:
            first.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 60_000)
            second = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000
            until(lambda: echo.ask(second).status == 503)
            assert echo.ask(GET).status == 200
            first.send(b"x" * 40_000)
            assert first.reply().status == 200
        until(lambda: echo.ask(second).status == 200)


def test_a_client_that_goes_away_within_its_body_gives_its_memory_back():
    with Echo(max_body_bytes=100_000, max_waiting_bytes=100_000) as echo:
        for _ in range(5):
            with echo.connect() as wire:
                wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 60_000)
        body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90_000
        until(lambda: echo.ask(body).status == 200)


# -- health and metrics ------------------------------------------------------------------------------------------------


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def test_readiness_names_the_problems_and_life_does_not_depend_on_them(tmp_path: Path):
    problems = tmp_path / "problems"
    with Echo(problems) as echo:
        assert (echo.ask(get("/readyz")).status, echo.ask(get("/readyz")).body) == (200, b'{"status": "ok"}')
        problems.write_text("the database cannot be read\n")
        reply = echo.ask(get("/readyz"))
        assert (reply.status, reply.seen) == (503, {"status": "not ready", "problems": ["the database cannot be read"]})
        assert echo.ask(get("/healthz")).status == 200


@pytest.mark.parametrize("line", ["GET /metrics", "POST /healthz", "GET /healthz?a", "GET /healthz/", "GET //healthz"])
def test_only_the_two_probes_are_answered_without_the_core(line: str):
    with Echo() as echo:
        assert echo.ask(f"{line} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).seen["batch"] == 1


def test_metrics_are_on_their_own_listener_and_nothing_else_is():
    with Echo() as echo:
        for _ in range(3):
            echo.ask(GET)
        found = {each.name: each for each in text_string_to_metric_families(echo.scrape())}
        with echo.connect(echo.metrics_port) as wire:
            wire.send(GET)
            assert wire.reply().status == 404
    assert found["geumgo_batches"].samples[0].value == 3
    buckets = [each for each in found["geumgo_request_seconds"].samples if each.name.endswith("_bucket")]
    assert [each.value for each in buckets] == sorted(each.value for each in buckets)
    assert buckets[-1].value == 3
    assert found["geumgo_ready"].samples[0].value == 1


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_stop_finishes_the_request_that_is_worked_on_and_ends_with_0(gate: Path):
    with Echo() as echo, echo.connect() as wire, echo.connect() as idle:
        idle.send(GET)
        idle.reply()
        wire.send(waiting(gate))
        held = Held(gate)
        echo.terminate()
        held.release()
        reply = wire.reply()
        assert reply.status == 200
        assert idle.rest() == b""
        assert echo.end()[:2] == (0, "closed after 2 batches\n")


def test_a_stop_waits_for_a_body_that_is_arriving():
    with Echo(grace_seconds=60.0, request_seconds=60.0) as echo, echo.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert wire.reply().status == 100
        echo.terminate()
        until(lambda: refuses(echo))
        wire.send(b"abc")
        reply = wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert echo.end()[0] == 0


def test_a_stop_answers_who_had_connected_before_it(gate: Path):
    with Echo() as echo, echo.connect() as wire:
        wire.send(waiting(gate))
        held = Held(gate)  # nothing is accepted meanwhile
        others = [echo.connect() for _ in range(50)]
        for other in others[:40]:
            other.send(GET)
        echo.terminate()
        held.release()
        for other in others[40:]:  # connected, but its request is on its way
            other.send(GET)
        assert {each.reply().status for each in (wire, *others)} == {200}
        assert {each.rest() for each in (wire, *others)} == {b""}
        assert echo.end()[0] == 0


def test_a_stop_answers_whoever_asks_again_on_the_connection_that_he_has(gate: Path):
    with Echo() as echo, echo.connect() as wire, echo.connect() as other:
        wire.send(waiting(gate))
        held = Held(gate)
        other.send(GET)
        held.release()
        assert [wire.reply().status, other.reply().status] == [200, 200]
        echo.terminate()
        other.send(GET)
        assert (other.reply().status, other.rest()) == (200, b"")
        assert echo.end()[0] == 0


def test_a_stop_answers_who_had_connected_under_tls_before_it(paths: tuple[str, str], gate: Path):
    with Echo(tls_certificate=paths[0], tls_key=paths[1]) as echo:
        wire = shaken(echo)
        wire.send(waiting(gate))
        held = Held(gate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        other = echo.connect()
        echo.terminate()
        held.release()
        other.sock = context.wrap_socket(other.sock)
        other.send(GET)
        assert [wire.reply().status, other.reply().status] == [200, 200]
        assert echo.end()[0] == 0


def test_a_stop_does_not_wait_longer_than_its_grace():
    with Echo(grace_seconds=1.0) as echo, echo.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert wire.reply().status == 100
        echo.terminate()
        assert echo.end()[0] == 0


def refuses(echo: Echo) -> bool:
    try:
        with echo.connect() as wire:
            return wire.rest() == b""
    except ConnectionRefusedError:
        return True


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def paths(tmp_path: Path) -> tuple[str, str]:
    """Those of a certificate for localhost and of its key."""
    return paths_of_another(tmp_path / "tls")


def paths_of_another(directory: Path) -> tuple[str, str]:
    made, key = certificate(directory, "localhost")
    return str(made), str(key)


def test_with_a_certificate_the_api_speaks_tls_and_nothing_else(paths: tuple[str, str]):
    with Echo(tls_certificate=paths[0], tls_key=paths[1], request_seconds=1.0) as echo:
        context = ssl.create_default_context(cafile=paths[0])
        with echo.connect() as wire:
            wire.sock = context.wrap_socket(wire.sock, server_hostname="localhost")
            wire.send(GET + b"nonsense\r\n\r\n")
            assert wire.reply().seen["secure"] is True
            assert wire.rest() == b""
        with echo.connect() as wire:
            wire.sock = context.wrap_socket(wire.sock, server_hostname="localhost")
            wire.send(b"nonsense\r\n\r\n")
            assert wire.reply().status == 400
        with echo.connect() as wire:
            wire.send(GET)
            assert b"200" not in wire.rest()
        assert "geumgo_ready 1" in echo.scrape()


def shaken(echo: Echo) -> Wire:
    """A connection under TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    wire = echo.connect()
    wire.sock = context.wrap_socket(wire.sock)
    return wire


def shown_to(wire: Wire) -> bytes:
    """The certificate that the server has shown on this connection."""
    assert isinstance(wire.sock, ssl.SSLSocket)
    return wire.sock.getpeercert(binary_form=True) or b""


def of_file(path: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(Path(path).read_text())


def test_a_certificate_that_is_replaced_is_shown_from_then_on_and_no_connection_is_dropped(
    paths: tuple[str, str], tmp_path: Path
):
    first, renewed = of_file(paths[0]), paths_of_another(tmp_path / "renewed")
    with Echo(tls_certificate=paths[0], tls_key=paths[1]) as echo:
        old = shaken(echo)
        assert shown_to(old) == first
        os.replace(renewed[0], paths[0])  # noqa: PTH105  as those who renew certificates do it
        until(lambda: "certificate not taken" in echo.said())
        assert shown_to(shaken(echo)) == first  # its key is not there yet
        os.replace(renewed[1], paths[1])  # noqa: PTH105
        until(lambda: shown_to(shaken(echo)) == of_file(paths[0]) != first)
        old.send(GET)
        assert old.reply().status == 200


def test_a_certificate_that_is_gone_or_broken_leaves_the_last_one(paths: tuple[str, str]):
    first = of_file(paths[0])
    with Echo(tls_certificate=paths[0], tls_key=paths[1]) as echo:
        Path(paths[0]).write_text("not a certificate")
        until(lambda: echo.said().count("certificate not taken") == 1)
        Path(paths[0]).unlink()
        until(lambda: echo.said().count("certificate not taken") == 2)
        assert shown_to(shaken(echo)) == first


def test_a_request_that_waits_for_the_outside_keeps_nobody_else_waiting(gate: Path) -> None:
    with Echo() as echo, echo.connect() as waits, echo.connect() as other:
        waits.send(waiting(gate).replace(b"/wait", b"/outside"))
        held = Held(gate)  # it is being read: the request is under way
        other.send(GET)
        assert other.reply().status == 200
        os.write(held.descriptor, b"from outside")
        held.release()
        assert waits.reply().body == b"from outside"


# -- more than can be answered -----------------------------------------------------------------------------------------


def test_more_requests_than_may_wait_are_refused_at_once_and_the_next_ones_served(gate: Path) -> None:
    with Echo(max_waiting_requests=40) as echo, echo.connect() as first:
        others = [echo.connect() for _ in range(100)]
        for other in others:
            other.send(GET)
            other.reply()
        first.send(waiting(gate))
        held = Held(gate)
        for other in others:
            other.send(GET)
        held.release()
        said = [other.reply().status for other in others]
        assert said.count(200) == 20  # half of the line, all of them being from one address
        assert said.count(400) == 80
        for other in others:  # the connections live, and nobody else is refused
            other.send(GET)
            assert other.reply().status == 200
        scraped = echo.scrape()
    assert "geumgo_throttled_requests_total 80\n" in scraped


@pytest.mark.interpreted
def test_whoever_comes_last_with_little_is_not_behind_all_that_somebody_else_has_waiting(gate: Path) -> None:
    with Echo(batch_requests=10) as echo, echo.connect() as first, echo.connect(address="127.0.0.2") as last:
        others = [echo.connect() for _ in range(60)]
        for other in (*others, last):
            other.send(GET)
            other.reply()
        first.send(waiting(gate))
        held = Held(gate)
        for other in (*others, last):
            other.send(GET)
        held.release()
        number = first.reply().seen["batch"]
        batches = [other.reply().seen["batch"] for other in others]
        assert last.reply().seen["batch"] == number + 1
    assert sorted(batches) == sorted(number + 1 + place // 10 for place in range(61))[1:]


def test_heads_take_no_more_memory_than_there_is_room_for_and_give_it_back(gate: Path) -> None:
    padded = GET[:-2] + b"".join(b"X-%d: %s\r\n" % (number, b"y" * 6_000) for number in range(5)) + b"\r\n"
    ahead = 15
    with Echo() as echo:
        others = [echo.connect() for _ in range(60)]
        for other in others:
            other.send(
                waiting(gate).replace(b"/wait", b"/outside")
            )  # nothing behind it is answered before the gate opens
        for other in others:
            other.send(padded * ahead)
        until(lambda: echo.ask(padded).status == 503)
        for other in others:
            other.sock.close()
        until(lambda: echo.ask(padded).status == 200)
