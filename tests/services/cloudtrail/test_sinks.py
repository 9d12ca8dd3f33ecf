"""Sinks: each kind takes every record once it can, none keeps anybody waiting."""

import json
import os
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from geumgo.outbound import Allowed, Outbound
from geumgo.services.cloudtrail.feeder import Feeder
from geumgo.services.cloudtrail.sinks import BadSink, NotTaken, Sink, Stdout, batches, message, sink_of
from geumgo.storage import Broken, Storage, Tx
from tests.house import House
from tests.server import Server


class Numbers:
    def __init__(self) -> None:
        self.kept: dict[str, int] = {}

    def add(self, key: str, amount: int = 1) -> None:
        self.kept[key] = self.kept.get(key, 0) + amount

    def set(self, key: str, value: int) -> None:
        self.kept[key] = value


def outbound(*hosts: str) -> Outbound:
    return Outbound(Allowed.of(hosts), seconds=1.0)


def feeder_of(house: House, entry: str, sink: Sink | None = None, *hosts: str, token: str = "") -> Feeder:
    chosen = sink or sink_of(entry, outbound(*hosts), token)
    return Feeder(1, entry, chosen, house.app.indexer.files, house.clock, Numbers())


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["eventID"] for record in records]


@contextmanager
def webhook(answers: list[int]) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A server that answers with these statuses, then with 200. What it was sent."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/trail", got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_file_has_every_record_on_a_line_of_its_own(house: House, tmp_path: Path) -> None:
    path = tmp_path / "trail.jsonl"
    path.write_bytes(b'{"cut short')
    feeder = feeder_of(house, f"file:{path}")
    sm = house.client("secretsmanager")
    for number in range(5):
        sm.create_secret(Name=f"s{number}", SecretString="hidden-value-4")
        feeder.feed(house.app.storage)
    first, *lines = path.read_text("ascii").splitlines()
    assert first == '{"cut short'
    assert [json.loads(line) for line in lines] == house.trail()
    assert feeder.feed(house.app.storage) == 0
    assert "hidden-value-4" not in path.read_text()
    path.rename(tmp_path / "moved")
    sm.create_secret(Name="more", SecretString="x")
    feeder.feed(house.app.storage)
    assert [json.loads(line)["eventID"] for line in path.read_text().splitlines()] == ids(house.trail())[-2:]


