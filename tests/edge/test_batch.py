"""While the disk syncs what was worked on, what has arrived meanwhile is worked on; and nobody has his answer before his sync."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from geumgo.edge import batch
from geumgo.edge.admission import Admission
from geumgo.edge.batch import Batcher
from geumgo.message import Answer, Fetched, Request, Surplus
from geumgo.storage import Broken


@pytest.fixture(autouse=True)
def two_are_many_and_nobody_hurries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "FEW", 2)
    monkeypatch.setattr(batch, "HURRIES_SECONDS", 3_600.0)


@dataclass
class Worked:
    answers: list[Answer]


@dataclass
class Disk:
    """A pipeline without a core. Its disk answers when it is told to, one sync after the other."""

    worked: list[list[str]] = field(default_factory=list)
    on_the_way: list[list[str]] = field(default_factory=list)
    durable: list[str] = field(default_factory=list)
    breaks: bool = False
    hasty: bool = False  # answers before it has synced: whoever believes it must be found out

    def __post_init__(self) -> None:
        self.noted: list[str] = []
        self.flying: list[str] = []
        self.turns = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def work(self, requests: Sequence[Request | Fetched | Surplus]) -> Worked:
        names = [each.target.decode() for each in requests if isinstance(each, Request)]
        self.worked.append(names)
        self.noted += names
        return Worked([Answer(200, (), name.encode()) for name in names])

    def has_worked_on(self, name: str) -> bool:
        return [name] in self.worked

    def settle(self) -> None:
        self.durable += self.noted
        self.noted = []

    def launch(self, woken: Callable[[], None]) -> bool:
        assert not self.flying, "one sync at a time"
        self.flying, self.noted = self.noted, []
        self.on_the_way.append(self.flying)

        def sync() -> None:
            assert self.turns.acquire(timeout=60)
            woken()

        if self.hasty:
            woken()
        else:
            self.threads.append(threading.Thread(target=sync))
            self.threads[-1].start()
        return True

    def land(self) -> None:
        if self.breaks:
            raise OSError("the disk is gone")
        if not self.hasty:
            self.durable += self.flying
        self.flying = []


class Front:
    """Whoever asks, and what he has heard."""

    def __init__(self, disk: Disk, most: int) -> None:
        self.disk = disk
        self.heard: list[str] = []
        self.early: list[str] = []
        self.ends: list[BaseException] = []
        self.ended_in: list[bool] = []  # the thread of the loop?
        admission = Admission(most=1_000, seconds=10)
        self.batcher = Batcher(disk, most=most, admission=admission, fatal=self._end)

    def ask(self, *names: str, rested: bool = False, peer: str = "198.51.100.7") -> None:
        for name in names:
            request = Request("GET", name.encode(), (), b"", peer, False, name, 0, rested=rested)
            self.batcher.add(request, self._hear)

    def _hear(self, answer: Answer) -> None:
        name = answer.body.decode()
        self.heard.append(name)
        if name not in self.disk.durable:
            self.early.append(name)

    def _end(self, fault: BaseException) -> None:
        self.ended_in.append(threading.current_thread() is threading.main_thread())
        self.ends.append(fault)

    def has_heard(self, count: int) -> bool:
        return len(self.heard) == count

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110  there is no event for it
                await asyncio.sleep(0)


def run(scene: Callable[[Front], Awaitable[None]], disk: Disk, most: int = 256) -> Front:
    async def played() -> Front:
        front = Front(disk, most)
        await scene(front)
        return front

    return asyncio.run(played())


def test_what_arrives_while_the_disk_syncs_is_worked_on_and_shares_the_next_sync() -> None:
    disk = Disk()

    async def scene(front: Front) -> None:
        front.ask("a", "b")
        await front.until(lambda: disk.on_the_way)
        for name in ("c", "d", "e"):
            front.ask(name)
            await front.until(partial(disk.has_worked_on, name))
        assert front.heard == []
        assert disk.on_the_way == [["a", "b"]]
        disk.turns.release()
        await front.until(lambda: len(disk.on_the_way) == 2)
        assert front.heard == ["a", "b"]
        assert disk.on_the_way[1] == ["c", "d", "e"]
        disk.turns.release()
        await front.until(lambda: len(front.heard) == 5)

    front = run(scene, disk)
    assert front.heard == ["a", "b", "c", "d", "e"]
    assert front.early == []


def test_a_request_that_is_alone_waits_for_its_sync_itself() -> None:
    disk = Disk()

    async def scene(front: Front) -> None:
        front.ask("a")
        await front.until(lambda: front.heard)

    front = run(scene, disk)
    assert (front.heard, front.early, disk.on_the_way) == (["a"], [], [])


def test_one_that_comes_alone_while_the_disk_syncs_waits_until_it_has_answered() -> None:
    disk = Disk()

    async def scene(front: Front) -> None:
        front.ask("a", "b")
        await front.until(lambda: disk.on_the_way)
        front.ask("c")
        await front.until(partial(disk.has_worked_on, "c"))
        assert front.heard == []
        disk.turns.release()
        await front.until(lambda: len(front.heard) == 3)

    front = run(scene, disk)
    assert front.heard == ["a", "b", "c"]
    assert front.early == []


def test_an_answer_that_leaves_before_its_sync_is_seen() -> None:
    async def scene(front: Front) -> None:
        front.ask("a", "b")
        await front.until(partial(front.has_heard, 2))

    assert run(scene, Disk(hasty=True)).early == ["a", "b"]


def test_no_more_is_worked_on_than_a_batch_while_a_disk_does_not_answer() -> None:
    disk = Disk()

    async def scene(front: Front) -> None:
        front.ask("a", "b")
        await front.until(lambda: disk.on_the_way)
        front.ask("c", "d", "e")
        for _ in range(10):
            await asyncio.sleep(0)
        front.ask("f")
        for _ in range(10):
            await asyncio.sleep(0)
        assert disk.worked == [["a", "b"], ["c", "d"]]
        for count in (2, 4, 6):
            disk.turns.release()
            await front.until(partial(front.has_heard, count))

    front = run(scene, disk, most=2)
    assert disk.worked == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert front.heard == ["a", "b", "c", "d", "e", "f"]
    assert front.early == []


@pytest.fixture
def pieces_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "PIECE_SECONDS", 1e-12)
    monkeypatch.setattr(batch, "LEAST", 2)
    monkeypatch.setattr(batch, "REMEMBERS", 0)


@pytest.mark.usefixtures("pieces_of_two")
def test_many_that_wait_are_worked_on_in_pieces_and_share_a_sync() -> None:
    disk = Disk()

    async def scene(front: Front) -> None:
        front.ask("a", "b")
        await front.until(lambda: disk.on_the_way)
        front.ask("c", "d", "e", "f", "g")
        await front.until(partial(disk.has_worked_on, "g"))
        disk.turns.release()
        await front.until(lambda: len(disk.on_the_way) == 2)
        disk.turns.release()
        await front.until(partial(front.has_heard, 7))

    front = run(scene, disk)
    assert disk.worked == [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    assert disk.on_the_way == [["a", "b"], ["c", "d", "e", "f", "g"]]
    assert front.early == []


@pytest.mark.usefixtures("pieces_of_two")
def test_half_of_a_piece_is_for_whoever_asks_now_and_then() -> None:
    disk = Disk()

    async def scene(front: Front) -> None:
        front.ask("a", "b")
        await front.until(lambda: disk.on_the_way)
        front.ask("c", "d", "e", "f")
        front.ask("x", "y", rested=True)
        await front.until(lambda: len(disk.worked) == 4)
        for _ in range(2):
            disk.turns.release()
        await front.until(partial(front.has_heard, 8))

    assert run(scene, disk).early == []
    assert disk.worked == [["a", "b"], ["x", "c"], ["d", "e"], ["f", "y"]]


def test_one_source_has_one_request_in_front_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "PIECE_SECONDS", 3_600.0)
    disk = Disk()

    async def scene(front: Front) -> None:
        front.ask("a", "b")
        front.ask("x", "y", rested=True)
        front.ask("z", rested=True, peer="198.51.100.8")
        disk.turns.release()
        await front.until(partial(front.has_heard, 5))

    assert run(scene, disk).early == []
    assert disk.worked == [["x", "z", "a", "b", "y"]]


@pytest.mark.parametrize("late", [True, False])
def test_who_asks_now_and_then_goes_to_the_disk_without_the_others_of_his_piece_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    monkeypatch.setattr(batch, "PIECE_SECONDS", 3_600.0)
    monkeypatch.setattr(batch, "HURRIES_SECONDS", 0.0 if late else 3_600.0)
    disk = Disk()
    for _ in range(4):
        disk.turns.release()

    async def scene(front: Front) -> None:
        front.ask("a", "b", "c")
        front.ask("x", rested=True)
        await front.until(partial(front.has_heard, 4))
        front.ask("d")
        front.ask("y", rested=True)  # one who stands behind him is no line
        await front.until(partial(front.has_heard, 6))

    assert run(scene, disk).early == []
    assert disk.worked == ([["x"], ["a", "b", "c"], ["y", "d"]] if late else [["x", "a", "b", "c"], ["y", "d"]])


def test_it_is_known_when_all_that_had_arrived_was_read() -> None:
    disk, looked = Disk(), []
    disk.turns.release()

    async def scene(front: Front) -> None:
        looked.append(front.batcher.looked_at())
        front.ask("a")
        looked.append(front.batcher.looked_at())
        await front.until(partial(front.has_heard, 1))
        looked.append(front.batcher.looked_at())

    run(scene, disk)
    assert looked[0] == looked[1] < looked[2]


@pytest.mark.usefixtures("pieces_of_two")
@pytest.mark.parametrize("rested", [False, True])
def test_a_little_waits_for_more_unless_somebody_waits_who_asks_now_and_then(
    monkeypatch: pytest.MonkeyPatch, *, rested: bool
) -> None:
    monkeypatch.setattr(batch, "FEW", 4)
    disk = Disk()

    async def scene(front: Front) -> None:
        front.ask("a")
        await front.until(partial(front.has_heard, 1))  # from here on it is known what a request takes
        front.ask("b", rested=rested)
        front.ask("c", "d", "e")
        await front.until(lambda: disk.on_the_way)
        for _ in range(2):
            disk.turns.release()
        await front.until(partial(front.has_heard, 5))

    assert run(scene, disk).early == []
    assert disk.on_the_way[0] == (["b", "c"] if rested else ["b", "c", "d", "e"])


def test_when_the_disk_fails_nobody_has_an_answer_and_the_process_ends() -> None:
    disk = Disk(breaks=True)
    said: list[dict[str, Any]] = []

    async def scene(front: Front) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        front.ask("a", "b")
        await front.until(lambda: disk.on_the_way)
        front.ask("c")
        await front.until(partial(disk.has_worked_on, "c"))
        disk.turns.release()
        await front.until(lambda: front.ends)

    front = run(scene, disk)
    assert front.heard == []
    assert [str(end) for end in front.ends] == ["the disk is gone"]
    assert len(said) == 1


class Outside(Disk):
    """What is asked lies outside, where an error of the disk is met."""

    def work(self, requests: Sequence[Request | Fetched | Surplus]) -> Worked:
        return Worked([Answer(202, (), b"", self.fetch) for _ in requests])

    def fetch(self) -> Fetched:
        raise Broken("SQLite SQLITE_IOERR_FSYNC: disk I/O error")


def test_an_error_of_the_disk_that_is_met_outside_ends_the_process_at_once() -> None:
    """In the thread that met it: the loop, which may be about to answer others, is not asked first."""

    async def scene(front: Front) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        front.ask("a")
        await front.until(lambda: front.ends)

    front = run(scene, Outside())
    assert [type(end) for end in front.ends] == [Broken]
    assert front.ended_in == [False]
    assert front.heard == []


def test_a_sync_that_ends_when_the_loop_is_closed_troubles_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)

    async def scene(front: Front) -> None:
        front.ask("a", "b")
        await front.until(lambda: disk.on_the_way)

    front = run(scene, disk)
    disk.turns.release()
    disk.threads[0].join(60)
    assert front.heard == []
    assert raised == []
