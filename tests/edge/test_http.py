"""What reaches the core is what came over the wire, and what cannot be understood in one way only is refused."""

import base64
from collections.abc import Iterator

import pytest

from tests.edge.wire import GET, Echo, Wire


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    with Echo(max_body_bytes=4_096, max_header_bytes=2_048, max_headers=20, trusted_proxies=["10.0.0.0/8"]) as server:
        yield server


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", b""]) + body


def chunked(*chunks: bytes) -> bytes:
    parts = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + parts


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//a//b",
        "/a/../b",
        "/a/%2e%2E/b",
        "/%41%2f%20",
        "/a;b=c",
        "/?",
        "/?a=b&a=%20+c",
        "/a?b?c",
        "/a:b@c",
        "/~'()*",
    ],
)
def test_the_target_reaches_the_core_as_it_was_sent(echo: Echo, target: str):
    assert echo.ask(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).seen["target"] == target


def test_headers_reach_the_core_in_order_twice_if_sent_twice_and_without_surrounding_space(echo: Echo):
    seen = echo.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-B:  1  2 \r\nX-A:\t\r\nx-b: 3\r\n\r\n").seen
    assert seen["headers"] == [["host", "a"], ["x-b", "1  2"], ["x-a", ""], ["x-b", "3"]]


def test_an_answer_has_a_date_a_length_and_does_not_name_the_server(echo: Echo):
    reply = echo.ask(GET)
    assert {"date", "content-length", "content-type"} == set(reply.names)
    assert len(reply.names) == 3


def test_each_request_has_an_id_of_its_own(echo: Echo):
    assert len({echo.ask(GET).seen["id"] for _ in range(5)}) == 5


