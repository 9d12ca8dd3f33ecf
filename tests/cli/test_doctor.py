"""What `geumgo doctor` finds: in real directories, of a real server, and of processes of which something is wrong."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from geumgo import app
from geumgo.audit import store as audit_store
from geumgo.audit.line import Head
from geumgo.cli import doctor as command
from geumgo.cli.looks import Finding, files, machine, processes
from geumgo.settings import Settings
from geumgo.storage import sqlite
from tests.cli.test_commands import geumgo
from tests.house import House
from tests.server import Server

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
NOBODY = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files and processes to somebody else")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    app.initialise(Settings(data=made))
    return made


def found(data: Path, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and what was found that is not as it should be."""
    done = geumgo("doctor", "--data", str(data), "--json", **{"GEUMGO_LISTEN": "127.0.0.1:1", **environment})
    return done.returncode, [each for each in json.loads(done.stdout) if each["level"] == "problem"]


def of_files(data: Path) -> list[Finding]:
    return [each for each in files.look_at_files(Settings(data=data)) if each.level == "problem"]


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_directory_as_it_was_made_is_well(data: Path):
    assert found(data) == (0, [])


def test_each_file_that_is_open_to_others_is_named_with_what_mends_it(data: Path):
    (data / "geumgo.db").chmod(0o640)
    (data / "a copy 'of mine'").write_text("x")
    (data / "a copy 'of mine'").chmod(0o604)
    (data / "audit").mkdir(mode=0o700)
    (data / "audit" / "n1-a").mkdir()
    (data / "audit" / "n1-a").chmod(0o710)
    (data / "node").chmod(0o000)
    status, problems = found(data)
    assert status == 1
    said = [f"{each['detail']} -> {each['next']}" for each in problems if each["what"] == "files"]
    assert [line.partition(" -> ")[0].removeprefix(f"{data}/") for line in said if "copy" not in line] == [
        "audit/n1-a is open to others (mode 0710)",
        "geumgo.db is open to others (mode 0640)",
        "node is closed to its owner (mode 0000)",
    ]
    assert len(said) == 4
    for each in problems:
        subprocess.run(each["next"], shell=True, check=True)
    assert of_files(data) == []
    assert found(data) == (0, [])


@needs_root
def test_a_file_of_somebody_else_is_named_with_what_mends_it(data: Path):
    os.chown(data / "admin.credentials", NOBODY, NOBODY)
    os.chown(data / "geumgo.db", NOBODY, -1)
    (data / "geumgo.db").chmod(0o660)
    (data / "link").symlink_to("/etc/passwd")
    problems = of_files(data)
    assert [each.detail.removeprefix(f"{data}/") for each in problems] == [
        "admin.credentials belongs to nobody",
        "geumgo.db belongs to nobody and is open to others (mode 0660)",
    ]
    for each in problems:
        subprocess.run(each.next, shell=True, check=True)
    assert of_files(data) == []


def test_many_files_have_one_command_that_mends_them_all_and_few_lines(data: Path):
    for number in range(files.MANY + 30):
        (data / f"copy-{number}").write_text("x")
        (data / f"copy-{number}").chmod(0o644)
    problems = of_files(data)
    assert len(problems) == files.MANY + 31
    done = geumgo("doctor", "--data", str(data), GEUMGO_LISTEN="127.0.0.1:1")
    assert done.returncode == 1
    assert done.stdout.count("is open to others") == command.SHOWN - 1
    assert "31 more of files: --json shows them all" in done.stdout
    assert done.stdout.splitlines()[-1] == "NOT WELL: 51 to mend (files)."
    subprocess.run(problems[0].next, shell=True, check=True)
    assert of_files(data) == []


def test_a_trail_that_is_a_link_to_another_disk_is_looked_at_there(data: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "x.trail").write_text("x")
    (elsewhere / "x.trail").chmod(0o644)
    (data / "audit").symlink_to(elsewhere)
    (problem,) = of_files(data)
    assert problem.detail == f"{elsewhere}/x.trail is open to others (mode 0644)"


def test_a_name_that_would_steer_the_terminal_is_spelled_out(data: Path):
    evil = data / "\x1b[2Jx'\n"
    evil.write_text("x")
    evil.chmod(0o644)
    (problem,) = of_files(data)
    assert (problem.detail + problem.next).isprintable()
    subprocess.run(["bash", "-c", problem.next], check=True)
    assert of_files(data) == []


# -- disks -------------------------------------------------------------------------------------------------------------


def test_a_disk_is_judged_by_its_room_its_names_and_how_the_trail_grows():
    def level(free: int, names: int | None = None, grows: int = 0) -> str:
        return files.room(Path("/x"), free, names, grows).level

    gib = 1 << 30
    assert level(100 * gib) == "ok"
    assert level(100 * gib, names=10**6, grows=gib) == "ok"
    assert level(100 * gib, grows=10 * gib) == "advice"
    assert "full in 10 days" in files.room(Path("/x"), 100 * gib, None, 10 * gib).detail
    assert level(gib) == "advice"
    assert level(files.FREE_BYTES - 1) == "problem"
    assert level(100 * gib, names=10) == "problem"


