"""What calls begin that may have to wait on the world: it must never hold up those who serve calls.

A few threads serve every call of the cluster. Whatever looks at a file that may lie on another
machine, or asks a node, is done by workers, or is bounded in how many of those threads it may take.
"""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from tashi.domain.errors import Broken, Failed, TashiError
from tashi.domain.host import Host
from tashi.domain.identity import HostId
from tashi.ports.workers import Workers
from tashi.wire.chaining import then

T = TypeVar("T")

MOST_LOOKS: Final = 3
"""So many of those who serve calls, of whom there are eight, may wait for the image store."""
MOST_READERS: Final = 48
"""So many consoles of a host may be read at once; a node serves 64 calls of one connection."""


def elsewhere(workers: Workers, lane: str, act: Callable[[], Any]) -> Future[Any]:
    """The future of something that waits on the world, done by a worker."""
    answer: Future[Any] = Future()

    def job() -> None:
        try:
            answer.set_result(act())
        except TashiError as error:
            answer.set_exception(error)
        except BaseException:
            answer.set_exception(Broken("Tashi made a mistake; its log says more."))
            raise

    workers.run(lane, job)
    return answer


class Looks:
    """Looks into the image store, with which calls begin.

    Nearly always one takes microseconds, so whoever serves the call takes it. A store that hangs
    would soon have everybody, though: when so many wait for it, workers take the looks of later
    calls, in a lane for each person.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._places: SimpleQueue[int] = SimpleQueue()
        for place in range(MOST_LOOKS):
            self._places.put(place)

    def then(
        self, who: object, look: Callable[[], T], act: Callable[[T], Future[Any]]
    ) -> Future[Any]:
        """What `act` makes of what a look found; raises what the look raises."""
        try:
            place = self._places.get_nowait()
        except Empty:
            return then(elsewhere(self._workers, f"images for {who}", look), act)
        try:
            found = look()
        finally:
            self._places.put(place)
        return act(found)


class Readers:
    """Those who read consoles: each may wait long, and takes a thread and a place on the line."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._counts: Counter[HostId] = Counter()

    def read(self, host: Host, read: Callable[[], T]) -> Future[T]:
        """The future of what is read; raises Failed when too many read on that host already."""
        with self._lock:
            if self._counts[host.id] >= MOST_READERS:
                raise Failed(
                    f"{MOST_READERS} consoles of {host.name} are being read already: try again "
                    "once somebody has stopped."
                )
            self._counts[host.id] += 1
        answer: Future[T] | None = None
        try:
            answer = elsewhere(self._workers, f"console {host.id} {id(read)}", read)
        finally:
            if answer is None:
                self._leave(host.id)
        answer.add_done_callback(lambda _: self._leave(host.id))
        return answer

    def _leave(self, host: HostId) -> None:
        with self._lock:
            self._counts[host] -= 1
            self._counts += Counter()  # without those of whom none is left
