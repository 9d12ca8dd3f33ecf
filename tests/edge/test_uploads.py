"""Bodies that are larger than others may be: received into a file, never more of them than a number."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from geumgo.sealing.spool import Changed, Spool
from tests.edge.wire import Echo, until

BODY = os.urandom(3 << 20)


def head(length: int, *, largest: int = 8 << 20, known: bool = True, more: str = "") -> bytes:
    named = "X-Known: 1\r\n" if known else ""
    return f"PUT /code HTTP/1.1\r\nHost: a\r\nX-Largest: {largest}\r\n{named}{more}Content-Length: {length}\r\n\r\n".encode()


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    with Echo(data=str(tmp_path), uploads_at_once=1, request_seconds=2.0) as made:
        yield made


def test_a_large_body_is_received_if_the_core_says_so(echo: Echo) -> None:
    with echo.connect() as wire:
        for _ in range(2):  # on one connection, between small ones
            wire.send(head(len(BODY)) + BODY)
            seen = wire.reply().seen
            assert (seen["upload"], seen["body"], seen["oversized"]) == (hashlib.sha256(BODY).hexdigest(), "", False)
            wire.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
            assert wire.reply().seen["body"] == "aGk="


@pytest.mark.parametrize("largest", [0, len(BODY)])
def test_a_body_that_is_larger_than_that_is_refused(echo: Echo, largest: int) -> None:
    assert echo.ask(head(len(BODY), largest=largest) + BODY).seen["oversized"]


def test_a_body_without_a_length_is_as_small_as_any_other(echo: Echo) -> None:
    text = b"PUT / HTTP/1.1\r\nHost: a\r\nX-Largest: 9999999\r\nX-Known: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert echo.ask(text + b"200000\r\n" + bytes(2 << 20) + b"\r\n0\r\n\r\n").seen["oversized"]


def test_whoever_does_not_exist_sends_it_to_no_file(echo: Echo, tmp_path: Path) -> None:
    with echo.connect() as wire:
        wire.send(head(len(BODY)) + BODY[:100])  # the only place is taken
        until(lambda: files(echo, tmp_path))
        assert echo.ask(head(len(BODY), known=False) + BODY).seen["upload"] == ""
        assert len(files(echo, tmp_path)) == 1


def test_no_more_are_received_at_once_than_may_be(echo: Echo, tmp_path: Path) -> None:
    with echo.connect() as first:
        first.send(head(len(BODY)) + BODY[:1000])
        until(lambda: files(echo, tmp_path))
        assert echo.ask(head(len(BODY))).status == 503
        first.send(BODY[1000:])
        assert first.reply().seen["upload"] == hashlib.sha256(BODY).hexdigest()
        assert not files(echo, tmp_path)
    assert echo.ask(head(len(BODY)) + BODY).status == 200


def test_a_client_that_goes_leaves_no_file(echo: Echo, tmp_path: Path) -> None:
    with echo.connect() as first:
        first.send(head(len(BODY)) + BODY[:1000])
        until(lambda: files(echo, tmp_path))
    until(lambda: not files(echo, tmp_path))
    assert echo.ask(head(len(BODY)) + BODY).status == 200


def test_a_client_that_waits_to_be_told_is_told(echo: Echo) -> None:
    with echo.connect() as wire:
        wire.send(head(len(BODY), more="Expect: 100-continue\r\n"))
        assert wire.reply().status == 100
        wire.send(BODY)
        assert wire.reply().status == 200


def files(echo: Echo, where: Path) -> list[str]:
    """The files without a name that the process has open in its directory."""
    directory = Path(f"/proc/{echo.process.pid}/fd")
    found = []
    for path in directory.iterdir():
        with contextlib.suppress(OSError):  # it was there for the listing alone
            target = str(path.readlink())
            found += [target] if target.endswith("(deleted)") and target.startswith(f"{where}/") else []
    return found


def test_a_spool_gives_what_it_was_given_and_its_file_tells_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for start in range(0, len(BODY), 100_000):
        spool.add(BODY[start : start + 100_000])
    assert (spool.size, spool.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert spool.read() == BODY
    assert list(tmp_path.iterdir()) == []
    os.lseek(spool._file.fileno(), 0, os.SEEK_SET)
    kept = os.read(spool._file.fileno(), len(BODY))
    assert not any(kept[at : at + 16] == BODY[at : at + 16] for at in range(0, len(BODY), 16))
    os.pwrite(spool._file.fileno(), b"x", 5)
    with pytest.raises(Changed):
        spool.read()
    spool.close()
