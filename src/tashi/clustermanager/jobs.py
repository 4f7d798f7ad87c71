"""Long work of the cluster manager itself: begun, watched, cancelled, and in the end forgotten.

A job's work is done by a worker, a few jobs at a time; how far it is comes back as works of the
ledger, like everything else. Only the ledger's thread enters here, but for `Task`, which is the
worker's end of a job. Nothing of this is durable: see `tashi.domain.jobs`.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from logging import getLogger
from typing import Any, Final

from tashi.clustermanager.ledger import Act, Ledger
from tashi.domain.errors import Broken, Cancelled, NoSuchJob, TashiError
from tashi.domain.identity import UserId
from tashi.domain.jobs import Job, JobState
from tashi.domain.permissions import Caller, check_owner
from tashi.ports.clock import Clock
from tashi.ports.commands import Leash
from tashi.ports.images import Progress
from tashi.ports.workers import Workers

_log = getLogger(__name__)

MOST_AT_ONCE: Final = 4
_MOST_KEPT: Final = 200
_TOLD_EVERY_SECONDS: Final = 0.25
_AGAIN_SECONDS: Final = 1.0
_JOBS_OF_A_REIGN: Final = 10_000
"""Numbers begin anew in each reign, so that a job of an earlier one is not taken for another."""

_REIGNS_TOLD_APART: Final = 10**9
"""Epochs of restored books are moments in microseconds: too large a part of a number for JSON."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errand:
    """What a job is to do: `act` in a worker, then `ended` in the ledger's thread, however it went.

    `request` is the request that it was asked for by: a repeat gets the same job.
    """

    words: str
    user_id: UserId | None
    act: Callable[[Progress], None]
    ended: Callable[[], None]
    request: str = ""


@dataclass(frozen=True, slots=True)
class _Watcher:
    answer: Future[Job]
    until: float


