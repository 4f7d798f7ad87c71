"""Lanes on threads: none is left over, none is held up, and no failure is silent."""

import logging
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from tashi.adapters.system import workers as room
from tashi.adapters.system.workers import ThreadWorkers

SOON = 30.0


@pytest.fixture
def workers() -> Iterator[ThreadWorkers]:
    made = ThreadWorkers()
    yield made
    made.stop()


def lane_thread(lane: str) -> threading.Thread | None:
    return next((one for one in threading.enumerate() if one.name == lane), None)


def wait(event: threading.Event) -> None:
    assert event.wait(SOON)


def stumble() -> None:
    raise ZeroDivisionError


def test_a_lane_that_hangs_delays_no_other(workers: ThreadWorkers) -> None:
    release, ran = threading.Event(), threading.Semaphore(0)

    workers.run("hangs", partial(wait, release))
    for number in range(20):
        workers.run(f"lane {number}", ran.release)

    assert all(ran.acquire(timeout=SOON) for _ in range(20))
    release.set()


def test_two_jobs_of_a_lane_never_run_at_once_whoever_queues_them(workers: ThreadWorkers) -> None:
    alone = threading.Lock()
    overlaps: list[int] = []
    done = threading.Event()

    def job() -> None:
        if not alone.acquire(blocking=False):
            overlaps.append(1)
            return
        alone.release()

    def queue() -> None:
        for _ in range(200):
            workers.run("lane", job)

    queuers = [threading.Thread(target=queue) for _ in range(4)]
    for one in queuers:
        one.start()
    for one in queuers:
        one.join(SOON)
    workers.run("lane", done.set)

    assert done.wait(SOON)
    assert overlaps == []


def test_an_idle_lane_has_no_thread_and_gets_one_when_it_is_needed(
    workers: ThreadWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_LINGER_SECONDS", 0.01)

    for _ in range(3):
        ran = threading.Event()
        workers.run("lane", ran.set)
        assert ran.wait(SOON)
        thread = lane_thread("lane")
        if thread is not None:
            thread.join(SOON)

        assert lane_thread("lane") is None


def test_a_failed_job_is_logged_with_its_lane(
    workers: ThreadWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    with caplog.at_level(logging.ERROR):
        workers.run("guest 7", stumble)
        workers.run("guest 7", done.set)
        assert done.wait(SOON)

    assert ["'guest 7'" in record.message for record in caplog.records] == [True]
    assert caplog.records[0].exc_info


def test_stop_lets_the_job_that_runs_finish() -> None:
    workers = ThreadWorkers()
    begun, finished = threading.Event(), threading.Event()
    release = threading.Timer(0.05, lambda: None)

    def job() -> None:
        begun.set()
        release.start()
        release.join()
        finished.set()

    workers.run("lane", job)
    wait(begun)
    workers.stop()

    assert finished.is_set()
    assert lane_thread("lane") is None


def test_stop_gives_up_on_a_job_that_hangs() -> None:
    workers = ThreadWorkers()
    begun, release = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        wait(release)

    workers.run("lane", hang)
    wait(begun)
    workers.stop(patience_seconds=0.01)
    still_there = lane_thread("lane")
    release.set()
    workers.stop()

    assert still_there is not None
    assert lane_thread("lane") is None


def test_stop_drops_what_waits_behind_the_job_that_runs() -> None:
    workers = ThreadWorkers()
    begun, release, ran = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        wait(release)

    workers.run("lane", hang)
    workers.run("lane", ran.set)
    wait(begun)
    workers.stop(patience_seconds=0.0)
    release.set()
    workers.stop()

    assert not ran.is_set()


def test_a_job_may_stop_the_workers_that_run_it() -> None:
    workers = ThreadWorkers()
    stopped = threading.Event()

    def stop() -> None:
        workers.stop()
        stopped.set()

    workers.run("lane", stop)

    assert stopped.wait(SOON)


def test_nothing_begins_after_stop() -> None:
    workers = ThreadWorkers()
    ran = threading.Event()
    workers.after(60.0, "lane", ran.set)
    workers.stop()

    workers.run("lane", ran.set)
    workers.after(0.0, "lane", ran.set)
    workers.stop()

    assert not ran.is_set()
    assert {one.name for one in threading.enumerate()}.isdisjoint({"lane", "later"})


def test_jobs_of_a_lane_that_could_have_no_thread_run_in_their_order_once_there_is_one(
    workers: ThreadWorkers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "_AGAIN_SECONDS", 0.01)
    begin, refusals = threading.Thread.start, [True, True]
    seen: list[str] = []
    done, later = threading.Event(), threading.Event()

    def start(self: threading.Thread) -> None:
        if refusals:
            refusals.pop()
            raise RuntimeError("can't start new thread")
        begin(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    workers.run("lane", partial(seen.append, "first"))
    workers.run("lane", partial(seen.append, "second"))
    workers.run("lane", done.set)

    assert done.wait(SOON)
    assert seen == ["first", "second"]
    workers.after(0.0, "another", later.set)
    assert later.wait(SOON)
    assert [one.message for one in caplog.records] == [
        "Lane 'lane' waits for a thread: can't start new thread."
    ] * 2


def test_jobs_of_later_outlast_a_shortage_of_threads(
    workers: ThreadWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_AGAIN_SECONDS", 0.01)
    begin, refused = threading.Thread.start, threading.Event()
    seen: list[str] = []
    done = threading.Event()

    def start(self: threading.Thread) -> None:
        if not refused.is_set():
            refused.set()
            raise RuntimeError("can't start new thread")
        begin(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    workers.after(0.0, "lane", partial(seen.append, "first"))
    workers.after(0.0, "lane", partial(seen.append, "second"))
    workers.after(0.0, "lane", done.set)

    assert done.wait(SOON)
    assert refused.is_set()
    assert seen == ["first", "second"]
