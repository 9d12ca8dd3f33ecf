"""`geumgo` with one promise taken out of it, by name: what a test of that promise must notice.

    python -m tests.promises.faulty_server FAULT serve --data ...

The switch is here and not in the product.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from geumgo.audit import trail
from geumgo.audit.trail import Trail, TrailFull
from geumgo.cli import main
from geumgo.edge import batch, connection, server
from geumgo.edge.admission import Admission
from geumgo.services.secretsmanager import lookup, versions
from geumgo.storage.derived import Derived
from geumgo.storage.sqlite import SqliteStorage
from geumgo.storage.transaction import Engine

PROGRAM: Final = [sys.executable, "-m", "tests.promises.faulty_server"]
SECONDS_BETWEEN: Final = 0.1  # how far apart the two halves of what should be one deed are


def answers_before_it_commits() -> None:
    """A commit is left for the transaction that comes next: within half a second, when the process looks after itself."""
    begin, commit, rollback = SqliteStorage.begin, SqliteStorage.commit, SqliteStorage.rollback
    owing: set[int] = set()

    def settled(self: SqliteStorage, **how: bool) -> bytes:
        if id(self) in owing:
            owing.remove(id(self))
            commit(self)
        return begin(self, **how)

    def owed(self: SqliteStorage) -> None:
        owing.add(id(self))

    def kept(self: SqliteStorage) -> None:
        if id(self) not in owing:
            rollback(self)

    for name, made in {"begin": settled, "commit": owed, "rollback": kept}.items():
        setattr(SqliteStorage, name, made)


def keeps_a_value_before_its_labels() -> None:
    """A new version is committed, its labels a moment later."""
    keep, add_value = lookup.keep, versions.add_value
    added: set[int] = set()

    def noticed(ctx: Any, *arguments: Any) -> Any:
        added.add(id(ctx))
        return add_value(ctx, *arguments)

    def apart(ctx: Any, secret: Any) -> Any:
        if id(ctx) in added:
            added.remove(id(ctx))
            engine: Engine = ctx.tx._engine
            engine.commit()
            time.sleep(SECONDS_BETWEEN)
            engine.begin(writes=True, serializable=True, alone=False)
        return keep(ctx, secret)

    setattr(versions, "add_value", noticed)  # noqa: B010
    setattr(lookup, "keep", apart)  # noqa: B010


def nobody_lets_a_thread_wait() -> None:
    """Whatever goes to the disk goes through `Trail.settle`: no fault by itself."""

    def at_once(self: Trail, _woken: Callable[[], None]) -> bool:
        self.settle()
        return False

    setattr(Trail, "launch", at_once)  # noqa: B010


def no_disk_is_quick() -> None:
    """A thread waits for every sync that two requests share, on tmpfs, too: no fault, but what happens to many on a slow disk."""
    setattr(trail, "QUICK_SECONDS", 0)  # noqa: B010
    setattr(batch, "FEW", 2)  # noqa: B010


def answers_while_the_disk_syncs() -> None:
    """What a thread waits for is taken for done as soon as it waits."""
    no_disk_is_quick()
    launch = Trail.launch

    def hasty(self: Trail, woken: Callable[[], None]) -> bool:
        if launch(self, lambda: None):
            woken()
            return True
        return False

    def land(self: Trail) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            self._durable(flight[1])

    setattr(Trail, "launch", hasty)  # noqa: B010
    setattr(Trail, "land", land)  # noqa: B010


def writes_its_records_afterwards() -> None:
    """The trail is written twice a second, when the process looks after itself, and not before an answer leaves."""
    settle = Trail.settle

    def later(self: Trail) -> None:
        if len(self._pending) > 1_000:
            settle(self)

    def checkpoint(self: Trail) -> None:
        settle(self)

    setattr(Trail, "settle", later)  # noqa: B010
    nobody_lets_a_thread_wait()
    setattr(Trail, "checkpoint", checkpoint)  # noqa: B010


def goes_on_after_an_error_of_the_disk() -> None:
    """Whatever the trail and the database say, the process lives on, and tries the next request."""
    refuse = Engine.refuse_if_unusable

    def forgetful(self: Engine) -> None:
        self._broken = ""
        refuse(self)

    def nothing_happened(self: Trail) -> None:
        self._fault = ""

    nobody_lets_a_thread_wait()
    setattr(Engine, "refuse_if_unusable", forgetful)  # noqa: B010
    setattr(Trail, "_refuse_if_broken", nothing_happened)  # noqa: B010
    setattr(server, "give_up", lambda _fault: None)  # noqa: B010


def swallows_a_full_trail() -> None:
    """What does not fit on the disk is not written down, and answered all the same."""
    settle = Trail.settle

    def content(self: Trail) -> None:
        try:
            settle(self)
        except TrailFull:
            self._pending.clear()
            self._pending_bytes = 0
        self._scarce = False

    setattr(Trail, "settle", content)  # noqa: B010
    nobody_lets_a_thread_wait()


def remembers_for_a_second() -> None:
    """What is kept in memory is held against the database once a second, and not for each batch."""
    look = Derived.look
    looked: dict[int, float] = {}

    def seldom(self: Derived) -> None:
        if time.monotonic() - looked.get(id(self), 0.0) >= 1.0:
            looked[id(self)] = time.monotonic()
            look(self)

    setattr(Derived, "look", seldom)  # noqa: B010


def keeps_all_that_waits() -> None:
    """Whatever arrives is kept until its turn comes, however much it is."""
    site_of = server.site_of

    def roomy(*arguments: Any) -> Any:
        site = site_of(*arguments)
        site.room = site.head_room = 1 << 60
        return site

    setattr(server, "site_of", roomy)  # noqa: B010
    setattr(Admission, "admits", lambda *_: True)  # noqa: B010


def closes_at_once() -> None:
    """A stop closes every connection over which nothing is under way at that moment."""
    stop = connection.Site.stop

    def closing(self: connection.Site) -> None:
        stop(self)
        for each in list(self.connections):
            if not each._queue and not each._in_body:
                each._close()

    setattr(connection.Site, "stop", closing)  # noqa: B010


def says_nothing_of_its_changes() -> None:
    """A write leaves everything as it is that processes keep of the rows before it."""

    def nothing(_self: Engine, _dropped: str, _params: dict[str, Any]) -> None:
        """No change is noted, so none is told to anybody."""

    setattr(Engine, "note_dropped", nothing)  # noqa: B010


FAULTS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each
    for each in (
        answers_before_it_commits,
        keeps_a_value_before_its_labels,
        writes_its_records_afterwards,
        goes_on_after_an_error_of_the_disk,
        no_disk_is_quick,
        answers_while_the_disk_syncs,
        swallows_a_full_trail,
        remembers_for_a_second,
        keeps_all_that_waits,
        closes_at_once,
        says_nothing_of_its_changes,
    )
}


def with_fault(fault: Callable[[], None]) -> list[str]:
    """The program to start a `tests.server.Server` with."""
    return [*PROGRAM, fault.__name__]


if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    sys.argv[0] = os.fspath("geumgo")
    main()
