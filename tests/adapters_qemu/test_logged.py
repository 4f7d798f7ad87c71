"""What goes wrong where nobody waits for the outcome is in the log, and ends nothing else."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tashi.adapters.hypervisor.qemu.caretaker import Caretaker
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.guests import Guests
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.network.user import UserNetworks


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.close()


def fail() -> None:
    raise RuntimeError("Nobody has thought of that.")


class Untidy(UserNetworks):
    """Networks that cannot be tidied up."""

    def tidy(self) -> None:
        fail()


def test_a_job_that_goes_wrong_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    guests = Guests[Guest](Premises(tmp_path / "info", tmp_path / "scratch"), "news")
    ran = Event()

    guests.later(fail)
    guests.later(ran.set)
    guests.close()

    assert ran.is_set()
    assert "Nobody has thought of that." in caplog.text


def test_networks_that_cannot_be_tidied_up_are_logged(
    reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    caretaker = Caretaker(Untidy(()), reactor)

    caretaker.tidy_soon()
    caretaker.close()

    assert "Nobody has thought of that." in caplog.text


def test_what_goes_wrong_in_the_loop_is_logged(
    reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        fail()

    async def nothing() -> None:
        """Begun after the other, and done after it."""

    reactor.begin(work())
    reactor.call(nothing())

    assert "Nobody has thought of that." in caplog.text
