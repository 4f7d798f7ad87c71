"""A door that is there before its QEMU: who comes early is let in later, or is told why not."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Final

import pytest

from contracts.machines import PEER, QemuMachine, a_spec
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.network.user import UserNetworks
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Found
from tashi.ports.network import Cards, Wiring

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
SOON: Final = 60.0


class LateToFail(UserNetworks):
    """Networks that a QEMU which has been started cannot be joined to."""

    @contextmanager
    def wire(self, guest: InstanceId, cards: Cards) -> Iterator[Wiring]:
        """Say so at the end."""
        with super().wire(guest, cards) as wiring:
            yield wiring
        raise HypervisorFailed("The cable is cut.")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as made:
        yield made


def found(qemu: Qemu) -> Found:
    [one] = qemu.adopt()
    return one.found


def test_a_guest_sets_out_while_its_target_begins_and_arrives(
    here: QemuMachine, there: QemuMachine, threads: ThreadPoolExecutor
) -> None:
    noted = threading.Event()
    sent: list[Future[None]] = []

    def wait_for_the_source(step: str) -> None:
        if step == "met":
            assert noted.wait(SOON)

    def look(step: str) -> None:
        if step == "noted":
            noted.set()

    with closing(here.open(on_step=look)) as source:
        source.start(a_spec())
        with closing(there.open(on_step=wait_for_the_source)) as target:
            incoming = target.prepare_target(
                a_spec(), PEER, lambda door: sent.append(threads.submit(source.send, SEVEN, door))
            )
            sent[0].result(SOON)

            assert (found(source), found(target)) == (Found.LEFT, Found.RUNNING)
            assert incoming


def test_a_guest_whose_target_comes_to_nothing_stays_and_it_is_said_why(
    here: QemuMachine, there: QemuMachine, threads: ThreadPoolExecutor
) -> None:
    sent: list[Future[None]] = []

    with closing(here.open()) as source:
        source.start(a_spec())
        with closing(there.open(networks=LateToFail(()))) as target:
            with pytest.raises(HypervisorFailed, match=r"^The cable is cut\.$"):
                target.prepare_target(
                    a_spec(),
                    PEER,
                    lambda door: sent.append(threads.submit(source.send, SEVEN, door)),
                )
            with pytest.raises(HypervisorFailed, match=r"cannot receive it: The cable is cut\."):
                sent[0].result(SOON)

            assert found(source) is Found.RUNNING
            assert (there.qemus(), there.leftovers()) == ([], [])


def test_a_guest_that_comes_after_its_target_came_to_nothing_is_told_why_too(
    here: QemuMachine, there: QemuMachine
) -> None:
    doors: list[str] = []

    with closing(here.open()) as source:
        source.start(a_spec())
        with closing(there.open(networks=LateToFail(()))) as target:
            with pytest.raises(HypervisorFailed, match="cable"):
                target.prepare_target(a_spec(), PEER, doors.append)
            with pytest.raises(HypervisorFailed, match=r"cannot receive it: The cable is cut\."):
                source.send(SEVEN, doors[0])

            assert found(source) is Found.RUNNING


def test_a_guest_that_waits_at_a_door_can_be_called_back(
    here: QemuMachine, there: QemuMachine, threads: ThreadPoolExecutor
) -> None:
    noted, over = threading.Event(), threading.Event()
    sent: list[Future[None]] = []

    def look(step: str) -> None:
        if step == "noted":
            noted.set()

    def hold_up(step: str) -> None:
        if step == "met":
            assert over.wait(SOON)

    with closing(here.open(on_step=look)) as source:
        source.start(a_spec())
        with closing(there.open(on_step=hold_up)) as target:

            def opened(door: str) -> None:
                sent.append(threads.submit(source.send, SEVEN, door))
                assert noted.wait(SOON)
                threads.submit(source.cancel, SEVEN, door)

            preparing = threads.submit(target.prepare_target, a_spec(), PEER, opened)
            try:
                while not sent:
                    assert not preparing.done()
                    noted.wait(0.01)
                with pytest.raises(HypervisorFailed, match="it was called back"):
                    sent[0].result(SOON)
            finally:
                over.set()
            preparing.result(SOON)

            assert found(source) is Found.RUNNING
            # Its QEMU is led to the line all the same, notices that it was cut, and ends.
            deadline = time.monotonic() + SOON
            while found(target) is not Found.GONE:
                assert time.monotonic() < deadline
