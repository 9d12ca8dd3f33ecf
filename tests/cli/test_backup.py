"""Backups of a server that is written to, and what is refused when one is brought back."""

import json
import os
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from geumgo.app import backups
from geumgo.sealing.envelope import BackupError, new_recipient
from geumgo.sealing.files import write_private
from geumgo.sealing.seals import SealError
from geumgo.settings import load
from tests.cli.test_commands import geumgo
from tests.server import Server

FLIPS = int(os.environ.get("GEUMGO_BACKUP_FLIPS", "150"))
WRITERS = 3


@dataclass(frozen=True)
class Scene:
    server: Server
    file: Path
    key: Path
    before: dict[str, str]
    revoked: str

    @property
    def seal(self) -> Path:
        return self.server.data / "seal.key"

    def restore(self, data: Path, *more: str, key: Path | None = None):
        return geumgo(
            "restore", str(self.file), "--data", str(data), "--key", str(key or self.key), "--seal-file", str(self.seal), *more
        )  # fmt: skip


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A backup taken while writers write; `before` is what was acknowledged before it began, `revoked` a key deleted after it."""
    place = tmp_path_factory.mktemp("backup")
    key, file = place / "backup.key", place / "backup"
    with Server(place / "data", arguments=("--workers", "1")) as server:
        iam = server.client("iam")
        iam.create_user(UserName="ann")
        revoked = iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
        acknowledged: dict[str, str] = {}
        busy, stop = threading.Barrier(WRITERS + 1), threading.Event()

        def write(writer: int) -> None:
            client = server.client("secretsmanager")
            count = 0
            while not stop.is_set():
                name = f"w{writer}/{count}"
                client.create_secret(Name=name, SecretString=f"value of {name}")
                acknowledged[name] = f"value of {name}"
                count += 1
                if count == 3:
                    busy.wait(30)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
        for thread in threads:
            thread.start()
        busy.wait(30)
        before = dict(acknowledged)
        done = server.run("backup", str(file), "--new-recipient", str(key), "--json")
        stop.set()
        for thread in threads:
            thread.join()
        assert done.returncode == 0, done.stderr
        iam.delete_access_key(UserName="ann", AccessKeyId=revoked)
        yield Scene(server, file, key, before, revoked)


def test_what_was_acknowledged_before_a_backup_is_served_after_it_is_restored(scene: Scene, tmp_path: Path):
    data = tmp_path / "restored"
    done = scene.restore(data, "--trail", str(scene.server.data / "audit"), "--json")
    assert done.returncode == 0, done.stderr
    assert any(line.startswith(scene.revoked) for line in json.loads(done.stdout)["revoked"])
    shutil.copy2(scene.server.data / "admin.credentials", data)
    assert len(scene.before) >= 3 * WRITERS
    with Server(data, arguments=("--workers", "1"), environment={"GEUMGO_SEAL_FILE": str(scene.seal)}) as restored:
        client = restored.client("secretsmanager")
        assert {name: client.get_secret_value(SecretId=name)["SecretString"] for name in scene.before} == scene.before
        assert restored.stop() == 0
        verified = restored.run("audit", "verify")
        assert verified.returncode == 0, verified.stdout


def test_a_backup_with_one_bit_flipped_is_refused(scene: Scene, tmp_path: Path):
    settings = load({"data": tmp_path / "none", "seal_file": str(scene.seal)}, {}, None)
    assert backups.verify_backup(settings, scene.file, scene.key).rows["schema_migration"] > 0
    whole = scene.file.read_bytes()
    dice = random.Random(7)
    ends = [0, 20, 400, len(whole) - 1, len(whole) - 70, len(whole) - 200]
    altered = tmp_path / "altered"
    for at in [*ends, *(dice.randrange(len(whole)) for _ in range(FLIPS))]:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << dice.randrange(8)
        altered.write_bytes(flipped)
        with pytest.raises(BackupError):
            backups.verify_backup(settings, altered, scene.key)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_a_backup_that_was_cut_short_or_continued_is_refused(scene: Scene, tmp_path: Path, kept: float):
    settings = load({"data": tmp_path / "none", "seal_file": str(scene.seal)}, {}, None)
    whole = scene.file.read_bytes()
    for content in (whole[: int(len(whole) * kept)], whole + b"\0"):
        altered = tmp_path / "altered"
        altered.write_bytes(content)
        with pytest.raises(BackupError):
            backups.verify_backup(settings, altered, scene.key)


def test_restoring_needs_the_seal_and_a_recipients_key(scene: Scene, tmp_path: Path):
    other = tmp_path / "other.key"
    settings = load({"data": scene.server.data}, {}, None)
    write_private(other, new_recipient()[0].reveal(), replace=False)
    refused = scene.restore(tmp_path / "a", key=other)
    assert refused.returncode == 1
    assert "not made for this key" in refused.stderr
    wrong = tmp_path / "seal.key"
    wrong.write_bytes(os.urandom(32))
    wrong.chmod(0o600)
    with pytest.raises(SealError):
        backups.verify_backup(load({"data": tmp_path / "b", "seal_file": str(wrong)}, {}, None), scene.file, scene.key)
    assert not list((tmp_path / "a").iterdir())
    assert backups.verify_backup(settings, scene.file, scene.key).term == 1


def test_nothing_is_restored_over_what_is_there_and_no_backup_is_overwritten(scene: Scene, tmp_path: Path):
    refused = scene.restore(scene.server.data)
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    content = scene.file.read_bytes()
    again = scene.server.run("backup", str(scene.file))
    assert again.returncode == 1
    assert scene.file.read_bytes() == content
    assert [path.name for path in scene.file.parent.iterdir() if path.name.endswith(".partial")] == []


def test_a_backup_shows_no_name_of_a_secret(scene: Scene):
    content = scene.file.read_bytes()
    assert b"secret:w0/0" not in content
    assert b"secretsmanager" not in content
    assert scene.revoked.encode() not in content


def test_a_backup_of_postgresql_is_refused_with_what_to_do_instead(scene: Scene, tmp_path: Path):
    settings = load({"data": scene.server.data, "database": "postgresql://db.example/geumgo"}, {}, None)
    with pytest.raises(BackupError, match="pg_dump"):
        backups.backup(settings, tmp_path / "backup")
    assert not list(tmp_path.iterdir())
