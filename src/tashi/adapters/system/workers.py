"""Lanes of jobs on threads.

A lane has a thread while it has jobs and for a moment afterwards, so an idle cluster has few and a
lane that hangs delays nobody else. One more thread, there from the beginning, watches the clock for
jobs of later, and for lanes that could have no thread: what was queued must not be lost where a
machine has no room for another thread, since somebody may count on it.

A job that fails in a way nobody foresaw is logged with its lane; the lane goes on.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
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
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._sooner = threading.Condition(lock)
        self._lanes: dict[str, deque[Job]] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._stopped = False
        self._threads: set[threading.Thread] = set()
        with lock:
            self._begin(threading.Thread(target=self._watch, name="later", daemon=True))

    def run(self, lane: str, job: Job) -> None:
        """Queue a job behind those of its lane; never waits."""
        with self._changed:
            if not self._stopped:
                self._queue(lane, job)

    def after(self, seconds: float, lane: str, job: Job) -> None:
        """Queue a job in its lane once the time has passed."""
        with self._changed:
            if not self._stopped:
                self._do_later(seconds, partial(self._queue, lane, job))

    def stop(self, patience_seconds: float = 5.0) -> None:
        """Start nothing more and wait for what runs, at most so long."""
        with self._changed:
            self._stopped = True
            self._later.clear()
            for jobs in self._lanes.values():
                jobs.clear()
            self._changed.notify_all()
            self._sooner.notify_all()
            threads = list(self._threads)
        until = time.monotonic() + patience_seconds
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    # ---- with the lock held -------------------------------------------------------------------

    def _queue(self, lane: str, job: Job) -> None:
        jobs = self._lanes.get(lane)
        if jobs is not None:
            jobs.append(job)
            self._changed.notify_all()
        else:
            self._lanes[lane] = deque([job])
            self._man(lane)

    def _man(self, lane: str) -> None:
        """Give a lane a thread, or try again until it has one; its jobs stay, in their order."""
        try:
            self._begin(threading.Thread(target=self._work, args=(lane,), name=lane, daemon=True))
        except RuntimeError as error:
            _log.warning("Lane %r waits for a thread: %s.", lane, error)
            self._do_later(_AGAIN_SECONDS, partial(self._man, lane))

    def _do_later(self, seconds: float, act: Callable[[], None]) -> None:
        heappush(self._later, (time.monotonic() + seconds, next(self._order), act))
        self._sooner.notify()

    def _begin(self, thread: threading.Thread) -> None:
        # It waits for the lock that is held here, so what it needs may be set after this; if no
        # thread can be had, nothing has been set that would wait for one.
        thread.start()
        self._threads.add(thread)

    # ---- on threads of their own --------------------------------------------------------------

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
        with self._sooner:
            while not self._stopped:
                left = self._later[0][0] - time.monotonic() if self._later else None
                if left is None or left > 0:
                    self._sooner.wait(left)
                    continue
                _, _, act = heappop(self._later)
                act()
            self._threads.discard(threading.current_thread())
