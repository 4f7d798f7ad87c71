"""What all workers promise: a lane's jobs in order and one at a time, lanes side by side."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Protocol

import pytest

from fakes.clock import HandTurnedClock
from fakes.workers import HandWorkers
from tashi.adapters.system.workers import ThreadWorkers
from tashi.ports.workers import Workers

SOON = 30.0


class Site(Protocol):
    """Workers, and the way to let them work."""

    workers: Workers

    def now(self) -> float:
        """The time in seconds on the clock that the workers look at."""
        ...

    def wait_for(self, happened: threading.Event) -> None:
        """Let jobs run until that has happened; also from within a job."""
        ...


class ThreadSite:
    """Threads work by themselves."""

    def __init__(self) -> None:
        self._threads = ThreadWorkers()
        self.workers: Workers = self._threads

    def now(self) -> float:
        return time.monotonic()

    def wait_for(self, happened: threading.Event) -> None:
        assert happened.wait(SOON)

    def close(self) -> None:
        self._threads.stop()


class HandSite:
    """By hand: jobs run while somebody waits, and time passes when nothing else is left to do."""

    def __init__(self) -> None:
        self._clock = HandTurnedClock()
        self._hands = HandWorkers(self._clock)
        self.workers: Workers = self._hands

    def now(self) -> float:
        return self._clock.monotonic()

    def wait_for(self, happened: threading.Event) -> None:
        until = self.now() + SOON
        while not happened.is_set() and self.now() < until:
            with suppress(Stumble):
                self._hands.run_all()
                self._clock.turn(0.01)
        assert happened.is_set()

    def close(self) -> None:
        """Nothing is held."""


class Stumble(Exception):
    """What goes wrong in a job."""


@pytest.fixture(params=[ThreadSite, HandSite])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    made = request.param()
    yield made
    made.close()


def finish(site: Site, *lanes: str) -> None:
    """Let everything run that is queued in these lanes now."""
    for lane in lanes:
        done = threading.Event()
        site.workers.run(lane, done.set)
        site.wait_for(done)


def test_the_jobs_of_a_lane_run_in_the_order_they_were_queued(site: Site) -> None:
    seen: list[int] = []

    for number in range(200):
        site.workers.run("lane", partial(seen.append, number))
    finish(site, "lane")

    assert seen == list(range(200))


def test_one_lane_waits_for_another_while_its_own_jobs_wait_for_it(site: Site) -> None:
    seen: list[str] = []
    other_ran = threading.Event()

    def waiting() -> None:
        seen.append("begins")
        site.wait_for(other_ran)
        seen.append("ends")

    def other() -> None:
        seen.append("other")
        other_ran.set()

    site.workers.run("lane", waiting)
    site.workers.run("lane", lambda: seen.append("next"))
    site.workers.run("other", other)
    finish(site, "lane", "other")

    assert sorted(seen[:2]) == ["begins", "other"]
    assert seen[2:] == ["ends", "next"]


def test_a_job_may_queue_jobs_in_its_own_lane_and_in_others(site: Site) -> None:
    seen: list[str] = []
    last = threading.Event()

    def first() -> None:
        site.workers.run("lane", lambda: seen.append("own"))
        site.workers.run("lane", lambda: site.workers.run("other", last.set))
        seen.append("first")

    site.workers.run("lane", first)
    site.wait_for(last)

    assert seen == ["first", "own"]


def test_a_failed_job_is_followed_by_the_next_of_its_lane(site: Site) -> None:
    seen: list[str] = []

    def stumble() -> None:
        seen.append("stumbles")
        raise Stumble

    site.workers.run("lane", stumble)
    site.workers.run("lane", lambda: seen.append("next"))
    finish(site, "lane")

    assert seen == ["stumbles", "next"]


def test_a_job_of_later_waits_until_its_time_and_for_its_lane(site: Site) -> None:
    begun = site.now()
    times: list[float] = []
    done = threading.Event()

    def job() -> None:
        times.append(site.now() - begun)
        done.set()

    site.workers.after(0.1, "lane", job)
    finish(site, "lane")
    site.wait_for(done)

    assert len(times) == 1
    assert times[0] >= 0.1


def test_jobs_of_later_run_in_the_order_of_their_times(site: Site) -> None:
    seen: list[str] = []
    done = threading.Event()

    site.workers.after(2.0, "lane", done.set)
    site.workers.after(1.5, "lane", partial(seen.append, "third"))
    site.workers.after(0.5, "lane", partial(seen.append, "first"))
    site.workers.after(1.5, "lane", partial(seen.append, "fourth"))
    site.workers.after(1.0, "lane", partial(seen.append, "second"))
    site.wait_for(done)

    assert seen == ["first", "second", "third", "fourth"]


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_job_whose_time_has_passed_runs_at_once(site: Site, seconds: float) -> None:
    done = threading.Event()

    site.workers.after(seconds, "lane", done.set)
    site.wait_for(done)

    assert done.is_set()
