"""The host of functions: whether they run at all, how many at a time, what is kept of what they print."""

import json
import os
import selectors
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from geumgo.functions import Busy, NotRun, Task
from geumgo.functions.host import Host, working_tools
from geumgo.functions.invocation import STOOD_STILL_SECONDS, Invocation, Surroundings
from geumgo.functions.log_files import LARGEST_BYTES, LogFiles
from geumgo.functions.probing import refuse_open_walls
from geumgo.functions.reach import Reach, Rules
from geumgo.functions.sandbox import Walls, find_tools
from geumgo.outbound.addresses import Allowed
from tests.functions.zips import ECHO, package

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f:1"


def task(code: str = ECHO, **more: object) -> Task:
    made = Task(
        "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ARN,
        "f",
        "1",
        "app.handler",
        "us-east-1",
        128,
        5,
        64,
        package(code),
        {},
        {},
        b"{}",
    )
    return replace(made, **more)  # type: ignore[arg-type]


def nowhere() -> socket.socket:
    raise OSError("there is no server")


def test_a_sandbox_that_holds_lets_functions_run(tmp_path: Path) -> None:
    assert working_tools(tmp_path).privileged == (os.geteuid() == 0)


@pytest.mark.parametrize("wall", ["network", "processes", "calls"])
def test_a_sandbox_that_does_not_hold_lets_none_run(tmp_path: Path, wall: str) -> None:
    tools = replace(find_tools([tmp_path]), walls=replace(Walls(), **{wall: False}))
    with pytest.raises(NotRun, match=r"does not hold on this machine: it "):
        refuse_open_walls(tools, tmp_path)


def test_without_a_sandbox_no_function_runs(tmp_path: Path) -> None:
    for bwrap in ("/bin/false", "/nonexistent"):
        tools = replace(find_tools([tmp_path]), bwrap=bwrap)
        with pytest.raises(NotRun, match="cannot be made"):
            Host(nowhere, Rules(), directory=tmp_path, most=1, tools=tools).run(task())


def test_more_functions_than_may_run_are_refused(tmp_path: Path) -> None:
    host = Host(nowhere, Rules(), directory=tmp_path, most=1)
    first = threading.Thread(target=host.run, args=(task("import time\ndef handler(e, c):\n    time.sleep(2)\n"),))
    first.start()
    while not host._running:  # it has not begun
        pass
    with pytest.raises(Busy):
        host.run(task())
    first.join()
    assert host.run(task()).payload == b"{}"


