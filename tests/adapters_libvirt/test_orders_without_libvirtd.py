"""What is said of orders when libvirtd is away or hangs; afterwards they are obeyed."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

import pytest

from adapters_libvirt.pairs import SEVEN, Pair, found, wait_until
from contracts.machines import NEWS_SECONDS, a_spec
from libvirtds import Libvirtd
from tashi.adapters.hypervisor.libvirt.channel import Connection
from tashi.adapters.hypervisor.libvirt.link import Link
from tashi.adapters.hypervisor.qemu import caretaker
from tashi.domain.errors import HypervisorFailed
from tashi.ports.hypervisor import Found

pytestmark = [
    pytest.mark.system,
    pytest.mark.qemu,
    pytest.mark.libvirt,
    pytest.mark.timeout(300),
]

T = TypeVar("T")

IMPATIENT = 2.0


@contextmanager
def hanging(libvirtd: Libvirtd) -> Iterator[None]:
    libvirtd.send(signal.SIGSTOP)
    try:
        yield
    finally:
        libvirtd.send(signal.SIGCONT)


@pytest.fixture
def undoing(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Set once something that failed is being undone."""
    begun, insist = Event(), Link.insist

    def noted(link: Link, work: Callable[[Connection], T]) -> T:
        begun.set()
        return insist(link, work)

    monkeypatch.setattr(Link, "insist", noted)
    return begun


def test_a_start_without_libvirtd_fails_when_it_is_back_and_says_that_it_was_away(
    pair: Pair, undoing: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = pair.open(pair.here)

    pair.here.daemon.kill()
    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as impatient:
        impatient.setattr(opened._link, "_patience", IMPATIENT)
        starting = pool.submit(opened.start, a_spec())
        is_undone = undoing.wait(NEWS_SECONDS)
        pair.here.daemon.start()
        failed = starting.exception(NEWS_SECONDS)
    kept = found(opened)
    opened.start(a_spec())

    assert is_undone
    assert isinstance(failed, HypervisorFailed)
    assert f"libvirtd does not answer at {pair.here.daemon.uri}" in str(failed)
    assert kept == []
    assert pair.running() == ["here"]


def test_what_libvirtd_may_yet_do_of_a_start_that_it_slept_through_is_looked_for_a_while(
    pair: Pair, undoing: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "_AGAIN_SECONDS", 0.2)
    opened = pair.open(pair.here)
    left = opened._launcher.headstones.left

    with ThreadPoolExecutor(1) as pool, monkeypatch.context() as impatient:
        impatient.setattr(opened._link, "_patience", IMPATIENT)
        with hanging(pair.here.daemon):
            starting = pool.submit(opened.start, a_spec())
            is_undone = undoing.wait(NEWS_SECONDS)
        failed = starting.exception(NEWS_SECONDS)
    expected = [*left]
    left[SEVEN] = 0.0
    wait_until(lambda: not left)

    assert is_undone
    assert isinstance(failed, HypervisorFailed)
    assert expected == [SEVEN]
    assert pair.here.daemon.domains() == []


def test_a_pause_while_libvirtd_hangs_fails_in_time_and_the_next_is_obeyed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = pair.open(pair.here)
    opened.start(a_spec())
    opened._guests.wait_for_jobs()

    with monkeypatch.context() as impatient, hanging(pair.here.daemon):
        impatient.setattr(opened._link, "_patience", IMPATIENT)
        with pytest.raises(HypervisorFailed, match="libvirtd did not answer within 2 s"):
            opened.pause(SEVEN)
    opened.pause(SEVEN)

    assert found(opened) == [Found.FROZEN]
