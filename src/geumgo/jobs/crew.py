"""The worker process: workers side by side, so that a rotation of minutes does not keep an event waiting."""

import threading
from collections.abc import Callable

from geumgo.context import Clock, Place
from geumgo.jobs import lease
from geumgo.jobs.lease import LEASE_MS
from geumgo.jobs.worker import Failure, Note, Worker, patiently
from geumgo.storage import Broken, Storage, StorageError

BEAT_MS = LEASE_MS // 3


class Crew:
    """`lanes` workers in threads, and a beat that keeps their leases while they run.

    `open_storage` opens a storage for each thread; `make_worker` gives it a worker. `owner` is the name that the
    workers have in common, which no other living process bears.
    """

    def __init__(
        self,
        open_storage: Callable[[], Storage],
        make_worker: Callable[[Storage, int], Worker],
        clock: Clock,
        *,
        owner: str,
        lanes: int,
        note: Note,
    ) -> None:
        self._open_storage = open_storage
        self._make_worker = make_worker
        self._clock = clock
        self._owner = owner
        self._lanes = lanes
        self._note = note
        self._workers: list[Worker] = []
        self._died: BaseException | None = None

    def run(self, stop: threading.Event) -> None:
        """Runs jobs until `stop` is set and the jobs that run then are finished.

        Raises whatever a worker died of, after the others have stopped: Broken above all. The process must end then.
        """
        storage = self._open_storage()
        threads = [
            threading.Thread(target=self._lane, args=(lane, stop), name=f"lane {lane}") for lane in range(self._lanes)
        ]
        try:
            patiently(storage, lambda tx: lease.adopt(tx, owner=self._owner, lane=None, now_ms=self._clock.now_ms()))
            for thread in threads:
                thread.start()
            while not stop.wait(BEAT_MS / 1000):
                self._beat(storage)
            while alive := [thread for thread in threads if thread.is_alive()]:
                alive[0].join(BEAT_MS / 1000)
                self._beat(storage)
        finally:
            stop.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            storage.close()
        if self._died is not None:
            raise self._died

    def _lane(self, lane: int, stop: threading.Event) -> None:
        try:
            storage = self._open_storage()
            try:
                worker = self._make_worker(storage, lane)
                self._workers.append(worker)
                worker.run(stop)
            finally:
                storage.close()
        except BaseException as error:  # noqa: BLE001 - raised again by run()
            self._died = self._died or error
            stop.set()

    def _beat(self, storage: Storage) -> None:
        for worker in tuple(self._workers):
            try:
                worker.beat(storage)
            except Broken:
                raise
            except StorageError as error:  # two more beats may go missing before the lease is lost
                self._note(Failure("beat", Place("", ""), 0, error))
