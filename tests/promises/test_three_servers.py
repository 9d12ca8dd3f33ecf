"""P17 with real processes: of three servers on one PostgreSQL one is stopped past its lease while it does a step, and then goes on.

The others finish the rotation meanwhile, and begin another one. When the late one wakes it changes nothing: no label, no value, and no password in
the database. `STOPS=200` is the long form, whose runs add up (tests/promises/reached.py). Then the same for one that was not stopped, but cut off from the database in which its jobs stand.
"""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from geumgo.services.secretsmanager.domain_rotation import STEPS
from tests.promises import telling_server
from tests.promises.link import Link
from tests.promises.reached import reaching
from tests.promises.rotations import MANAGED, World, world
from tests.promises.stage import PATIENCE_SECONDS, Told
from tests.rotation_functions.on_lambda import Rotated
from tests.rotation_functions.servers import free_port
from tests.server import Server, descendants
from tests.storage.postgres_server import PrivateServer, private_server

STOPS: Final = int(os.environ.get("STOPS", "2"))
SEED: Final = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
LEASE_MS: Final = int(os.environ.get("LEASE_MS", "4500"))
"""A third of the product's, so that one need not wait so long. With it goes how long a server may stand still without ending its functions: where
dozens of processes wait for a core, one waits for seconds, and with too short a lease nothing ends any more."""
BROUGHT: Final = ("keyring.json", "seal.key", "admin.credentials")  # what another machine is given

Stop = tuple[str, str, str]
ABOUT: Final[list[Stop]] = [(kind, "setSecret", "about to change") for kind in ("SingleUser", "MultiUser", MANAGED)]
"""A function, or the server, is logged in and about to change the password."""
EVERYWHERE: Final[list[Stop]] = [
    *((kind, step, point) for kind in ("SingleUser", "MultiUser") for step in STEPS for point in ("invoked", "begun", "answering", "answered")),
    *((kind, step, "kept") for kind in ("SingleUser", "MultiUser") for step in ("createSecret", "finishSecret")),
    *((kind, "setSecret", "changed") for kind in ("SingleUser", "MultiUser", MANAGED)),
    *((MANAGED, step, point) for step in STEPS for point in ("invoked", "answered")),
]  # fmt: skip


