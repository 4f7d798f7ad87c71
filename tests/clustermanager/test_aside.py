"""What may wait on the world takes only so many of those who serve calls."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from fakes.clock import HandTurnedClock
from fakes.workers import HandWorkers
from tashi.adapters.system.workers import ThreadWorkers
from tashi.clustermanager.service.aside import MOST_LOOKS, MOST_READERS, Looks, Readers
from tashi.domain.errors import Failed, ImagesFailed
from tashi.domain.host import Host
from tashi.domain.identity import HostId, Mib

PATIENCE_SECONDS = 30.0
HERE = Host(id=HostId(1), name="h1", memory=Mib(4096), cores=4)
THERE = Host(id=HostId(2), name="h2", memory=Mib(4096), cores=4)


def done(found: object) -> "Future[object]":
    answer: Future[object] = Future()
    answer.set_result(found)
    return answer


def workers() -> HandWorkers:
    return HandWorkers(HandTurnedClock(0.0))


def test_a_look_is_taken_at_once_by_who_serves_the_call() -> None:
    here = threading.get_ident()

    found = Looks(workers()).then("alice", threading.get_ident, done)

    assert found.result(0) == here


def test_what_a_look_raises_comes_at_once_and_takes_no_place() -> None:
    looks = Looks(workers())

    def fail() -> int:
        raise ImagesFailed("The folder is away.")

    for _ in range(2 * MOST_LOOKS):
        with pytest.raises(ImagesFailed):
            looks.then("alice", fail, done)

    assert looks.then("alice", lambda: 7, done).result(0) == 7


def test_when_the_store_hangs_those_who_serve_are_not_all_taken() -> None:
    released, taken = threading.Event(), threading.Semaphore(0)

    def hang() -> str:
        taken.release()
        released.wait(PATIENCE_SECONDS)
        return "found"

    background = ThreadWorkers()
    looks = Looks(background)
    with ThreadPoolExecutor(MOST_LOOKS) as serving, ExitStack() as stack:
        stack.callback(background.stop, PATIENCE_SECONDS)
        first = [serving.submit(looks.then, "alice", hang, done) for _ in range(MOST_LOOKS)]
        for _ in range(MOST_LOOKS):
            assert taken.acquire(timeout=PATIENCE_SECONDS)

        later = looks.then("bob", hang, done)  # returns, though the store hangs
        was_done = later.done()
        released.set()

        assert not was_done
        assert later.result(PATIENCE_SECONDS) == "found"
        assert [one.result(PATIENCE_SECONDS).result(0) for one in first] == ["found"] * MOST_LOOKS
        assert looks.then("bob", lambda: "again", done).result(0) == "again"


def test_only_so_many_read_consoles_of_one_host() -> None:
    background = workers()
    readers = Readers(background)
    reading = [readers.read(HERE, lambda: "said") for _ in range(MOST_READERS)]

    with pytest.raises(Failed, match="48 consoles of h1 are being read already"):
        readers.read(HERE, lambda: "said")
    elsewhere = readers.read(THERE, lambda: "there")
    background.run_all()

    assert {one.result(0) for one in reading} == {"said"}
    assert elsewhere.result(0) == "there"
    again = readers.read(HERE, lambda: "again")
    background.run_all()
    assert again.result(0) == "again"


def test_who_cannot_read_makes_room_all_the_same() -> None:
    background = workers()
    readers = Readers(background)

    def fail() -> str:
        raise Failed("The node does not answer.")

    for _ in range(MOST_READERS + 1):
        failed = readers.read(HERE, fail)
        background.run_all()
        with pytest.raises(Failed, match="does not answer"):
            failed.result(0)
