"""Another seal on the same root keys."""

from pathlib import Path

from tests.cli.test_commands import geumgo
from tests.server import Server

WORDS = "harbour lantern velvet quarry mosaic pepper glacier thimble orchard saddle bramble comet"


def test_root_keys_move_from_a_file_to_a_passphrase_and_serve_what_they_sealed(tmp_path: Path):
    words = tmp_path / "words"
    words.write_text(WORDS)
    words.chmod(0o600)
    with Server(tmp_path / "data", arguments=("--workers", "1")) as server:
        server.client("secretsmanager").create_secret(Name="kept", SecretString="value")
        added = server.run("reseal", "--add", "--passphrase-file", str(words))
        assert added.returncode == 0, added.stderr
        old = str(server.data / "seal.key")
        assert "Another server runs" in server.run("reseal", "--drop", "--passphrase-file", str(words)).stderr
        assert server.stop() == 0
        server.start()  # the old seal goes on working
        assert server.stop() == 0
        server.environment |= {"GEUMGO_SEAL": "passphrase", "GEUMGO_PASSPHRASE_FILE": str(words)}
        dropped = server.run("reseal", "--drop", "--seal-file", old)
        assert dropped.returncode == 0, dropped.stderr
        refused = geumgo("status", "--data", str(server.data))
        assert refused.returncode == 1
        assert "not sealed by file" in refused.stderr
        server.start()
        assert server.client("secretsmanager").get_secret_value(SecretId="kept")["SecretString"] == "value"


def test_root_keys_move_to_another_file_and_a_seal_is_not_dropped_with_itself(tmp_path: Path):
    data, other = tmp_path / "data", tmp_path / "other.key"
    assert geumgo("init", "--data", str(data)).returncode == 0
    old = str(data / "seal.key")

    def reseal(*arguments: str, seal: str = old):
        return geumgo("reseal", "--data", str(data), *arguments, GEUMGO_SEAL_FILE=seal)

    assert reseal("--drop", "--seal-file", old).returncode == 1
    assert reseal("--drop", "--seal-file", str(other)).returncode == 1
    assert reseal("--add", "--seal-file", str(other)).returncode == 0
    assert "already" in reseal("--add", "--seal-file", str(other)).stderr
    assert geumgo("status", "--data", str(data)).returncode == 0
    assert reseal("--drop", "--seal-file", old, seal=str(other)).returncode == 0
    assert geumgo("status", "--data", str(data)).returncode == 1
    assert geumgo("status", "--data", str(data), GEUMGO_SEAL_FILE=str(other)).returncode == 0