class Hasty(threading.Event):
    """Whoever waits for it to be set does not wait."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


class Defective:
    """A storage whose disk has failed."""

    def reading(self) -> AbstractContextManager[Tx]:
        raise Broken("SQLite SQLITE_IOERR_READ: disk I/O error")


def test_an_error_of_the_disk_ends_the_process_that_feeds(house: House, tmp_path: Path) -> None:
    """Nobody else of it need meet the error: each has a connection of his own. The sink would stand still, and nobody would hear of it."""
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    stop = Hasty()
    with pytest.raises(Broken):
        feeder_of(house, f"file:{tmp_path / 'trail.jsonl'}").run(cast("Storage", Defective()), stop, lambda: False)
    assert stop.is_set()


def test_standard_output(house: House) -> None:
    reading, writing = os.pipe()
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    feeder_of(house, "stdout", Stdout(writing)).feed(house.app.storage)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        assert [json.loads(line) for line in said] == house.trail()


@pytest.mark.parametrize("kind", ["unix", "udp", "tcp"])
def test_syslog(house: House, tmp_path: Path, kind: str) -> None:
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    said: list[bytes] = []
    if kind == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(10)

        def take() -> None:
            connection, _ = listener.accept()
            with connection:
                data = b"".join(iter(lambda: connection.recv(65536), b""))
            while data:
                length, _, data = data.partition(b" ")
                said.append(data[: int(length)])
                data = data[int(length) :]

        thread = threading.Thread(target=take)
        thread.start()
        feeder_of(house, f"syslog+tcp://127.0.0.1:{listener.getsockname()[1]}").feed(house.app.storage)
        thread.join()
        listener.close()
    else:
        path = str(tmp_path / "log")
        with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET, socket.SOCK_DGRAM) as listening:
            listening.bind(path if kind == "unix" else ("127.0.0.1", 0))
            listening.settimeout(10)
            entry = f"syslog:{path}" if kind == "unix" else f"syslog://127.0.0.1:{listening.getsockname()[1]}"
            feeder_of(house, entry).feed(house.app.storage)
            said = [listening.recv(65536) for _ in house.trail()]
    found = [re.fullmatch(rb"<134>1 \S+Z \S+ geumgo - trail - (\{.*\})", each) for each in said]
    assert [json.loads(each[1]) for each in found if each] == house.trail()


def test_a_record_that_is_too_long_for_syslog_is_cut_to_what_it_is_about() -> None:
    long = {"eventID": "e", "eventTime": "2026-11-29T00:00:00Z", "requestParameters": {"x": "y" * 70_000}}
    said = message(long)
    assert len(said) < 1_000
    assert json.loads(said[said.index(b"{") :]) == {"eventID": "e", "eventTime": long["eventTime"], "omitted": True}


def test_a_webhook_that_fails_is_sent_the_same_again(house: House, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cr3t-token\n")
    for number in range(3):
        house.client("secretsmanager").create_secret(Name=f"s{number}", SecretString="x")
    with webhook([500, 302]) as (url, got):
        feeder = feeder_of(house, url, None, "http://127.0.0.1", token=str(token))
        for status in (500, 302):
            house.clock.turn(ms=3_000)
            with pytest.raises(NotTaken, match=str(status)):
                feeder.feed(house.app.storage)
        meter: Any = feeder.meter
        assert meter.kept['geumgo_trail_sink_lag_seconds{sink="1"}'] >= 6
        assert feeder.feed(house.app.storage) == len(house.trail())
        assert meter.kept['geumgo_trail_sink_lag_seconds{sink="1"}'] == 0
        assert meter.kept['geumgo_trail_sink_records_total{sink="1"}'] == len(house.trail())
    assert [head["Authorization"] for head, _ in got] == ["Bearer s3cr3t-token"] * 3
    assert len({head["Idempotency-Key"] for head, _ in got}) == 1
    assert {body for _, body in got} == {got[0][1]}
    assert json.loads(got[0][1])["Records"] == house.trail()
    assert "s3cr3t-token" not in repr(feeder)


def test_a_webhook_on_a_private_address_needs_the_operator(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    with webhook([]) as (url, got), pytest.raises(NotTaken):
        feeder_of(house, url).feed(house.app.storage)
    assert got == []


def test_two_sinks_have_positions_of_their_own(house: House, tmp_path: Path) -> None:
    house.client("secretsmanager").create_secret(Name="s", SecretString="x")
    for name in ("one", "two"):
        assert feeder_of(house, f"file:{tmp_path / name}").feed(house.app.storage) == len(house.trail())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    "entry",
    ["", "nowhere", "file:relative", "file:", "syslog:", "syslog://", "syslog://h:p", "syslog:relative", "https://", "ftp://x", "https:/x",
     "syslog+tcp://h:99999", "syslog://h/path"],
)  # fmt: skip
def test_what_is_no_sink_is_refused(entry: str) -> None:
    with pytest.raises(BadSink):
        sink_of(entry, outbound(), "")


def test_batches_are_bounded() -> None:
    records = [{"eventID": str(number), "pad": "x" * (number % 7) * 100} for number in range(100)]
    pieces = list(batches(records, 8, 2_000))
    assert [record for piece in pieces for record in piece] == records
    assert all(len(piece) <= 8 for piece in pieces)
    assert all(len(piece) == 1 or len(json.dumps(piece)) <= 2_000 + 4 * len(piece) for piece in pieces)


def test_a_sink_that_hangs_keeps_nobody_waiting_and_the_others_are_fed(tmp_path: Path) -> None:
    hanging = socket.create_server(("127.0.0.1", 0), backlog=1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        metrics = f"127.0.0.1:{free.getsockname()[1]}"
    path = tmp_path / "trail.jsonl"
    environment = {
        "GEUMGO_TRAIL_SINKS": f"https://127.0.0.1:{hanging.getsockname()[1]}/x,file:{path}",
        "GEUMGO_OUTGOING_HOSTS": "127.0.0.1",
    }
    arguments = ("--workers", "1", "--metrics", metrics)
    with Server(tmp_path / "data", arguments=arguments, environment=environment) as server:
        client = server.client("secretsmanager")
        client.create_secret(Name="s", SecretString="hidden-value-5")

        def shown(name: str) -> float:
            with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
                found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
            return float(found[1]) if found else -1.0

        until = time.monotonic() + 40
        while time.monotonic() < until:
            client.get_secret_value(SecretId="s")
            with suppress(OSError):
                fed = path.exists() and "GetSecretValue" in path.read_text()
                if fed and shown('geumgo_trail_sink_failures_total{sink="1"}') >= 1:
                    break
            time.sleep(0.2)
        assert shown('geumgo_trail_sink_failures_total{sink="1"}') >= 1
        assert shown('geumgo_trail_sink_lag_seconds{sink="1"}') >= 1
        assert shown('geumgo_trail_sink_records_total{sink="2"}') > 0
        assert shown("geumgo_trail_index_lag_seconds") >= 0
        assert server.stop() == 0
        assert "hidden-value-5" not in server.printed()
    assert "hidden-value-5" not in path.read_text()
    hanging.close()


def test_a_setting_that_names_no_sink_ends_the_start(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", environment={"GEUMGO_TRAIL_SINKS": "nowhere"})
    with pytest.raises(AssertionError, match="trail_sinks"):
        server.start()