def test_only_files_of_the_trail_that_are_full_say_how_it_grows(tmp_path: Path):
    place = tmp_path / "audit" / "n1-a"
    place.mkdir(parents=True)
    now = time.time()
    for number, days in enumerate([30, 6, 1, 0], start=1):
        path = place / f"{number:08}.trail"
        path.write_bytes(b"x" * 7_000)
        os.utime(path, (now, now - days * 86_400))
    assert files.growth_bytes(tmp_path / "audit", now) == 2 * 7_000 // 7
    assert files.growth_bytes(tmp_path / "none", now) == 0


def test_a_disk_that_is_nearly_full_is_a_problem(small_disk: Path):
    data = small_disk / "data"
    app.initialise(Settings(data=data))
    status, problems = found(data)
    assert status == 1
    assert [each["what"] for each in problems] == [f"disk of {data}"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(
        [*sudo, "mount", "-t", "tmpfs", "-o", f"size=64m,mode=700,uid={os.geteuid()}", "none", place], check=True
    )
    try:
        yield place
    finally:
        subprocess.run([*sudo, "umount", "-l", place], check=True)


# -- SQLite, the clock -------------------------------------------------------------------------------------------------


def test_an_sqlite_that_loses_writes_is_a_problem(data: Path, monkeypatch: pytest.MonkeyPatch):
    assert command.library(sqlite.library_version()).level == "ok"
    for version in ("3.40.1", "3.51.2", "3.50.6", "3.44.5"):
        assert command.library(version).level == "problem"
    monkeypatch.setattr(sqlite, "library_version", lambda: "3.40.1")
    done = CliRunner().invoke(command.doctor, ["--data", str(data)], env={"GEUMGO_LISTEN": "127.0.0.1:1"})
    assert done.exit_code == 1
    assert "SQLite 3.40.1 is loaded, which can lose acknowledged writes" in done.output
    assert (
        "(SQLite, root key, database" not in done.output
    )  # the database is not opened by it; that is said once more below


def test_a_clock_behind_what_the_trail_and_the_database_have_noted_is_a_problem(house: House):
    settings = house.settings
    house.client("secretsmanager").create_secret(Name="a", SecretString="x")
    house.app.tick()
    latest = app.latest_moment(settings)
    assert latest is not None
    assert latest[0] >= house.clock.now_ms() - 1_000
    assert machine.clock_against(latest[0] + 5, latest).level == "ok"
    assert machine.clock_against(latest[0] - 30_000, latest).level == "ok"  # a time server does that
    assert machine.clock_against(latest[0] - 61_000, latest).level == "problem"
    with house.app.storage.writing() as tx:  # another machine, a day ahead
        audit_store.keep_heads(tx, "other", [Head("other-api-0", 1, "0" * 64, latest[0] + 86_400_000, "00" * 64)])
    ahead = app.latest_moment(settings)
    assert ahead == (latest[0] + 86_400_000, "other-api-0")
    assert "other-api-0 has noted something at" in machine.clock_against(latest[0], ahead).detail
    with house.app.storage.writing() as tx:
        tx.run("DELETE FROM audit_head")
    assert app.latest_moment(settings) == latest  # the files say it alone
    assert machine.clock_against(0, None).level == "ok"


def test_the_kernel_is_asked_whether_a_time_server_keeps_the_clock():
    assert machine.is_synchronised() in (True, False)
    assert [machine.time_server(each).level for each in (True, False, None)] == ["ok", "advice", "advice"]
    if Path("/run/systemd/system").exists():
        told = subprocess.run(
            ["timedatectl", "show", "-p", "NTPSynchronized", "--value"], capture_output=True, text=True
        )
        assert told.stdout.strip() == ("yes" if machine.is_synchronised() else "no")


# -- swap --------------------------------------------------------------------------------------------------------------


def test_swap_on_a_disk_is_named_and_compressed_memory_is_not():
    areas = machine.swap_areas
    assert areas(HEAD) == []
    assert areas(HEAD + "/dev/zram0 partition 1000 0 100\n") == []
    assert areas(HEAD + "/dev/sda2 partition 1000 0 -2\n/swapfile file 10 0 -3\n") == ["/dev/sda2", "/swapfile"]


def test_swap_that_is_encrypted_or_out_of_reach_is_well(tmp_path: Path):
    (tmp_path / "dm-1" / "dm").mkdir(parents=True)
    (tmp_path / "dm-1" / "dm" / "uuid").write_text("CRYPT-PLAIN-swap\n")
    (tmp_path / "dm-2" / "dm").mkdir(parents=True)
    (tmp_path / "dm-2" / "dm" / "uuid").write_text("LVM-abc\n")
    assert machine.is_encrypted("/dev/dm-1", tmp_path)
    assert not machine.is_encrypted("/dev/dm-2", tmp_path)
    assert not machine.is_encrypted("/swapfile", tmp_path)
    assert machine.swap([], True).level == "ok"
    assert machine.swap(["/swapfile"], False).level == "ok"
    assert machine.swap(["/swapfile"], True).level == "advice"


def test_a_limit_of_swap_holds_for_what_is_below_it(tmp_path: Path):
    (tmp_path / "system.slice" / "geumgo.service").mkdir(parents=True)
    limit = tmp_path / "system.slice" / "memory.swap.max"
    groups = "4:memory:/x\n0::/system.slice/geumgo.service\n"
    limit.write_text("max\n")
    assert machine.may_swap(groups, tmp_path)
    limit.write_text("0\n")
    assert not machine.may_swap(groups, tmp_path)
    assert machine.may_swap("0::/\n", tmp_path)


# -- processes ---------------------------------------------------------------------------------------------------------


def process(**wrong: Any) -> processes.Process:
    well = {"pid": 1, "name": "geumgo api-0", "core_bytes": "0", "descriptors": 65_536, "swapped_kb": 0}
    return processes.Process(**{**well, "may_swap": False, "dumpable": False, **wrong})


def levels(*running: processes.Process) -> dict[str, str]:
    return {each.what: each.level for each in processes.look_at_processes(Settings(), running)}


def test_what_is_wrong_with_one_process_of_the_server_is_a_problem():
    well = {"memory": "ok", "dumps of the server": "ok", "file descriptors": "ok"}
    assert levels(process(), process(pid=2, name="geumgo worker", descriptors=1_024)) == well
    assert levels(process(), process(swapped_kb=4)) == {**well, "memory": "problem"}
    assert levels(process(), process(core_bytes="unlimited")) == {**well, "dumps of the server": "problem"}
    assert levels(process(), process(dumpable=True)) == {**well, "dumps of the server": "problem"}
    assert levels(process(), process(descriptors=1_024)) == {**well, "file descriptors": "problem"}
    assert levels(process(descriptors=None, dumpable=None)) == well


def test_the_processes_of_a_server_are_found_and_what_something_has_allowed_since(tmp_path: Path):
    with Server(tmp_path / "data", arguments=("--workers", "1")) as server:
        settings = Settings(data=server.data)
        running = processes.serving(settings)
        assert {each.pid for each in running} == set(server.members())
        assert running[0].pid == server.members()[0]
        assert {each.core_bytes for each in running} == {"0"}
        assert "problem" not in {each.level for each in processes.look_at_processes(settings, running)}
        environment = {"GEUMGO_LISTEN": server.endpoint.removeprefix("http://")}
        assert found(server.data, **environment) == (0, [])
        api = next(each for each in running if "api" in each.name)
        resource.prlimit(api.pid, resource.RLIMIT_NOFILE, (300, 300))
        status, problems = found(server.data, **environment)
        assert (status, [each["what"] for each in problems]) == (1, ["file descriptors"])
        assert "the limit is 300" in problems[0]["detail"]
        (server.data / "geumgo.db-wal").chmod(0o644)
        assert [each["what"] for each in found(server.data, **environment)[1]] == ["files", "file descriptors"]
        server.kill()
        assert processes.serving(settings) == []


def test_the_core_limit_of_a_running_process_is_read():
    with sleeping() as pid:
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, -1))
        assert core_bytes(pid) == "0"
        resource.prlimit(pid, resource.RLIMIT_CORE, (-1, -1))
        assert core_bytes(pid) == "unlimited"


def core_bytes(pid: int) -> str:
    read = processes.process_of(pid)
    assert read is not None
    return read.core_bytes


@needs_root
@pytest.mark.parametrize(("user", "flag", "told"), [(NOBODY, 1, True), (NOBODY, 0, False), (0, 1, None), (0, 0, None)])
def test_whether_a_process_may_be_dumped_is_told_of_all_but_those_of_root(user: int, flag: int, told: bool | None):
    with sleeping(user, flag) as pid:
        read = processes.process_of(pid)
        assert read is not None
        assert read.dumpable is told


@contextmanager
def sleeping(user: int | None = None, dumpable: int = 1) -> Iterator[int]:
    """A process of `user` that waits for its end."""
    become = (
        f"os.setgroups([]); os.setresgid({user}, {user}, {user}); os.setresuid({user}, {user}, {user})"
        if user
        else "pass"
    )
    code = f"import ctypes, os; {become}; ctypes.CDLL(None).prctl(4, {dumpable}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.kill()
