"""New root keys of several machines on one PostgreSQL: none writes what the others could not read, and nothing that was answered is lost."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from geumgo import app
from geumgo.app import rings
from geumgo.app.directory import open_root, seal_of, take_up_next
from geumgo.app.rekeying import Rekeying
from geumgo.audit import store as audit_store
from geumgo.audit.line import Head
from geumgo.cli.rekey import rekey
from geumgo.sealing import keyring
from geumgo.sealing.root import RootKeys
from geumgo.sealing.seals import SealError
from geumgo.settings import Settings, SettingsError
from geumgo.storage import Broken, Storage
from geumgo.storage.postgres_terms import Terms
from geumgo.storage.terms import Closed
from tests.promises.test_new_root_keys import Load, storage_of
from tests.promises.under_root_keys import left_of
from tests.server import Server
from tests.storage.postgres_server import PrivateServer

BROUGHT: Final = (keyring.FILE_NAME, "seal.key", "admin.credentials")
PATIENCE: Final = 180.0
TABLE: Final = "sts_time_line"
INSERT: Final = f"INSERT INTO {TABLE} (one, number, began_at_ms, mac) VALUES (:one, :number, :began_at_ms, :mac)"
ROW: Final = {"one": 1, "number": 7, "began_at_ms": 1}


@pytest.fixture
def database(postgres_server: PrivateServer) -> Iterator[str]:
    with postgres_server.database() as dsn:
        yield dsn


@pytest.fixture
def machines(tmp_path: Path, database: str) -> tuple[Settings, Settings]:
    """Two data directories on one database: the second one was given the keyring and the seal of the first one."""
    first = Settings(data=tmp_path / "first", database=database)
    app.initialise(first)
    second = replace(first, data=tmp_path / "second")
    second.data.mkdir(mode=0o700)
    bring(first.data, second.data, *BROUGHT)
    assert app.prepare(second)
    return first, second


def bring(source: Path, target: Path, *names: str) -> None:
    for name in names:
        shutil.copy2(source / name, target / name)


@contextmanager
def writer(settings: Settings) -> Iterator[tuple[RootKeys, Storage]]:
    """What a process of this machine writes with, until it ends."""
    root, descriptor, storage = rings.hold_and_open(settings)
    try:
        yield root, storage
    finally:
        storage.close()
        os.close(descriptor)


def rekeying(settings: Settings) -> Rekeying:
    return Rekeying(settings, lambda _: None, rest=lambda _: None)


def written(root: RootKeys, storage: Storage) -> None:
    with storage.writing() as tx:
        tx.run(INSERT, **ROW, mac=root.vouch(TABLE, ROW))


def is_read_by(settings: Settings) -> bool:
    with storage_of(settings) as storage, storage.reading() as tx:
        row = tx.one(f"SELECT mac FROM {TABLE}")
    if row is None:
        return False
    open_root(settings).check(TABLE, ROW, row[0])
    return True


def test_a_machine_with_the_old_ring_cannot_write_once_the_term_is_closed(machines: tuple[Settings, Settings]) -> None:
    first, second = machines
    with writer(second) as (root, storage), writer(second) as (_, other):
        work = rekeying(first)
        work.begin([seal_of(first)])
        work.renew()
        work.finish(give_up_damaged=False, end_sessions=False)
        for each, alone in ((storage, False), (other, True)):
            with (
                pytest.raises(Closed, match=r"term 1\) are not those .* \(term 2\): .* Copy its keyring.json"),
                each.writing(alone=alone),
            ):
                pass
        with pytest.raises(Broken):  # and it does nothing else any more
            written(root, storage)
    assert not is_read_by(first)
    with pytest.raises(Closed, match=r"Copy its keyring.json"):
        app.prepare(second)
    with pytest.raises(Closed):
        rings.hold_and_open(second)
    assert rings.others(second, ()) == [], "nobody holds a ring there that is of no use"
    bring(first.data, second.data, keyring.FILE_NAME)
    assert app.prepare(second)
    with writer(second) as (root, storage):
        written(root, storage)
    assert is_read_by(first)


def test_a_term_that_is_not_closed_loses_what_is_written_late(
    machines: tuple[Settings, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test before."""
    first, second = machines
    monkeypatch.setattr(Terms, "close_below", lambda *_: [])
    with writer(second) as (root, storage):
        work = rekeying(first)
        work.begin([seal_of(first)])
        work.finish(give_up_damaged=False, end_sessions=False)
        written(root, storage)
    with storage_of(first) as storage:
        assert left_of(storage, 1) == {f"{TABLE}.mac"}


def test_what_is_under_way_when_the_term_is_closed_is_waited_for_and_kept(machines: tuple[Settings, Settings]) -> None:
    first, second = machines
    work = rekeying(first)
    work.begin([seal_of(first)])
    work.renew()
    ending = threading.Thread(target=work.finish, kwargs={"give_up_damaged": False, "end_sessions": False})
    with writer(second) as (root, storage):
        with storage.writing() as tx:
            tx.run(INSERT, **ROW, mac=root.vouch(TABLE, ROW))
            ending.start()
            await_that(lambda: _waits_for_a_lock(first), "the command waits")
        ending.join(PATIENCE)
    assert keyring.terms_in(first.data) == (2,)
    assert is_read_by(first)


