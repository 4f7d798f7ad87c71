"""What could not be tidied up of the networks of guests is tidied up later, without another end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest

from tashi.adapters.hypervisor.qemu import caretaker
from tashi.adapters.hypervisor.qemu.caretaker import Caretaker
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.network.user import UserNetworks
from tashi.domain.errors import HypervisorFailed

SECONDS = 60.0


@pytest.fixture
def reactor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reactor]:
    monkeypatch.setattr(caretaker, "_AGAIN_SECONDS", 0.0)
    made = Reactor()
    yield made
    made.close()


@dataclass
class Busy:
    """What cannot be done so many times, and tells each try."""

    name: str
    tries: "SimpleQueue[str]" = field(default_factory=SimpleQueue)
    in_vain: int = 1

    def __call__(self) -> None:
        self.tries.put(self.name)
        self.in_vain -= 1
        if self.in_vain >= 0:
            raise HypervisorFailed("Device or resource busy.")


@dataclass(frozen=True)
class BusyNetworks(UserNetworks):
    """Networks that are tidied up like that."""

    act: Busy = field(default_factory=lambda: Busy("networks"))

    def tidy(self) -> None:
        self.act()


def test_networks_that_are_busy_are_tidied_up_later(reactor: Reactor) -> None:
    act = Busy("networks")
    cares = Caretaker(BusyNetworks(act=act), reactor)

    cares.tidy_soon()
    told = [act.tries.get(timeout=SECONDS) for _ in range(2)]
    cares.close()

    assert told == ["networks", "networks"]
    assert act.tries.empty()


def test_what_leads_to_networks_goes_first_and_holds_up_no_others(reactor: Reactor) -> None:
    taps = Busy("taps")
    networks = Busy("networks", taps.tries, in_vain=0)
    cares = Caretaker(BusyNetworks(act=networks), reactor, taps)

    cares.tidy_soon()
    told = [taps.tries.get(timeout=SECONDS) for _ in range(4)]
    cares.close()

    assert told == ["taps", "networks", "taps", "networks"]


def test_what_is_busy_for_long_is_tried_no_more_often_for_each_try(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_off: list[Callable[[], object]] = []
    monkeypatch.setattr(reactor, "later", lambda _seconds, function: put_off.append(function))
    taps, networks = Busy("taps", in_vain=9), Busy("networks", in_vain=9)
    cares = Caretaker(BusyNetworks(act=networks), reactor, taps)

    async def nothing() -> None:
        """Done after what was posted before."""

    for _ in range(3):
        cares.tidy_soon()
        cares._thread.submit(lambda: None).result()
        reactor.call(nothing())
    [again] = put_off
    again()
    cares.close()
    reactor.call(nothing())

    assert networks.in_vain == 9 - 4
    assert len(put_off) == 2