class Jobs:
    """The jobs of this reign."""

    def __init__(self, ledger: Ledger, workers: Workers, clock: Clock) -> None:
        self._ledger = ledger
        self._workers = workers
        self._clock = clock
        self._jobs: dict[int, Job] = {}
        self._errands: dict[int, Errand] = {}
        self._ready: set[int] = set()
        self._tasks: dict[int, Task] = {}
        self._requests: dict[str, int] = {}
        self._watchers: dict[int, list[_Watcher]] = {}
        self._count = 0

    # ---- asked for ------------------------------------------------------------------------------

    def of_request(self, request: str) -> Job | None:
        """The job that an earlier request of that id was for."""
        return self._jobs.get(self._requests.get(request, 0)) if request else None

    def number(self, count: int) -> int:
        """The number of the so manieth thing of this reign."""
        return self._ledger.epoch % _REIGNS_TOLD_APART * _JOBS_OF_A_REIGN + count

    @property
    def under_way(self) -> int:
        """How many have yet to end. From any thread."""
        return sum(not one.is_over for one in tuple(self._jobs.values()))

    def add(self, errand: Errand) -> Job:
        """Take a job on; it waits until `start`, which is to be called once it is durable."""
        self._count += 1
        key = self.number(self._count)
        job = self._jobs[key] = Job(id=key, words=errand.words, user_id=errand.user_id)
        self._errands[key] = errand
        if errand.request:
            self._requests[errand.request] = key
        return job

    def start(self, key: int) -> None:
        """Let a job begin, as soon as few enough others run; harmless if it is gone."""
        if key in self._errands:
            self._ready.add(key)
            self._start_ready()

    def drop(self, errand: Errand) -> bool:
        """Forget an errand that was never to start; whether there was one."""
        found = [key for key, one in self._errands.items() if one is errand]
        for key in found:
            del self._errands[key], self._jobs[key]
            self._requests.pop(errand.request, None)
            for one in self._watchers.pop(key, ()):
                if one.answer.set_running_or_notify_cancel():
                    one.answer.set_exception(_unknown(key))
        return bool(found)

    def get(self, key: int) -> Job:
        """That job; raises NoSuchJob."""
        found = self._jobs.get(key)
        if found is None:
            raise _unknown(key)
        return found

    def all(self) -> list[Job]:
        """Every job that is remembered, by number."""
        return [self._jobs[key] for key in sorted(self._jobs)]

    def watch(self, key: int, seen: int, until: float) -> Future[Job]:
        """The job once it is another than when `seen` was its change, or the time `until` is up."""
        job, answer = self.get(key), Future[Job]()
        if job.change != seen or job.is_over:
            answer.set_result(job)
        else:
            self._watchers.setdefault(key, []).append(_Watcher(answer, until))
        return answer

    def cancel(self, key: int, caller: Caller) -> Job:
        """Let a job be given up; one that is over stays as it is."""
        job = self.get(key)
        _check_owner(job, caller)
        if job.state is JobState.WAITING:
            self._end(key, Cancelled("It was cancelled before it began."))
        elif key in self._tasks:
            self._tasks[key].leash.pull()
        return self.get(key)

    def expire(self, now: float) -> None:
        """Answer the watchers whose time is up."""
        for key, watchers in list(self._watchers.items()):
            late = [one for one in watchers if one.until <= now]
            self._watchers[key] = [one for one in watchers if one.until > now]
            if not self._watchers[key]:
                del self._watchers[key]
            for one in late:
                _resolve(one.answer, self._jobs[key])

    def stop(self) -> None:
        """Give up every job; what they had half made is removed by their workers."""
        for task in list(self._tasks.values()):
            task.leash.pull()

    # ---- carried out ----------------------------------------------------------------------------

    def surely(self, act: Act) -> None:
        """Have the ledger do that, also when the store is being checked just now.

        From any thread; it may be done twice.
        """

        def look(done: Future[Any]) -> None:
            if done.exception() is not None:
                self._workers.after(_AGAIN_SECONDS, "jobs", partial(self.surely, act))

        self._ledger.ask(act).add_done_callback(look)

    def _start_ready(self) -> None:
        for key in sorted(self._ready)[: MOST_AT_ONCE - len(self._tasks)]:
            self._ready.discard(key)
            task = self._tasks[key] = Task(partial(self._note, key), self._ledger, self._clock)
            self._set(key, state=JobState.RUNNING)
            self._workers.run(f"job {key}", partial(self._run, key, self._errands[key], task))

    def _run(self, key: int, errand: Errand, task: "Task") -> None:
        error: TashiError | None = None
        try:
            errand.act(task)
        except TashiError as told:
            error = told
        except BaseException:
            mistake = Broken("Tashi made a mistake; its log says more.")
            self.surely(lambda _: self._end(key, mistake))
            raise
        self.surely(lambda _: self._end(key, error))

    def _note(self, key: int, done: int, total: int, rate: int) -> None:
        job = self._jobs.get(key)
        if job is not None and not job.is_over:
            self._set(key, done=done, total=total, rate=rate)

    def _end(self, key: int, error: TashiError | None) -> None:
        self._tasks.pop(key, None)
        self._ready.discard(key)
        job = self._jobs.get(key)
        if job is None or job.is_over:
            return
        self._errands.pop(key).ended()
        if error is None:
            self._set(key, state=JobState.DONE, done=job.total)
        else:
            state = JobState.CANCELLED if isinstance(error, Cancelled) else JobState.FAILED
            self._set(key, state=state, error=error)
        whose = "nobody" if job.user_id is None else f"user {job.user_id}"
        how = f"{self._jobs[key].state}{f': {error}' if error else '.'}"
        _log.info("%s, for %s, is %s", str(job).capitalize(), whose, how)
        self._forget_the_oldest()
        self._start_ready()

    def _set(self, key: int, **changes: Any) -> None:
        job = self._jobs[key] = replace(
            self._jobs[key], change=self._jobs[key].change + 1, **changes
        )
        for one in self._watchers.pop(key, ()):
            _resolve(one.answer, job)

    def _forget_the_oldest(self) -> None:
        over = [key for key, job in self._jobs.items() if job.is_over]
        for key in over[: max(0, len(over) - _MOST_KEPT)]:
            del self._jobs[key]
        self._requests = {
            request: key for request, key in self._requests.items() if key in self._jobs
        }


class Task:
    """A worker's end of a job: it says how far it is, and hears that it is not wanted any more."""

    def __init__(self, tell: Callable[[int, int, int], None], ledger: Ledger, clock: Clock) -> None:
        self._tell = tell
        self._ledger = ledger
        self._clock = clock
        self._leash = Leash()
        self._began = clock.monotonic()
        self._told_at: float | None = None

    @property
    def leash(self) -> Leash:
        """What is to end at once when the job is cancelled."""
        return self._leash

    def note(self, done: int, total: int) -> None:
        """Say how far it is; told on now and then, for it may be said very often."""
        if self._leash.pulled:
            raise Cancelled("It was cancelled.")
        now = self._clock.monotonic()
        if self._told_at is not None and now - self._told_at < _TOLD_EVERY_SECONDS:
            return
        self._told_at = now
        rate = int(done / (now - self._began)) if now > self._began else 0
        self._ledger.ask(lambda _: self._tell(done, total, rate))


def _check_owner(job: Job, caller: Caller) -> None:
    owner = job.user_id
    if not caller.is_admin and (owner is None or caller.user_id != owner):
        check_owner(UserId(-1) if owner is None else owner, caller, str(job).capitalize())


def _unknown(key: int) -> NoSuchJob:
    return NoSuchJob(
        f"There is no job {key}: it ended long ago, or the cluster manager was started anew since; "
        "what had not been done by then is not done.",
        job=key,
    )


def _resolve(answer: Future[Job], job: Job) -> None:
    if answer.set_running_or_notify_cancel():
        answer.set_result(job)