def send(pids: list[int], what: signal.Signals) -> None:
    """Everything in `pids` is sent the signal, and has stopped if that was SIGSTOP."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)
    while what == signal.SIGSTOP and any(state_of(pid) not in "TZ" for pid in pids):
        threading.Event().wait(0.002)


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


@dataclass
class Site:
    """Servers on one database, and what is rotated."""

    world: World
    servers: list[Server]
    chance: random.Random
    stopped: list[int] = field(default_factory=list)

    def stop(self, held: Told) -> Server:
        """The server that holds the rotation stands still, with the function or without. Answers another one."""
        holder = next(each for each in self.servers if held.pid in each.members())
        pids = holder.members()
        if held.sandbox and self.chance.random() < 0.5:
            function = {held.sandbox, *descendants(held.sandbox)}
            pids = [pid for pid in pids if pid not in function]
        self.stopped = pids
        send(pids, signal.SIGSTOP)
        return self.chance.choice([each for each in self.servers if each is not holder])

    def wake(self) -> None:
        send(self.stopped, signal.SIGCONT)
        self.stopped = []


def round_of(
    site: Site, kind: str, step: str, point: str, *, locked: bool = False, patience: float = PATIENCE_SECONDS
) -> list[str]:
    """The server that comes to that point of a rotation is stopped there, until another one has ended the rotation and a second one.

    `locked`: it is stopped in the middle of keeping its lease, so that the row of the job is locked.
    """
    stage, rotated, link = site.world.stage, site.world.secrets[kind], site.world.links[kind]
    began, changes = time.monotonic(), link.changes
    holdings = [stage.hold([rotated.secret], step, point)]
    tokens = [rotated.begin()]
    held = holdings[0].await_all()[0]
    if locked:
        holdings.append(stage.hold([rotated.secret], step, "holding"))
        holdings[1].await_all()
    awake = site.stop(held)
    for each in holdings:
        each.let_go()
    rotated.__dict__["client"] = awake.client("secretsmanager")
    for number in (1, 2):
        ends = partial(has_ended, site.world, rotated, began, number)
        try:
            stage.await_that(ends, f"the end of rotation {number}", patience)
        except AssertionError as fault:
            said = "".join(f"; a server said: {each.printed()[-600:]}" for each in site.servers)
            return [f"{kind}, stopped at {step} {point}: {fault}{said}"]
        if number == 1:
            tokens.append(rotated.begin())
    before = (rotated.labels(), rotated.value(), link.changes)
    woken = time.monotonic()
    site.wake()
    stage.await_that(partial(is_rid_of_it, site.world, held, woken), "the end of what was late")
    after = (rotated.labels(), rotated.value(), link.changes)
    problems = [] if before == after else ["the late server changed something"]
    if not rotated.target.logs_in(rotated.value()):
        problems.append("AWSCURRENT does not log in")
    if after[0] != {"AWSCURRENT": tokens[1], "AWSPREVIOUS": tokens[0]}:
        problems.append(f"the labels are {after[0]}")
    if after[2] - changes != len(tokens):
        problems.append(f"the password was changed {after[2] - changes} times in {len(tokens)} rotations")
    return [f"{kind}, stopped at {step} {point}: {each}" for each in problems]


def has_ended(world: World, rotated: Rotated, began: float, number: int) -> bool:
    return len(world.stage.since(began, rotated.secret, "succeeded")) >= number


def is_rid_of_it(world: World, held: Told, since: float) -> bool:
    return any(each.pid == held.pid for each in world.stage.since(since, held.secret, "let go"))


@contextmanager
def site_of(tmp_path: Path, database: str, servers: int, *faults: str) -> Iterator[Site]:
    with ExitStack() as stack:
        made = stack.enter_context(world(tmp_path, "postgres", *faults, environment=settings_of(database)))
        site = Site(made, [made.server], random.Random(SEED))
        stack.callback(site.wake)
        for number in range(1, servers):
            site.servers.append(stack.enter_context(another(made.server, tmp_path / f"data-{number}", database)))
        for kind in ("SingleUser", "MultiUser", MANAGED):
            made.add(kind, "postgres")
            for each in site.servers[1:]:
                made.watchers[kind].asks(each)
        stack.callback(site.wake)
        yield site


def settings_of(database: str) -> dict[str, str]:
    return {"GEUMGO_DATABASE": database, "LEASE_MS": str(LEASE_MS)}


def another(first: Server, data: Path, database: str) -> Server:
    """A server beside the first one, which is not started yet."""
    data.mkdir(mode=0o700)
    for name in BROUGHT:
        shutil.copy2(first.data / name, data / name)
    environment = {**first.environment, **settings_of(database)}
    return Server(data, arguments=first.arguments, environment=environment, program=first.program)


def test_a_server_that_was_stopped_past_its_lease_changes_nothing(
    tmp_path: Path, postgres_server: PrivateServer, record_property: Any
) -> None:
    chance, problems, seconds = random.Random(SEED), [], []
    others: list[Stop] = []
    with (
        reaching("P17, three servers", SEED) as so_far,
        postgres_server.database() as database,
        site_of(tmp_path, database, 3) as site,
    ):
        site.world.watch()
        try:
            for number in range(STOPS):
                others = others or chance.sample(EVERYWHERE, len(EVERYWHERE))
                # Every other time at the most dangerous place; in between at every place once, before one has its second turn.
                stop = chance.choice(ABOUT) if number % 2 == 0 else others.pop()
                began = time.monotonic()
                problems += round_of(site, *stop)
                seconds.append(time.monotonic() - began)
                problems += [f"not let in: {each}" for watcher in site.world.watchers.values() for each in watcher.shut]
                assert problems == [], f"seed {SEED}, round {number}"
                logins = sum(each.tries for each in site.world.applications)
                so_far.took(round=seconds[-1])
                so_far.add(stops=1, logins=logins - so_far.counts["logins"], **{f"{'_'.join(stop[1:])}": 1})
        finally:
            site.wake()
            record = site.world.stop_watching()
    print(f"\nseed {SEED}: {len(seconds)} stops past the lease, {len(problems)} with a late write; {record}")
    record_property("stops", len(seconds))
    assert record["failed"] == 0, f"seed {SEED}"


def test_a_server_that_comes_late_to_the_end_of_a_managed_rotation_moves_no_label(
    tmp_path: Path, postgres_server: PrivateServer
) -> None:
    with postgres_server.database() as database, site_of(tmp_path, database, 2) as site:
        for step in ("createSecret", "finishSecret"):
            assert round_of(site, MANAGED, step, "invoked") == [], step


def test_servers_that_do_not_look_how_late_it_is_are_caught(tmp_path: Path, postgres_server: PrivateServer) -> None:
    faults = (
        telling_server.carries_on_after_standing_still,
        telling_server.lets_go_on_what_it_has_lost,  # the other net under a function of a server that stood still
        telling_server.changes_without_a_look,
    )
    with (
        postgres_server.database() as database,
        site_of(tmp_path, database, 2, *(fault.__name__ for fault in faults)) as site,
    ):
        for kind in ("SingleUser", MANAGED):
            assert round_of(site, kind, "setSecret", "about to change") != [], kind


def test_a_server_that_was_stopped_with_a_lock_in_its_hands_holds_up_the_others_for_seconds_only(
    tmp_path: Path, postgres_server: PrivateServer
) -> None:
    with postgres_server.database() as database, site_of(tmp_path, database, 2) as site:
        assert round_of(site, MANAGED, "setSecret", "about to change", locked=True) == []


def test_servers_that_wait_for_whoever_stands_still_are_caught(tmp_path: Path, postgres_server: PrivateServer) -> None:
    fault = telling_server.waits_for_whoever_stands_still.__name__
    with postgres_server.database() as database, site_of(tmp_path, database, 2, fault) as site:
        assert round_of(site, MANAGED, "setSecret", "about to change", locked=True, patience=30.0) != []


# -- a server that lives, and has lost the database in which its jobs stand ---------------------------------------------


def cut_off(tmp_path: Path, *faults: str) -> list[str]:
    """A server loses the way to its database while its function is about to change a password. Another one ends the rotation, and a second
    one; then the function goes on, and its server is back. Answers what is wrong."""
    with private_server(free_port(), listen_addresses="127.0.0.1") as keeper, ExitStack() as stack:
        keeper.command("CREATE DATABASE kept TEMPLATE template0")
        way = Link(keeper.port)
        stack.callback(way.close)
        direct = keeper.dsn("kept")
        cut = f"{direct} hostaddr=127.0.0.1 port={way.port} sslmode=disable".replace(f"port={keeper.port} ", "", 1)
        made = stack.enter_context(world(tmp_path, "postgres", *faults, environment=settings_of(cut)))
        rotated, stage = made.add("SingleUser", "postgres"), made.stage
        holding = stage.hold([rotated.secret], "setSecret", "about to change")
        tokens, began = [rotated.begin()], time.monotonic()
        held = holding.await_all()[0]
        awake = stack.enter_context(another(made.server, tmp_path / "data-1", direct))
        way.cut()
        rotated.__dict__["client"] = awake.client("secretsmanager")
        for number in (1, 2):
            ended = partial(has_ended, made, rotated, began, number)
            stage.await_that(ended, f"the end of rotation {number}")
            if number == 1:
                tokens.append(rotated.begin())
        before = (rotated.labels(), rotated.value(), made.links["SingleUser"].changes)
        holding.let_go()
        way.mend()
        stage.await_that(partial(is_rid_of_it, made, held, began), "the end of what was late")
        after = (rotated.labels(), rotated.value(), made.links["SingleUser"].changes)
        problems = [] if before == after else ["the server that was cut off changed something"]
        if not rotated.target.logs_in(rotated.value()):
            problems.append("AWSCURRENT does not log in")
        if after[0] != {"AWSCURRENT": tokens[1], "AWSPREVIOUS": tokens[0]}:
            problems.append(f"the labels are {after[0]}")
        return problems


def test_a_server_that_was_cut_off_from_its_database_past_its_lease_changes_nothing(tmp_path: Path) -> None:
    assert cut_off(tmp_path) == []


def test_a_server_that_lets_a_function_go_on_whose_job_it_has_lost_is_caught(tmp_path: Path) -> None:
    fault = telling_server.lets_go_on_what_it_has_lost.__name__
    # On a slow machine the time of the function may be over before it goes on, which is another net: then it is tried again.
    places = [tmp_path / str(number) for number in range(3)]
    for place in places:
        place.mkdir()
    assert any(cut_off(place, fault) for place in places)
