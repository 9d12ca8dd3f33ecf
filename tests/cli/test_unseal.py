"""A server that opens with shares of several people."""

import contextlib
import http.client
import re
import ssl
import subprocess
import sys
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests import server as server_module
from tests.certificates import certificate
from tests.cli.test_commands import geumgo
from tests.edge.wire import until
from tests.server import Server


def shares_of(printed: str) -> list[str]:
    return re.findall(r"geumgo-share-1-\S+", printed)


def enter(server: Server, share: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "geumgo", "unseal", "--data", str(server.data)]
    return subprocess.run(command, input=share + "\n", capture_output=True, text=True, timeout=60, check=False)


def get(server: Server, path: str, authority: Path | None = None) -> tuple[int, str]:
    """Under TLS, if the certificate of an `authority` is to be taken."""
    where = urlsplit(server.endpoint).netloc
    wire = http.client.HTTPConnection(where, timeout=10)
    if authority is not None:
        context = ssl.create_default_context(cafile=authority)
        context.check_hostname = False
        wire = http.client.HTTPSConnection(where, timeout=10, context=context)
    with contextlib.closing(wire):
        wire.request("GET", path)
        answer = wire.getresponse()
        return answer.status, answer.read().decode()


def test_a_server_waits_for_its_shares_and_then_serves_what_was_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "START_SECONDS", 300)  # as long as people take
    with Server(tmp_path / "data", arguments=("--workers", "1")) as server:
        server.client("secretsmanager").create_secret(Name="kept", SecretString="value")
        added = server.run("reseal", "--add", "--shares", "4", "--threshold", "3")
        assert added.returncode == 0, added.stderr
        shares = shares_of(added.stdout)
        assert len(set(shares)) == 4
        assert server.stop() == 0
        server.environment["GEUMGO_SEAL"] = "shares"
        starting = Thread(target=server.start)
        starting.start()
        until(lambda: "geumgo unseal" in server.printed(), server_module.START_SECONDS)
        assert get(server, "/healthz")[0] == 200
        assert get(server, "/readyz") == (
            503,
            '{"status": "not ready", "problems": ["the server is sealed: no share was entered yet"]}',
        )
        assert get(server, "/")[0] == 503
        assert enter(server, shares[0][:-1] + "x").returncode == 1
        assert "1 of 3 shares" in enter(server, shares[0]).stdout
        assert "entered before" in enter(server, shares[0]).stderr
        assert "2 of 3 shares" in enter(server, shares[3]).stdout
        assert "2 of 3" in get(server, "/readyz")[1]
        assert "open" in enter(server, shares[1]).stdout
        starting.join()
        assert server.client("secretsmanager").get_secret_value(SecretId="kept")["SecretString"] == "value"
        assert not any(share[40:60] in server.printed() for share in shares)
        assert server.stop() == 0
        old = str(server.data / "seal.key")
        dropped = geumgo("reseal", "--drop", "--seal-file", old, "--data", str(server.data), GEUMGO_SEAL="shares")
        assert "geumgo unseal" in dropped.stderr, "a seal is not dropped by whoever cannot open the other"


def test_a_server_with_a_certificate_speaks_tls_while_it_waits_and_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "START_SECONDS", 300)
    authority, key = certificate(tmp_path / "tls", "localhost")
    environment = {"GEUMGO_TLS_CERTIFICATE": str(authority), "GEUMGO_TLS_KEY": str(key)}
    with Server(tmp_path / "data", arguments=("--workers", "1"), environment=environment) as server:
        shares = shares_of(server.run("reseal", "--add", "--shares", "2", "--threshold", "2").stdout)
        assert server.stop() == 0
        server.environment["GEUMGO_SEAL"] = "shares"
        starting = Thread(target=server.start)
        starting.start()
        until(lambda: "geumgo unseal" in server.printed(), server_module.START_SECONDS)
        assert get(server, "/healthz", authority)[0] == 200
        assert get(server, "/readyz", authority)[0] == 503
        with pytest.raises((http.client.BadStatusLine, ConnectionError)):
            get(server, "/healthz")
        certificate(tmp_path / "tls", "localhost")  # as those who renew certificates do it
        until(lambda: "certificate taken" in server.printed())
        assert get(server, "/healthz", authority)[0] == 200
        for share in shares:
            enter(server, share)
        starting.join()
        assert get(server, "/readyz", authority)[0] == 200


def test_a_new_directory_does_not_begin_with_shares(tmp_path: Path) -> None:
    refused = geumgo("init", "--data", str(tmp_path / "data"), GEUMGO_SEAL="shares")
    assert refused.returncode == 1
    assert "reseal --add --shares" in refused.stderr


def test_a_seal_of_shares_is_taken_off_by_whoever_enters_enough_of_them(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert geumgo("init", "--data", data).returncode == 0
    shares = shares_of(geumgo("reseal", "--add", "--shares", "3", "--threshold", "2", "--data", data).stdout)
    command = [sys.executable, "-m", "geumgo", "reseal", "--drop", "--entered-shares", "--data", data]
    for entered, status in ((shares[:1], 1), (shares[1:], 0), (shares[1:], 1)):
        done = subprocess.run(
            command, input="\n".join(entered), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status, done.stderr
    assert geumgo("status", "--data", data).returncode == 0