def test_a_head_request_is_answered_without_a_body(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert wire.reply(head=True).status == 200
        assert wire.reply().seen["method"] == "GET"


def test_a_body_in_chunks_is_put_together(echo: Echo):
    assert base64.b64decode(echo.ask(chunked(b"abc", b"d" * 100, b"e")).seen["body"]) == b"abc" + b"d" * 100 + b"e"


def test_a_body_that_arrives_byte_by_byte_is_the_same_body(echo: Echo):
    with echo.connect() as wire:
        for byte in post(b"secret"):
            wire.send(bytes([byte]))
        assert base64.b64decode(wire.reply().seen["body"]) == b"secret"


def test_a_body_of_the_greatest_size_is_read(echo: Echo):
    seen = echo.ask(post(b"x" * 4_096)).seen
    assert len(base64.b64decode(seen["body"])) == 4_096
    assert not seen["oversized"]


@pytest.mark.parametrize("message", [post(b"x" * 4_097), chunked(b"x" * 4_000, b"x" * 97)])
def test_a_larger_body_is_not_read_and_the_core_says_so(echo: Echo, message: bytes):
    with echo.connect() as wire:
        wire.send(message)
        reply = wire.reply()
        assert (reply.status, reply.seen["oversized"], reply.seen["body"]) == (413, True, "")
        wire.send(GET)
        assert wire.reply().status == 200


def send_forever(wire: Wire, data: bytes) -> None:
    while True:
        wire.send(data)


def test_a_body_without_end_is_cut_off(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            send_forever(wire, b"1000\r\n" + b"x" * 0x1000 + b"\r\n")


def test_who_asks_first_is_told_to_continue(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert wire.reply().status == 100
        wire.send(b"abc")
        assert base64.b64decode(wire.reply().seen["body"]) == b"abc"


def test_who_asks_first_about_too_much_is_refused_before_sending_it(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4097\r\nExpect: 100-continue\r\n\r\n")
        assert wire.reply().status == 413


def test_pipelined_requests_are_answered_in_order(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"".join(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for number in range(10)))
        assert [wire.reply().seen["target"] for _ in range(10)] == [f"/{number}" for number in range(10)]


def test_who_sends_requests_without_waiting_is_stopped(echo: Echo):
    with echo.connect() as wire:
        wire.send(GET * 100)
        answers = wire.rest().count(b"HTTP/1.1 200")
    assert 1 <= answers <= 20


def test_http_1_0_is_answered_and_closed(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        reply = wire.reply()
        assert (reply.status, reply.headers["connection"], wire.rest()) == (200, "close", b"")


def test_who_says_close_is_closed(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
        assert wire.reply().headers["connection"] == "close"
        assert wire.rest() == b""


def test_a_client_that_has_closed_its_half_still_gets_its_answers(echo: Echo):
    with echo.connect() as wire:
        wire.send(GET + post(b"abc"))
        wire.sock.shutdown(1)
        assert wire.reply().status == 200
        assert wire.reply().seen["method"] == "POST"
        assert wire.rest() == b""


def test_a_client_that_closes_its_half_within_a_request_is_closed(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        wire.sock.shutdown(1)
        assert wire.rest() == b""


AMBIGUOUS = {
    "length and chunks": b"Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two equal lengths": b"Host: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": b"Host: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": b"Host: a\r\nContent-Length: 3, 3\r\n\r\nabc",
    "a signed length": b"Host: a\r\nContent-Length: +3\r\n\r\nabc",
    "an endless length": b"Host: a\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
    "chunks said twice": b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding below": b"Host: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "another coding above": b"Host: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a coding nobody knows": b"Host: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is no number": b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "a trailer": b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nAuthorization: x\r\n\r\n",
    "no host": b"\r\n",
    "two hosts": b"Host: a\r\nHost: b\r\n\r\n",
    "a space before the colon": b"Host: a\r\nX-A : b\r\n\r\n",
    "a folded line": b"Host: a\r\nX-A: b\r\n c\r\n\r\n",
    "a bare line feed": b"Host: a\nX-A: b\n\n",
    "a zero byte": b"Host: a\r\nX-A: b\0c\r\n\r\n",
}


@pytest.mark.parametrize("rest", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_framing_that_can_be_read_in_two_ways_is_refused(echo: Echo, rest: bytes):
    with echo.connect() as wire:
        wire.send(b"POST / HTTP/1.1\r\n" + rest + GET)
        answers = wire.rest()
    assert answers.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answers.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/2.0", b"GET / HTTP/1.2", b"GET / HTTP/0.9", b"GET /", b"GET / / HTTP/1.1", b"GET http://a/ HTTP/1.1",
        b"OPTIONS * HTTP/1.1", b"CONNECT a:80 HTTP/1.1", b"GET a HTTP/1.1", b"GET /#a HTTP/1.1", b"GET /\xff HTTP/1.1",
        b"GET /\0 HTTP/1.1", b"FROB / HTTP/1.1", b"\x16\x03\x01\x02\x00",
    ],
)  # fmt: skip
def test_a_request_line_that_we_do_not_speak_is_refused(echo: Echo, line: bytes):
    reply = echo.ask(line + b"\r\nHost: a\r\n\r\n")
    assert (reply.status, reply.headers["connection"]) == (400, "close")
    assert "x-amzn-requestid" not in reply.names


def test_chunks_in_http_1_0_are_refused(echo: Echo):
    reply = echo.ask(b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert reply.status == 400


def test_a_request_before_a_broken_one_is_answered_and_then_the_connection_closes(echo: Echo):
    with echo.connect() as wire:
        wire.send(GET + post(b"abc") + b"nonsense\r\n\r\n" + GET)
        assert wire.reply().seen["method"] == "GET"
        last = wire.reply()
        assert (last.seen["method"], last.headers["connection"]) == ("POST", "close")
        assert wire.rest() == b""


def test_an_upgrade_is_not_followed(echo: Echo):
    with echo.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + GET)
        assert wire.reply().headers["connection"] == "close"
        assert wire.rest() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 3_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 3_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 20 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a" * 100_000,
        GET + b"GET / HTTP/1.1\r\nX-A: " + b"a" * 100_000,
    ],
    ids=["target", "value", "count", "value without end", "name without end", "after another request"],
)
def test_a_head_that_is_too_large_is_refused(echo: Echo, head: bytes):
    with echo.connect() as wire:
        wire.send(head)
        answers = wire.rest()
    assert b"HTTP/1.1 431 Request Header Fields Too Large" in answers or (
        head.startswith(GET) and b"connection: close" in answers
    )


def test_a_head_of_the_greatest_size_is_read(echo: Echo):
    lines = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 19 + b"\r\n"
    assert echo.ask(lines).status == 200
    assert echo.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 2_000 + b"\r\n\r\n").status == 200


def test_the_peer_is_who_connects_whatever_the_headers_say(echo: Echo):
    seen = echo.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n").seen
    assert (seen["peer"], seen["secure"]) == ("127.0.0.1", False)


@pytest.mark.parametrize(
    ("said", "peer"),
    [
        (b"1.2.3.4", "1.2.3.4"),
        (b"6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (b"1.2.3.4, 127.0.0.9, 127.0.0.8", "1.2.3.4"),
        (b"::1, 127.0.0.9", "::1"),
        (b"1.2.3.4, unknown", "127.0.0.1"),
        (b"127.0.0.9", "127.0.0.1"),
        (b"", "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_says_who_the_peer_is(said: bytes, peer: str):
    with Echo(trusted_proxies=["127.0.0.0/8"]) as proxied:
        headers = b"X-Forwarded-For: " + said + b"\r\nX-Forwarded-Proto: https\r\n"
        seen = proxied.ask(b"GET / HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n").seen
    assert (seen["peer"], seen["secure"]) == (peer, True)
