"""Jobs: a few at once, watched until they change, cancelled, and forgotten in the end."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from fakes.clock import HandTurnedClock
from fakes.workers import HandWorkers
from tashi.adapters.store.memory import MemoryStore
from tashi.clustermanager.jobs import MOST_AT_ONCE, Errand, Jobs
from tashi.clustermanager.ledger import Ledger
from tashi.domain.errors import Cancelled, ImagesFailed, NoSuchJob
from tashi.domain.identity import Epoch, UserId
from tashi.domain.jobs import Job, JobState
from tashi.domain.journal import Counters, Kept
from tashi.domain.permissions import Caller, Role
from tashi.ports.images import Progress

ALICE = Caller(Role.USER, UserId(1000), "alice")


@dataclass
class Bench:
    """Jobs with their ledger and workers, turned by hand."""

    clock: HandTurnedClock = field(default_factory=HandTurnedClock)
    ended: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workers = HandWorkers(self.clock)
        self.ledger = Ledger(MemoryStore(), self.clock, 100, lambda _: None, lambda _: None)
        self.ledger.begin_reign()
        self.jobs = Jobs(self.ledger, self.workers, self.clock)

    def begin(
        self, words: str = "copying", act: Callable[[Progress], None] = lambda _: None
    ) -> Job:
        errand = Errand(
            words=words,
            user_id=ALICE.user_id,
            act=act,
            ended=lambda: self.ended.append(words),
            request=words,
        )
        job = self.jobs.add(errand)
        self.jobs.start(job.id)
        return job

    def settle(self, times: int = 20) -> None:
        for _ in range(times):
            self.workers.run_all()
            self.ledger.turn(0.0)


@pytest.fixture(name="bench")
def _bench() -> Bench:
    return Bench()


def states(bench: Bench) -> list[JobState]:
    return [job.state for job in bench.jobs.all()]


def test_a_few_run_at_once_and_the_others_after_them(bench: Bench) -> None:
    for number in range(MOST_AT_ONCE + 2):
        bench.begin(str(number))

    at_first = states(bench)
    bench.settle()

    assert at_first == [JobState.RUNNING] * MOST_AT_ONCE + [JobState.WAITING] * 2
    assert set(states(bench)) == {JobState.DONE}
    assert bench.ended == [str(number) for number in range(MOST_AT_ONCE + 2)]


def test_a_job_that_waits_is_cancelled_without_ever_beginning(bench: Bench) -> None:
    begun: list[str] = []
    for number in range(MOST_AT_ONCE):
        bench.begin(str(number))
    late = bench.begin("late", lambda _: begun.append("late"))

    cancelled = bench.jobs.cancel(late.id, ALICE)
    bench.settle()

    assert cancelled.state is JobState.CANCELLED
    assert isinstance(cancelled.error, Cancelled)
    assert begun == []
    assert "late" in bench.ended


def test_a_job_that_runs_hears_that_it_is_cancelled(bench: Bench) -> None:
    job = bench.begin(act=lambda progress: progress.note(1, 2))

    before = bench.jobs.cancel(job.id, ALICE)
    bench.settle()

    assert before.state is JobState.RUNNING
    assert bench.jobs.get(job.id).state is JobState.CANCELLED
    assert bench.jobs.cancel(job.id, ALICE).state is JobState.CANCELLED


def test_the_end_of_the_cluster_manager_gives_up_what_runs(bench: Bench) -> None:
    job = bench.begin(act=lambda progress: progress.note(1, 2))

    bench.jobs.stop()
    bench.settle()

    assert bench.jobs.get(job.id).state is JobState.CANCELLED


def test_how_far_a_job_is_is_told_now_and_then_with_its_rate(bench: Bench) -> None:
    seen: list[Job] = []

    def act(progress: Progress) -> None:
        for done in range(0, 101, 10):
            progress.note(done, 100)
            bench.clock.turn(0.1)
            bench.ledger.turn(0.0)
            seen.append(bench.jobs.get(job.id))

    job = bench.begin(act=act)
    bench.settle()

    assert [one.done for one in seen][:5] == [0, 0, 0, 30, 30]
    assert seen[3].rate == pytest.approx(100, abs=1)
    assert (bench.jobs.get(job.id).done, bench.jobs.get(job.id).total) == (100, 100)


def test_whoever_watches_hears_of_a_change_or_that_time_is_up(bench: Bench) -> None:
    job = bench.begin()
    running = bench.jobs.get(job.id)

    at_once = bench.jobs.watch(job.id, running.change - 1, until=10.0)
    short = bench.jobs.watch(job.id, running.change, until=10.0)
    long = bench.jobs.watch(job.id, running.change, until=20.0)
    bench.jobs.expire(15.0)
    between = (at_once.done(), short.done(), long.done())
    bench.settle()
    afterwards = bench.jobs.watch(job.id, bench.jobs.get(job.id).change, until=99.0)

    assert between == (True, True, False)
    assert short.result(0) == running
    assert long.result(0).state is afterwards.result(0).state is JobState.DONE


def test_what_ended_long_ago_is_forgotten(bench: Bench) -> None:
    first = bench.begin("first")
    for number in range(250):
        bench.begin(str(number))
        bench.settle(2)
    late = bench.begin("late")

    assert len(bench.jobs.all()) == 201
    assert bench.jobs.of_request("late") == bench.jobs.get(late.id)
    assert bench.jobs.of_request("first") is None
    with pytest.raises(NoSuchJob):
        bench.jobs.get(first.id)


def test_an_errand_that_was_never_to_start_leaves_nothing(bench: Bench) -> None:
    errand = Errand(words="x", user_id=None, act=lambda _: None, ended=lambda: None, request="r")
    job = bench.jobs.add(errand)

    bench.jobs.drop(errand)
    bench.jobs.start(job.id)
    bench.settle()

    assert bench.jobs.all() == []
    assert bench.jobs.of_request("r") is None
    assert bench.jobs.of_request("") is None


def test_a_job_that_is_not_durable_yet_does_not_begin_because_another_has_ended(
    bench: Bench,
) -> None:
    begun: list[str] = []
    early = Errand(
        words="early", user_id=None, act=lambda _: begun.append("early"), ended=lambda: None
    )
    bench.begin("first")
    waiting = bench.jobs.add(early)
    bench.settle()
    before = (bench.jobs.get(waiting.id).state, list(begun))

    bench.jobs.start(waiting.id)
    bench.settle()

    assert before == (JobState.WAITING, [])
    assert (bench.jobs.get(waiting.id).state, begun) == (JobState.DONE, ["early"])


def test_a_job_that_ends_leaves_its_place_to_others_whatever_became_of_its_errand(
    bench: Bench,
) -> None:
    for number in range(MOST_AT_ONCE):
        bench.begin(str(number))
    for errand in list(bench.jobs._errands.values()):
        bench.jobs.drop(errand)
    bench.settle()

    late = bench.begin("late")
    bench.settle()

    assert bench.jobs.get(late.id).state is JobState.DONE


def test_numbers_stay_small_enough_for_json_also_after_a_restore() -> None:
    store = MemoryStore()
    store.fill(Kept(counters=Counters(epoch=Epoch(1_900_000_000_000_000))))
    clock = HandTurnedClock()
    ledger = Ledger(store, clock, 100, lambda _: None, lambda _: None)
    jobs = Jobs(ledger, HandWorkers(clock), clock)
    before = jobs.number(1)

    ledger.begin_reign()

    assert 0 < before < jobs.number(1) < 2**53


def test_a_job_ends_with_the_error_of_its_work(bench: Bench) -> None:
    def fail(_: Progress) -> None:
        raise ImagesFailed("There is no room.")

    job = bench.begin(act=fail)
    bench.settle()

    assert bench.jobs.get(job.id).state is JobState.FAILED
    assert str(bench.jobs.get(job.id).error) == "There is no room."


def test_who_watches_a_job_that_is_never_to_start_is_told_and_the_clock_goes_on(
    bench: Bench,
) -> None:
    errand = Errand(words="copying", user_id=None, act=lambda _: None, ended=lambda: None)
    job = bench.jobs.add(errand)
    watched = bench.jobs.watch(job.id, job.change, until=bench.clock.monotonic() + 1.0)

    dropped = bench.jobs.drop(errand)
    bench.jobs.expire(bench.clock.monotonic() + 2.0)

    assert dropped
    assert isinstance(watched.exception(0), NoSuchJob)