@pytest.mark.parametrize("dropped", [False, True])
def test_a_machine_that_was_left_behind_is_told_by_each_command_what_a_start_tells(
    machines: tuple[Settings, Settings], *, dropped: bool
) -> None:
    """As soon as something is under the new root keys, whether those of before are dropped yet or not."""
    first, second = machines
    work = rekeying(first)
    work.begin([seal_of(first)])
    work.renew()
    if dropped:
        work.finish(give_up_damaged=False, end_sessions=False)
    arn = f"arn:aws:iam::{app.status(first)['accounts'][0]}:user/admin"
    looks: dict[str, Callable[[Settings], Any]] = {
        "start": app.prepare,
        "status": app.status,
        "iam explain": lambda settings: app.explain(settings, arn, "sts:GetCallerIdentity", "*", {}),
    }
    for look in looks.values():
        with pytest.raises(Closed, match=r"term 1\) are not those .* \(term 2\): .* Copy its keyring.json"):
            look(second)
    bring(first.data, second.data, keyring.FILE_NAME)
    for look in looks.values():
        look(second)


def _waits_for_a_lock(settings: Settings) -> bool:
    with storage_of(settings) as storage, storage.reading() as tx:
        found = tx.one(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'geumgo rekey' AND wait_event_type = 'Lock'"
        )
    assert found is not None
    return bool(found[0])


