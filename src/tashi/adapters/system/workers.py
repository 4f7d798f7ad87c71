"""Lanes of jobs on threads.

A lane has a thread while it has jobs and for a moment afterwards, so an idle cluster has none and a
lane that hangs delays nobody else. One more thread watches the clock for jobs of later.

A job that fails in a way nobody foresaw is logged with its lane; the lane goes on.
"""

import threading
import time
from collections import deque
from heapq import heappop, heappush
from itertools import count
from logging import getLogger
from typing import Final

from tashi.ports.workers import Job

_log = getLogger(__name__)

_LINGER_SECONDS: Final = 2.0
_AGAIN_SECONDS: Final = 1.0


class ThreadWorkers:
    """Workers on daemon threads; `stop` lets jobs that run finish and drops the rest."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lanes: dict[str, deque[Job]] = {}
        self._later: list[tuple[float, int, str, Job]] = []
        self._order = count()
        self._stopped = False
        self._threads: set[threading.Thread] = set()
        self._timer: threading.Thread | None = None

    def run(self, lane: str, job: Job) -> None:
        """Queue a job behind those of its lane; never waits."""
        with self._changed:
            if self._stopped:
                return
            jobs = self._lanes.get(lane)
            if jobs is not None:
                jobs.append(job)
                self._changed.notify_all()
                return
            self._begin(threading.Thread(target=self._work, args=(lane,), name=lane, daemon=True))
            self._lanes[lane] = deque([job])

    def after(self, seconds: float, lane: str, job: Job) -> None:
        """Queue a job in its lane once the time has passed."""
        with self._changed:
            if self._stopped:
                return
            due = time.monotonic() + seconds
            heappush(self._later, (due, next(self._order), lane, job))
            if self._timer is None:
                timer = threading.Thread(target=self._watch, name="later", daemon=True)
                self._begin(timer)
                self._timer = timer
            self._changed.notify_all()

    def stop(self, patience_seconds: float = 5.0) -> None:
        """Start nothing more and wait for what runs, at most so long."""
        with self._changed:
            self._stopped = True
            self._later.clear()
            for jobs in self._lanes.values():
                jobs.clear()
            self._changed.notify_all()
            threads = list(self._threads)
        until = time.monotonic() + patience_seconds
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def _begin(self, thread: threading.Thread) -> None:
        # It waits for the lock that is held here, so what it needs may be set after this; if no
        # thread can be had, nothing has been set that would wait for one.
        thread.start()
        self._threads.add(thread)

    def _work(self, lane: str) -> None:
        while True:
            job = self._next(lane)
            if job is None:
                return
            try:
                job()
            except Exception:  # noqa: BLE001  # the one catch-all of this loop
                _log.exception("A job of lane %r failed in a way that it should not.", lane)

    def _next(self, lane: str) -> Job | None:
        until = time.monotonic() + _LINGER_SECONDS
        with self._changed:
            jobs = self._lanes[lane]
            while not jobs:
                left = until - time.monotonic()
                if self._stopped or left <= 0:
                    del self._lanes[lane]
                    self._threads.discard(threading.current_thread())
                    return None
                self._changed.wait(left)
            return jobs.popleft()

    def _watch(self) -> None:
        with self._changed:
            while self._later and not self._stopped:
                due, _, lane, job = self._later[0]
                left = due - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                try:
                    self.run(lane, job)
                except RuntimeError as error:
                    # No thread can be had now; what is due stays, in its order, until one can.
                    _log.warning("A job of lane %r waits for a thread: %s.", lane, error)
                    self._changed.wait(_AGAIN_SECONDS)
                    continue
                heappop(self._later)
            self._timer = None
            self._threads.discard(threading.current_thread())
