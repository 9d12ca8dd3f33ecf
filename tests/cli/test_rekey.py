"""New root keys on a directory that nobody serves: which seals it takes, and when it is refused."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from geumgo.app import rekeying
from geumgo.audit import store as audit_store
from geumgo.audit.line import Head
from geumgo.cli.rekey import rekey
from geumgo.sealing import keyring
from geumgo.sealing.seals import FileSeal, SharesSeal
from geumgo.sealing.shares import read
from geumgo.settings import SettingsError
from geumgo.storage import StorageError
from tests.cli.test_commands import geumgo
from tests.cli.test_reseal import WORDS
from tests.cli.test_unseal import shares_of
from tests.house import House
from tests.server import clean_environment


def test_every_seal_on_the_keyring_is_asked_for_and_opens_the_new_root_keys(tmp_path: Path):
    data, words = tmp_path / "data", tmp_path / "words"
    words.write_text(WORDS)
    words.chmod(0o600)
    assert geumgo("init", "--data", str(data)).returncode == 0
    assert geumgo("reseal", "--data", str(data), "--add", "--passphrase-file", str(words)).returncode == 0
    refused = geumgo("rekey", "--data", str(data), "--grace", "0")
    assert refused.returncode == 1
    assert "each of the 2 seals once: file, passphrase" in refused.stderr
    assert keyring.terms_in(data) == (1,)
    done = geumgo("rekey", "--data", str(data), "--grace", "0", "--passphrase-file", str(words))
    assert done.returncode == 0, done.stderr
    assert keyring.open_keyring(data, FileSeal(data / "seal.key")).terms == (2,)
    by_words = {"GEUMGO_SEAL": "passphrase", "GEUMGO_PASSPHRASE_FILE": str(words)}
    assert geumgo("status", "--data", str(data), **by_words).returncode == 0


def test_shares_of_people_are_entered_as_one_of_the_seals_and_as_the_only_one_of_the_settings(tmp_path: Path):
    data = str(tmp_path / "data")
    assert geumgo("init", "--data", data).returncode == 0
    shares = shares_of(geumgo("reseal", "--add", "--shares", "3", "--threshold", "2", "--data", data).stdout)
    command = [sys.executable, "-m", "geumgo", "rekey", "--data", data, "--grace", "0", "--again", "--entered-shares"]

    def entering(given: list[str], *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*command, *arguments],
            input="\n".join(given),
            capture_output=True,
            text=True,
            env={**clean_environment(), **environment},
            timeout=120,
            check=False,
        )

    assert "open with 2 shares" in entering(shares[:1]).stderr
    assert keyring.terms_in(tmp_path / "data") == (1,)
    done = entering(shares[:2])
    assert done.returncode == 0, done.stderr
    done = entering(shares[1:], "--seal-file", f"{data}/seal.key", GEUMGO_SEAL="shares")
    assert done.returncode == 0, done.stderr
    assert keyring.open_keyring(tmp_path / "data", FileSeal(tmp_path / "data" / "seal.key")).terms == (3,)
    by_shares = SharesSeal([read(each) for each in (shares[0], shares[2])])
    assert keyring.open_keyring(tmp_path / "data", by_shares).terms == (3,)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path):
    refused = geumgo("rekey", "--data", str(tmp_path / "none"))
    assert refused.returncode == 1
    assert "There is nothing of Geumgo" in refused.stderr


def test_other_machines_that_have_worked_on_the_database_are_known(house: House):
    assert rekeying.other_machines(house.settings) == []
    with house.app.storage.writing() as tx:
        audit_store.keep_heads(tx, "ab12cd34", [Head("ab12cd34-api-0", 1, "0" * 64, 1, "00" * 64)])
    assert rekeying.other_machines(house.settings) == ["ab12cd34"]


@pytest.mark.parametrize("fault", [StorageError("the database is away"), OSError(28, "No space left on device")])
def test_what_goes_wrong_on_the_way_is_said_with_what_to_do_next(
    house: House, monkeypatch: pytest.MonkeyPatch, fault: Exception
):
    house.app.close()

    def fails(_: rekeying.Rekeying) -> None:
        raise fault

    monkeypatch.setattr(rekeying.Rekeying, "renew", fails)
    command = ["--data", str(house.settings.data), "--grace", "0"]
    failed = CliRunner().invoke(rekey, command)
    assert failed.exit_code == 1
    assert "NOT finished: " in failed.stderr
    assert "run `geumgo rekey` again" in failed.stderr
    monkeypatch.undo()
    assert CliRunner().invoke(rekey, command).exit_code == 0
    assert keyring.terms_in(house.settings.data) == (2,)


def test_two_at_once_are_refused(house: House):
    with (
        rekeying.alone(house.settings),
        pytest.raises(SettingsError, match="Another `geumgo rekey`"),
        rekeying.alone(house.settings),
    ):
        pass