def await_that(what: Any, name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, name
        time.sleep(0.05)


def test_a_second_machine_that_begins_too_is_refused_until_the_first_one_is_said_to_be_gone(
    machines: tuple[Settings, Settings],
) -> None:
    first, second = machines
    assert rekeying(first).prepare([seal_of(first)])
    assert not rekeying(first).prepare([seal_of(first)])
    for again in (rekeying(second).prepare, rekeying(second).begin):
        with pytest.raises(SettingsError, match=r"has begun to renew the root keys. Go on there"):
            again([seal_of(second)])
    assert keyring.terms_in(second.data) == (1,)
    assert rekeying(second).begin([seal_of(second)], take_over=True) == (1, 2)


def test_the_next_ring_is_taken_up_by_who_meets_the_new_term_and_by_who_is_started_when_the_old_one_is_closed(
    machines: tuple[Settings, Settings], tmp_path: Path
) -> None:
    first, second = machines
    third = replace(second, data=tmp_path / "third")
    third.data.mkdir(mode=0o700)
    bring(first.data, third.data, *BROUGHT)
    assert rekeying(first).prepare([seal_of(first)])
    for machine in (second, third):
        bring(first.data, machine.data, keyring.NEXT_NAME)
    with writer(second) as (root, _):
        work = rekeying(first)
        assert work.begin([seal_of(first)]) == (1, 2)
        assert not (first.data / keyring.NEXT_NAME).exists()
        with writer(first) as (newer, storage):
            written(newer, storage)
        assert keyring.terms_in(second.data) == (1,)
        with storage_of(second) as storage, storage.reading() as tx:
            (mac,) = tx.one(f"SELECT mac FROM {TABLE}") or (b"",)
        root.check(TABLE, ROW, mac)
        assert keyring.terms_in(second.data) == (1, 2)
    work.renew()
    work.finish(give_up_damaged=False, end_sessions=False)
    with writer(third) as (root, _):
        assert root.terms == (1, 2)
    assert is_read_by(third)


def test_a_next_ring_of_other_root_keys_or_without_a_newer_one_is_not_taken_up(
    machines: tuple[Settings, Settings], tmp_path: Path
) -> None:
    first, second = machines
    stranger = Settings(data=tmp_path / "stranger", seal_file=str(first.seal_path))
    app.initialise(stranger)
    keyring.add_term(stranger.data, [seal_of(stranger)])
    bring(first.data, second.data, keyring.FILE_NAME)
    before = (second.data / keyring.FILE_NAME).read_bytes()
    for other in (stranger.data, first.data):
        shutil.copy2(other / keyring.FILE_NAME, second.data / keyring.NEXT_NAME)
        with pytest.raises(SealError, match=r"is of other root keys|has no newer root key"):
            take_up_next(second)
    assert (second.data / keyring.FILE_NAME).read_bytes() == before


def test_the_command_first_makes_the_next_ring_where_there_are_other_machines(
    machines: tuple[Settings, Settings],
) -> None:
    first, _ = machines
    with storage_of(first) as storage, storage.writing() as tx:
        audit_store.keep_heads(tx, "ab12cd34", [Head("ab12cd34-api-0", 1, "0" * 64, 1, "00" * 64)])
    command = ["--data", str(first.data), "--grace", "0"]
    environment = {"GEUMGO_DATABASE": first.database}
    early = CliRunner().invoke(rekey, [*command, "--others-ready"], env=environment)
    assert early.exit_code == 1
    assert "There is no" in str(early.exception)
    for _ in range(2):
        begun = CliRunner().invoke(rekey, command, env=environment)
        assert begun.exit_code == 1
        assert "other machines: ab12cd34" in begun.stderr
        assert "--others-ready" in begun.stderr
        assert keyring.terms_in(first.data) == (1,)
        assert keyring.terms_in(first.data, name=keyring.NEXT_NAME) == (1, 2)
    done = CliRunner().invoke(rekey, [*command, "--others-ready"], env=environment)
    assert done.exit_code == 0, done.output
    assert keyring.terms_in(first.data) == (2,)
    assert "on every other machine: geumgo rekey" in done.output


# -- two real servers --------------------------------------------------------------------------------------------------


@pytest.fixture
def servers(tmp_path: Path, database: str) -> Iterator[tuple[Server, Server]]:
    environment = {"GEUMGO_DATABASE": database}
    with Server(tmp_path / "first", arguments=("--workers", "1"), environment=environment) as first:
        secrets = first.client("secretsmanager")
        for name in ("read-0", "read-1"):
            secrets.create_secret(Name=name, SecretString=name)
        first.client("ssm").put_parameter(Name="/plain", Value="plain", Type="String")
        data = tmp_path / "second"
        data.mkdir(mode=0o700)
        bring(first.data, data, *BROUGHT)
        with Server(data, arguments=("--workers", "1"), environment=environment) as second:
            yield first, second


def under_load(loads: list[Load], work: Any) -> Any:
    for load in loads:
        load.start()
    try:
        return work()
    finally:
        for load in loads:
            load.over.set()
        for load in loads:
            load.join()


def read_everywhere(load: Load, *servers: Server) -> None:
    for server in servers:
        secrets = server.client("secretsmanager", retries={"mode": "standard", "total_max_attempts": 4})
        for name, value in load.values.items():
            assert secrets.get_secret_value(SecretId=name)["SecretString"] == value


def test_two_servers_under_load_get_new_root_keys_one_after_the_other(
    servers: tuple[Server, Server], database: str
) -> None:
    first, second = servers
    loads = [Load(first, writes=False), Load(second, writes=False), Load(second, writes=True)]

    def work() -> list[Any]:
        begun = first.run("rekey")
        bring(first.data, second.data, keyring.NEXT_NAME)
        done = first.run("rekey", "--others-ready", "--grace", "0", timeout=PATIENCE)
        there = second.run("rekey", "--grace", "0", timeout=PATIENCE)
        return [begun, done, there]

    begun, done, there = under_load(loads, work)
    assert (begun.returncode, done.returncode, there.returncode) == (1, 0, 0), (begun, done, there)
    assert [load.faults for load in loads] == [[], [], []]
    assert min(load.asked for load in loads) > 20
    print(f"\n{sum(load.asked for load in loads)} rounds of three clients, 0 faults")
    assert keyring.terms_in(first.data) == keyring.terms_in(second.data) == (2,)
    with storage_of(Settings(data=first.data, database=database)) as storage:
        assert left_of(storage, 1) == set()
    read_everywhere(loads[2], first, second)
    for server in servers:
        assert server.run("audit", "verify").returncode == 0
        assert server.run("rekey", "--status").returncode == 0


def test_a_server_that_was_not_stopped_answers_nothing_that_is_lost_and_serves_again_with_the_new_keyring(
    servers: tuple[Server, Server],
) -> None:
    first, second = servers
    load = Load(second, writes=True)

    def work() -> Any:
        return first.run("rekey", "--others-stopped", "--grace", "0", timeout=PATIENCE)

    done = under_load([load], work)
    assert done.returncode == 0, done.stderr
    assert load.faults, "it could not go on"
    # what was answered is there; of the one that was cut off in its middle nobody knows
    secrets = first.client("secretsmanager")
    for name, value in load.values.items():
        assert secrets.get_secret_value(SecretId=name)["SecretString"] == value
    await_that(lambda: "Copy its keyring.json into this data directory" in second.printed(), "it says why")
    bring(first.data, second.data, keyring.FILE_NAME)
    again = second.client("secretsmanager", retries={"mode": "standard", "total_max_attempts": 10}, read_timeout=60)
    assert again.get_secret_value(SecretId="read-0")["SecretString"] == "read-0"
    again.create_secret(Name="afterwards", SecretString="x")
    assert secrets.get_secret_value(SecretId="afterwards")["SecretString"] == "x"


def test_a_server_that_was_stopped_does_not_start_with_the_old_keyring_and_serves_with_the_new_one(
    servers: tuple[Server, Server],
) -> None:
    first, second = servers
    second.client("secretsmanager").create_secret(Name="mine", SecretString="value")
    assert second.stop() == 0
    done = first.run("rekey", "--others-stopped", "--grace", "0", timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "copy" in done.stdout
    with pytest.raises(AssertionError, match=r"Copy its keyring.json into this data directory"):
        second.start()
    bring(first.data, second.data, keyring.FILE_NAME)
    second.start()
    read = second.client("secretsmanager").get_secret_value(SecretId="mine")
    assert read["SecretString"] == "value"
    for server in servers:
        assert server.run("audit", "verify").returncode == 0
