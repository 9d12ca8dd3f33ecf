"""New root keys under a running server: everything reads at every moment, nothing is left of the old ones, no forged row is made good."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import botocore.exceptions
import pytest

from geumgo import app
from geumgo.app import rekeying, rings
from geumgo.app.directory import open_root, open_storage, seal_of
from geumgo.app.rekeying import NotYet, Rekeying, standing
from geumgo.app.rooms import ROOMS, renewals
from geumgo.renewal import Damaged, step
from geumgo.sealing import keyring
from geumgo.sealing.root import RootKeys
from geumgo.sealing.seals import SealError
from geumgo.settings import Settings
from tests.cli.test_commands import geumgo
from tests.house import House, Key
from tests.promises import dying_rekey
from tests.promises.under_root_keys import furnish, left_of, opened_by, reads_as_before
from tests.server import Server

ROUNDS: Final = int(os.environ.get("REKEY_ROUNDS", "1"))  # each kills the command once at every point
PAUSE_SECONDS: Final = 0.01  # between two rounds of a client
GONE: Final = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)


def at_the_time_of_the_machine(house: House) -> House:
    """So is the command, which takes a clock that is behind another one's for one that was set back."""
    house.clock.turn(ms=time.time_ns() // 1_000_000 - house.clock.now_ms())
    return house


@pytest.fixture(name="house")
def a_house(house: House) -> House:
    return at_the_time_of_the_machine(house)


@pytest.fixture(name="house_on_each")
def a_house_on_each(house_on_each: House) -> House:
    return at_the_time_of_the_machine(house_on_each)


def heard() -> tuple[list[str], Any]:
    said: list[str] = []
    return said, said.append


def rekeyed(settings: Settings, **how: bool) -> list[str]:
    """The root keys are new. Answers what the operator was told."""
    said, told = heard()
    work = Rekeying(settings, told, rest=lambda _: None)
    ring = work.begin([seal_of(settings)])
    work.renew()
    work.wait(ring, 0)
    ring = work.finish(**{"give_up_damaged": False, "end_sessions": False, **how})
    work.wait(ring, 0)
    work.forget(ring)
    return said


def opened_again(house: House) -> House:
    return replace(house, app=app.build(house.settings, slot="api-0", clock=house.clock), clients={})


@contextmanager
def storage_of(settings: Settings) -> Iterator[Any]:
    storage = open_storage(settings)
    try:
        yield storage
    finally:
        storage.close()


def test_everything_in_every_room_comes_under_the_new_root_keys(house_on_each: House) -> None:
    known = furnish(house_on_each)
    settings = house_on_each.settings
    before = open_root(settings)
    house_on_each.app.close()
    with storage_of(settings) as storage:
        had, refused = opened_by(storage, before)
        assert refused == set()
        assert {each.split(".")[0] for each in left_of(storage, 1)} == had | {"sign_in_attempt"}
        assert had | _nothing_sealed(settings) == {each.table for room in ROOMS for each in room.renews}
        rekeyed(settings)
        after = open_root(settings)
        assert after.terms == (2,)
        assert left_of(storage, 1) == set()
        assert opened_by(storage, after) == (had, set())
        assert opened_by(storage, RootKeys({1: before._terms[1]})) == (set(), had)
    assert standing(settings).left == {}
    house = opened_again(house_on_each)
    reads_as_before(house, known)
    house.app.close()
    assert app.verify_trail(settings).problems == []


def _nothing_sealed(settings: Settings) -> set[str]:
    """SQLite needs no copies of records, and who tried to sign in is kept as a keyed hash."""
    return {"sign_in_attempt"} | (set() if settings.database else {"cloudtrail_record"})


def test_a_room_that_is_skipped_is_noticed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for what is left does not ask the rooms."""
    furnish(house)
    settings = house.settings
    house.app.close()
    every = list(renewals())
    with storage_of(settings) as storage:
        had = {each.split(".")[0] for each in left_of(storage, 1)}
        work = Rekeying(settings, lambda _: None, rest=lambda _: None)
        work.begin([seal_of(settings)])
        for room in [room.service for room in ROOMS if room.renews]:
            skipped = {each.table for service, each in every if service >= room} & had
            monkeypatch.setattr(
                rekeying, "renewals", lambda room=room: iter([each for each in every if each[0] < room])
            )
            work.renew()
            assert {each.split(".")[0] for each in left_of(storage, 1)} == skipped
        monkeypatch.undo()
        work.renew()
        assert left_of(storage, 1) == set()


def test_a_forged_row_keeps_the_old_root_key_until_it_is_given_up_and_passes_at_no_time(house: House) -> None:
    furnish(house)
    settings = house.settings
    with house.app.storage.writing() as tx:
        forged = "UPDATE secret SET description = 'forged' WHERE name = 'own'"
        assert tx.run(forged) == 1
        (id_,) = tx.one("SELECT id FROM secret WHERE name = 'own'") or ("",)
    house.app.close()
    said, told = heard()
    work = Rekeying(settings, told, rest=lambda _: None)
    work.begin([seal_of(settings)])
    found = work.renew()
    assert Damaged("secret", (id_,), "a row of secret was changed from outside") in found
    assert {each.table for each in found} == {"secret", "secret_version"}, "what belongs to it cannot be proven either"
    assert any("DAMAGED: secret " in each for each in said)
    with pytest.raises(NotYet, match="3 rows are damaged"):
        work.finish(give_up_damaged=False, end_sessions=False)
    assert keyring.terms_in(settings.data) == (1, 2)
    middle = opened_again(house)
    with pytest.raises(botocore.exceptions.ClientError):
        middle.client("secretsmanager").get_secret_value(SecretId="own")
    assert middle.client("secretsmanager").get_secret_value(SecretId="default")["SecretString"] == "value default"
    middle.app.close()
    rekeyed(settings, give_up_damaged=True)
    assert keyring.terms_in(settings.data) == (2,)
    after = opened_again(house)
    with pytest.raises(botocore.exceptions.ClientError):
        after.client("secretsmanager").get_secret_value(SecretId="own")
    after.app.close()


def test_a_process_that_still_seals_in_the_old_term_is_waited_for(house: House) -> None:
    """Its last row is found when it has ended; until then the old term stays."""
    settings = house.settings
    work = Rekeying(settings, lambda _: None, rest=lambda _: None)
    ring = work.begin([seal_of(settings)])
    work.renew()
    house.client("secretsmanager").create_secret(Name="late", SecretString="value")
    assert standing(settings).left.keys() >= {"secret", "secret_version", "kms_key"}
    with pytest.raises(NotYet, match="root keys of before"):
        work.wait(ring, 0)
    with pytest.raises(NotYet):
        work.finish(give_up_damaged=True, end_sessions=False)
    assert keyring.terms_in(settings.data) == (1, 2)
    house.app.close()
    rekeyed(settings)
    after = opened_again(house)
    assert after.client("secretsmanager").get_secret_value(SecretId="late")["SecretString"] == "value"
    after.app.close()


def test_a_process_that_has_not_heard_of_the_new_term_reads_what_is_in_it(house: House) -> None:
    known = furnish(house)
    settings = house.settings
    work = Rekeying(settings, lambda _: None, rest=lambda _: None)
    work.begin([seal_of(settings)])
    work.renew()
    assert house.app.anchor.root.term == 1
    reads_as_before(house, known)
    house.app.close()


@pytest.mark.parametrize("end_sessions", [False, True])
def test_temporary_credentials_outlive_the_old_root_key_unless_they_are_to_end(
    house: House, end_sessions: bool
) -> None:
    ann = house.user("ann", {"Effect": "Allow", "Action": "*", "Resource": "*"})
    made = house.client("sts", ann).get_session_token()["Credentials"]
    session = Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    assert house.client("sts", session).get_caller_identity()
    house.app.close()
    rekeyed(house.settings, end_sessions=end_sessions)
    after = opened_again(house)
    if end_sessions:
        with pytest.raises(botocore.exceptions.ClientError):
            after.client("sts", session).get_caller_identity()
    else:
        assert after.client("sts", session).get_caller_identity()
        after.clock.turn(ms=rekeying.SESSIONS_MS + 60_000)
        after.app.tick()
        with pytest.raises(botocore.exceptions.ClientError):
            after.client("sts", session).get_caller_identity()
    after.app.close()


def test_who_would_not_wait_for_the_last_process_would_lose_what_it_wrote(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: the old term is dropped while somebody still seals in it."""
    settings = house.settings
    monkeypatch.setattr(Rekeying, "_refuse_users", lambda _: None)
    monkeypatch.setattr(Rekeying, "_turn_chains", lambda _: None)
    monkeypatch.setattr(rekeying, "_chains_left", lambda *_: [])
    work = Rekeying(settings, lambda _: None, rest=lambda _: None)
    work.begin([seal_of(settings)])
    work.finish(give_up_damaged=False, end_sessions=False)
    house.client("secretsmanager").create_secret(Name="late", SecretString="value")
    house.app.close()
    after = opened_again(house)
    with pytest.raises(botocore.exceptions.ClientError):
        after.client("secretsmanager").get_secret_value(SecretId="late")
    after.app.close()


def test_a_machine_with_the_keyring_of_before_does_not_start(house: House) -> None:
    """Not after the first account is under the new root keys, though all else is still under the old ones."""
    settings = house.settings
    path = settings.data / keyring.FILE_NAME
    before = path.read_bytes()
    house.app.close()
    work = Rekeying(settings, lambda _: None, rest=lambda _: None)
    work.begin([seal_of(settings)])
    with storage_of(settings) as storage, storage.writing() as tx:
        step(tx, sealing=open_root(settings), renewal=next(renewals())[1], term=2, after=None)
    now = path.read_bytes()
    path.write_bytes(before)
    with pytest.raises(SealError, match="do not belong to the root keys"):
        app.prepare(settings)
    path.write_bytes(now)
    assert app.prepare(settings)


# -- a real server, under load, and a command that is killed ----------------------------------------------------------


class Load(threading.Thread):
    """One client after the other asks until it is told to stop. Whatever is answered with an error, or stays away, is kept.

    It is a client as people have it: one whose kept connection was closed asks once more, and one that leaves the others a turn. Without
    that the clients take most of the cores from the command and the servers that are tried.
    """

    def __init__(self, server: Server, *, writes: bool) -> None:
        super().__init__()
        options: dict[str, Any] = {"retries": {"mode": "standard", "total_max_attempts": 4}}
        self.secrets = server.client("secretsmanager", **options)
        self.ssm = server.client("ssm", **options)
        for client in (self.secrets, self.ssm):
            client.meta.events.register("after-call", self._answered)
        self.writes, self.over, self.asked = writes, threading.Event(), 0
        self.faults: list[str] = []
        self.values: dict[str, str] = {}

    def _answered(self, http_response: Any, **_: Any) -> None:
        if http_response.status_code >= 400:
            self.faults.append(f"{http_response.status_code} {http_response.text[:200]}")

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self._write() if self.writes else self._read()
            except (*GONE, botocore.exceptions.ClientError) as fault:
                self.faults.append(repr(fault))
            self.asked += 1
            self.over.wait(PAUSE_SECONDS)

    def _read(self) -> None:
        for name in ("read-0", "read-1"):
            if self.secrets.get_secret_value(SecretId=name)["SecretString"] != name:
                self.faults.append(f"{name} has another value")
        if self.ssm.get_parameter(Name="/plain")["Parameter"]["Value"] != "plain":
            self.faults.append("/plain has another value")

    def _write(self) -> None:
        name, value = f"write-{self.asked % 200}", f"value {self.asked}"
        if name not in self.values:
            self.secrets.create_secret(Name=name, SecretString=value)
        else:
            self.secrets.put_secret_value(SecretId=name, SecretString=value)
        self.values[name] = value


@pytest.fixture(name="database", params=["sqlite", "postgres"])
def database_of_each_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    with request.getfixturevalue("postgres_server").database() as dsn:
        yield dsn


def died(server: Server, point: str) -> None:
    """The command begins or goes on, and is gone at that point."""
    found = subprocess.run(
        [*dying_rekey.PROGRAM, "rekey", "--again", "--grace", "0", "--data", str(server.data)],
        capture_output=True,
        text=True,
        env={**server.environment, "DIES_AT": point},
        timeout=120,
        check=False,
    )
    assert found.returncode == -signal.SIGKILL, (point, found.stdout, found.stderr)


def test_a_server_under_load_gets_new_root_keys_by_a_command_that_is_killed_at_every_point(
    tmp_path: Path, database: str
) -> None:
    environment = {"GEUMGO_DATABASE": database} if database else {}
    with Server(tmp_path / "data", arguments=("--workers", "2"), environment=environment) as server:
        secrets = server.client("secretsmanager")
        for name in ("read-0", "read-1"):
            secrets.create_secret(Name=name, SecretString=name)
        server.client("ssm").put_parameter(Name="/plain", Value="plain", Type="String")
        loads = [Load(server, writes=False), Load(server, writes=True)]
        for load in loads:
            load.start()
        try:
            before = keyring.terms_in(server.data)
            for _ in range(ROUNDS):
                for point in dying_rekey.POINTS[:: 3 if database else 1]:
                    died(server, point)
                    assert json.loads(server.run("rekey", "--status", "--json").stdout)["terms"]
            done = server.run("rekey", "--grace", "0", timeout=120)
        finally:
            for load in loads:
                load.over.set()
            for load in loads:
                load.join()
        assert done.returncode == 0, done.stderr
        assert "Done" in done.stdout or "Nothing to do" in done.stdout
        assert [load.faults for load in loads] == [[], []]
        assert min(load.asked for load in loads) > 20
        settings = Settings(data=server.data, database=database)
        (term,) = keyring.terms_in(server.data)
        assert term > before[-1]
        with storage_of(settings) as storage:
            assert all(left_of(storage, old) == set() for old in range(1, term))
            assert opened_by(storage, open_root(settings))[1] == set()
        for name, value in loads[1].values.items():
            assert secrets.get_secret_value(SecretId=name)["SecretString"] == value
        assert rings.others(settings, (term,)) == [], "no process has an old root key in its memory"
        assert server.run("audit", "verify").returncode == 0
        assert server.stop() == 0
        server.start()
        assert server.client("secretsmanager").get_secret_value(SecretId="read-0")["SecretString"] == "read-0"
        assert server.run("audit", "verify").returncode == 0


@pytest.mark.parametrize("point", ["row", "turned", "dropped"])
def test_a_server_that_is_killed_as_well_comes_back_and_the_command_goes_on(tmp_path: Path, point: str) -> None:
    with Server(tmp_path / "data", arguments=("--workers", "1")) as server:
        server.client("secretsmanager").create_secret(Name="kept", SecretString="value")
        died(server, point)
        server.kill()
        server.start()
        assert server.client("secretsmanager").get_secret_value(SecretId="kept")["SecretString"] == "value"
        done = server.run("rekey", "--grace", "0", timeout=120)
        assert done.returncode == 0, done.stderr
        assert keyring.terms_in(server.data) == (2,)
        assert server.client("secretsmanager").get_secret_value(SecretId="kept")["SecretString"] == "value"
        with storage_of(Settings(data=server.data)) as storage:
            assert left_of(storage, 1) == set()
        assert server.stop() == 0
        assert server.run("audit", "verify").returncode == 0


def test_the_command_says_what_was_done_and_what_is_next(tmp_path: Path) -> None:
    with Server(tmp_path / "data", arguments=("--workers", "1")) as server:
        server.client("secretsmanager").create_secret(Name="kept", SecretString="value")
        assert "nothing is left to do" in server.run("rekey", "--status").stdout
        died(server, "begun")
        found = server.run("rekey", "--status")
        assert found.returncode == 1
        assert "1 is to be dropped" in found.stdout
        assert "Next: geumgo rekey goes on with it" in found.stdout
        assert "New root keys were begun" in server.run("status").stdout
        done = server.run("rekey", "--grace", "0")
        assert done.returncode == 0, done.stderr
        for text in ("Term 2 was added before", "secretsmanager", "Term 1 is dropped", "Done", "geumgo backup"):
            assert text in done.stdout
        again = server.run("rekey")
        assert again.returncode == 0
        assert "Nothing to do" in again.stdout
        assert (server.data / "rings").exists()
        assert [path.name for path in (server.data / "rings").iterdir()] == ["2"]


def test_a_backup_from_before_opens_with_its_own_keyring(tmp_path: Path) -> None:
    data, key, file, back = (tmp_path / name for name in ("data", "key", "backup", "back"))
    with Server(data, arguments=("--workers", "1")) as server:
        server.client("secretsmanager").create_secret(Name="kept", SecretString="value")
        assert server.run("backup", "--new-recipient", str(key)).returncode == 0
        made = server.run("backup", str(file))
        assert made.returncode == 0, made.stderr
        assert server.run("rekey", "--grace", "0").returncode == 0
        admin = server.credentials()
        assert server.stop() == 0
    restored = geumgo(
        "restore", str(file), "--key", str(key), "--seal-file", str(data / "seal.key"), "--data", str(back)
    )
    assert restored.returncode == 0, restored.stderr
    assert keyring.terms_in(back) == (1,)
    with Server(back, arguments=("--workers", "1"), environment={"GEUMGO_SEAL_FILE": str(data / "seal.key")}) as server:
        assert server.client("secretsmanager", key=admin).get_secret_value(SecretId="kept")["SecretString"] == "value"
        assert server.run("audit", "verify").returncode == 0
        assert server.run("rekey", "--grace", "0").returncode == 0
        assert server.client("secretsmanager", key=admin).get_secret_value(SecretId="kept")["SecretString"] == "value"
