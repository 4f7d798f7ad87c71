"""Workers without threads: jobs run at once, or when the test says so, in an order to repeat."""

from collections import deque
from heapq import heappop, heappush
from itertools import count

from fakes.clock import HandTurnedClock
from tashi.ports.workers import Job


class HandWorkers:
    """Queued jobs, run by `run_all`; those of later become due with the clock."""

    def __init__(self, clock: HandTurnedClock) -> None:
        self._clock = clock
        self._jobs: deque[tuple[str, Job]] = deque()
        self._later: list[tuple[float, int, str, Job]] = []
        self._order = count()
        self._busy: set[str] = set()

    def run(self, lane: str, job: Job) -> None:
        self._jobs.append((lane, job))

    def after(self, seconds: float, lane: str, job: Job) -> None:
        heappush(self._later, (self._clock.monotonic() + seconds, next(self._order), lane, job))

    def run_all(self) -> int:
        """Run what is queued and due, also what that queues; how many jobs there were.

        A job that waits for another lane may call this again; its own lane stays behind it.
        """
        done = 0
        while True:
            while self._later and self._later[0][0] <= self._clock.monotonic():
                _, _, lane, job = heappop(self._later)
                self._jobs.append((lane, job))
            found = next((one for one in self._jobs if one[0] not in self._busy), None)
            if found is None:
                return done
            self._jobs.remove(found)
            self._run(*found)
            done += 1

    def drop_all(self) -> None:
        """Forget every job, as a process that dies does."""
        self._jobs.clear()
        self._later.clear()

    def _run(self, lane: str, job: Job) -> None:
        self._busy.add(lane)
        try:
            job()
        finally:
            self._busy.discard(lane)


class AtOnce:
    """Workers that do a job where it is asked for."""

    def run(self, _lane: str, job: Job) -> None:
        job()

    def after(self, seconds: float, lane: str, job: Job) -> None:
        raise NotImplementedError