def test_what_is_printed_is_kept_and_does_not_grow_without_end(tmp_path: Path) -> None:
    host = Host(nowhere, Rules(), directory=tmp_path, most=1)
    host.run(task("def handler(e, c):\n    print('kept')\n"))
    path = LogFiles(tmp_path / "functions").path(ARN)
    assert path == tmp_path / "functions" / "123456789012" / "us-east-1" / "f.log"
    assert b"\nkept\n" in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    logs = LogFiles(tmp_path / "functions")
    for _ in range(5):
        logs.append(ARN, bytes(LARGEST_BYTES // 2))
    assert sum(each.stat().st_size for each in path.parent.iterdir()) <= 2 * LARGEST_BYTES + 1000


def test_layers_lie_below_opt(tmp_path: Path) -> None:
    layer = package(**{"python/shared.py": "answer = 42\n"})
    code = "import shared\ndef handler(e, c):\n    return shared.answer\n"
    assert Host(nowhere, Rules(), directory=tmp_path, most=1).run(task(code, layers=(layer,))).payload == b"42"


@pytest.mark.parametrize("privileged", [True, False] if os.geteuid() == 0 else [False])
def test_whoever_runs_has_a_name_and_a_home(tmp_path: Path, privileged: bool) -> None:
    code = """
import grp, os, pwd
def handler(event, context):
    me = pwd.getpwuid(os.getuid())
    return [me.pw_name, me.pw_dir, grp.getgrgid(os.getgid()).gr_name, os.path.expanduser("~")]
"""
    tools = find_tools([tmp_path], privileged=privileged)
    outcome = Host(nowhere, Rules(), directory=tmp_path, most=1, tools=tools).run(task(code))
    name, home = "sbx_user1051", "/home/sbx_user1051"
    assert json.loads(outcome.payload) == [name, home, name, home]


def test_a_package_of_many_small_files_has_room(tmp_path: Path) -> None:
    code = "import os\ndef handler(e, c):\n    return len(os.listdir('/var/task/many'))\n"
    many = package(code, **{f"many/{number}": "x" for number in range(2_000)})
    assert Host(nowhere, Rules(), directory=tmp_path, most=1).run(replace(task(), code=many)).payload == b"2000"


def test_an_invocation_believes_nobody_who_speaks_in_the_place_of_the_agent(tmp_path: Path) -> None:
    invocation = Invocation(task(), Surroundings(find_tools([tmp_path]), Rules(), nowhere))
    for said in (b"", b"x", b"[]", b"1", b"{}", b'{"socket":"host","address":"10.0.0.1","port":22}', b'{"socket":[],"address":1,"port":"x"}',
                 b'{"exit":"x"}', b'{"socket":"names","address":"10.0.0.1","port":53}', b"[" * 50_000):  # fmt: skip
        with socket.socket() as listener:
            invocation._told_by_agent(said, [listener])
    assert not invocation._network._listening
    assert set(invocation._asked) == {"names", "runtime", "endpoint"}


def carries_nothing_after(invocation: Invocation, event: Callable[[], None]) -> bytes:
    """`invocation` carries what is said until `event`, and nothing afterwards. Answers its outcome."""
    invocation._looked_at = invocation._started + 60  # there is no sandbox to look at
    heard: list[int] = []
    near, far = socket.socketpair()
    with near, far:
        invocation._loop.watch(far, selectors.EVENT_WRITE, heard.append)
        invocation._turn()
        assert heard
        event()
        heard.clear()
        invocation._turn()
        invocation._loop.forget(far)
    assert not heard
    assert invocation._outcome is not None
    invocation._end()
    return invocation._outcome[0]


def test_an_invocation_whose_process_stood_still_carries_nothing_more(tmp_path: Path) -> None:
    """What a function did not say in time is not said: its job may be another worker's by now."""
    invocation = Invocation(task(), Surroundings(find_tools([tmp_path]), Rules(), nowhere))

    def stand_still() -> None:
        invocation._awake_at -= STOOD_STILL_SECONDS + 1

    assert b"Sandbox.StoodStill" in carries_nothing_after(invocation, stand_still)


def test_an_invocation_whose_job_was_lost_carries_nothing_more(tmp_path: Path) -> None:
    lost: list[bool] = []
    around = Surroundings(find_tools([tmp_path]), Rules(), nowhere, still_wanted=lambda: not lost)
    assert b"Sandbox.LeaseLost" in carries_nothing_after(Invocation(task(), around), lambda: lost.append(True))


@pytest.mark.parametrize(
    ("host", "allowed", "reached"),
    [
        ("db.example.org", Allowed(), []),
        ("db.example.org", Allowed.of(["10.0.0.0/8"]), ["10.0.0.5"]),
        ("db.example.org", Allowed.of(["db.example.org"]), ["10.0.0.5", "169.254.169.254"]),
        ("8.8.8.8", Allowed(), ["8.8.8.8"]),
        ("127.0.0.1", Allowed(), []),
        ("listed.example.org", Allowed(), ["10.0.0.5", "169.254.169.254"]),
    ],
)
def test_a_host_is_reached_at_the_addresses_that_are_allowed(host: str, allowed: Allowed, reached: list[str]) -> None:
    rules = Rules(frozenset({("listed.example.org", 443)}), allowed, lambda _: ["10.0.0.5", "169.254.169.254"])
    reach = Reach(rules)
    reach.learn([(host, 5432)])
    if reached:
        assert reach.addresses(host) == reached
    else:
        with pytest.raises(PermissionError):
            reach.addresses(host)
    assert json.dumps(reach.ports(host))
