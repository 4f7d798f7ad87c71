"""Addresses on their way into the books, while the cluster manager may not take them."""

from dataclasses import replace
from itertools import pairwise

import pytest

from examples import VERSION, a_host, running, waiting
from fakes.clock import HandTurnedClock
from fakes.cluster import FakeClusterManager
from fakes.workers import HandWorkers
from tashi.adapters.rpyc.limits import REQUEST_BYTES
from tashi.domain.errors import BadRequest, OutcomeUnknown, PeerSilent, StoreFailed, TashiError
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Instance, Nic
from tashi.domain.journal import Kind
from tashi.domain.listings import current
from tashi.domain.placement.filters import Policy
from tashi.domain.pools import Span
from tashi.scheduler.agent import Agent
from tashi.scheduler.clerk import Clerk, Servers
from tashi.scheduler.loop import MOST_AT_ONCE, Loop
from tashi.scheduler.names import Range, Site
from tashi.wire import codec
from tashi.wire.forms import ListingForm, to_form
from tashi.wire.site import BookingForm

POLICY = Policy(version=VERSION)
NET, OTHER = NetworkId(1), NetworkId(2)
LOST = [PeerSilent("Nobody."), StoreFailed("The disk is full."), OutcomeUnknown("Perhaps.")]


class Bench:
    """A scheduler with a range of addresses, in front of a cluster manager of the test's."""

    def __init__(self, first: str, last: str) -> None:
        self.clock = HandTurnedClock()
        self.cluster = FakeClusterManager(POLICY)
        self.workers = HandWorkers(self.clock)
        one = Range(Span(first, last))
        other = Range(Span("10.2.0.1", "10.2.0.9"))
        agent = Agent(POLICY, site=Site(ranges={NET: one, OTHER: other}))
        clerk = Clerk(Servers(), (), self.cluster, self.workers, self.clock)
        self.loop = Loop(agent, self.cluster, self.clock, clerk=clerk)
        self.cluster.put(a_host(cores=1000, memory=10**6))

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.turn(self.loop.turn())
            self.workers.run_all()

    def booked(self) -> dict[int, str]:
        return {
            one.id: listing.ip
            for one in self.cluster.books.instances.values()
            for listing in current(one.listings).values()
        }

    def asked_for(self) -> list[set[str]]:
        return [{one.ip for some in each.values() for one in some} for each in self.cluster.wishes]


def with_card(number: int, cards: int = 1, network: NetworkId = NET) -> Instance:
    macs = [f"52:54:{one:02x}:00:{number >> 8:02x}:{number & 255:02x}" for one in range(cards)]
    return replace(waiting(number, memory=1), nics=tuple(Nic(network, mac) for mac in macs))


@pytest.mark.parametrize("error", LOST)
def test_an_address_whose_booking_failed_is_asked_for_again_and_no_other(
    error: TashiError,
) -> None:
    bench = Bench("10.0.0.1", "10.0.0.3")
    bench.cluster.put(with_card(1), with_card(2, cards=2))
    bench.cluster.mishaps["book"] = [error] * 25

    bench.turn(26)

    assert bench.asked_for() == [{"10.0.0.1", "10.0.0.2", "10.0.0.3"}] * 26
    assert all(one == other for one, other in pairwise(bench.cluster.wishes))
    assert all(not one.trouble for one in bench.cluster.books.instances.values())
    assert len(bench.cluster.books.places) == 3


def test_what_was_booked_although_no_answer_came_is_kept() -> None:
    bench = Bench("10.0.0.1", "10.0.0.1")
    bench.cluster.put(with_card(1))
    bench.cluster.silent_after_booking = 1

    bench.turn(3)
    bench.cluster.put(with_card(2))
    bench.turn(3)

    assert bench.booked() == {1: "10.0.0.1"}
    assert len(bench.cluster.wishes) == 1
    assert "are taken" in bench.cluster.books.instance(InstanceId(2)).trouble


def test_an_address_that_was_chosen_for_one_who_is_gone_goes_to_another() -> None:
    bench = Bench("10.0.0.1", "10.0.0.1")
    bench.cluster.put(with_card(1), with_card(2))
    bench.cluster.mishaps["book"] = [StoreFailed("The disk is full.")]
    bench.turn()

    bench.cluster.drop(Kind.INSTANCE, 1)
    bench.turn(3)

    assert bench.booked() == {2: "10.0.0.1"}


def test_an_address_that_was_chosen_for_a_card_on_another_network_goes_to_another() -> None:
    bench = Bench("10.0.0.1", "10.0.0.1")
    bench.cluster.put(with_card(1))
    bench.cluster.mishaps["book"] = [StoreFailed("The disk is full.")]
    bench.turn()

    bench.cluster.put(with_card(1, network=OTHER), with_card(2))
    bench.turn(3)

    assert bench.booked() == {1: "10.2.0.1", 2: "10.0.0.1"}


def test_a_guest_from_before_the_ranges_asks_again_for_the_address_it_has() -> None:
    bench = Bench("10.0.0.1", "10.0.0.9")
    card = Nic(NET, "52:54:00:00:00:01", "10.0.0.5")
    bench.cluster.put(replace(running(waiting(1)), nics=(card,)))
    bench.cluster.mishaps["book"] = [StoreFailed("The disk is full.")] * 3

    bench.turn(4)

    assert bench.asked_for() == [{"10.0.0.5"}] * 4
    assert bench.booked() == {1: "10.0.0.5"}


def test_bookings_that_are_refused_as_a_whole_hold_up_no_start() -> None:
    bench = Bench("10.0.0.1", "10.0.0.9")
    bench.cluster.put(with_card(1), waiting(2))
    bench.cluster.mishaps["book"] = [BadRequest("No.")]

    bench.turn()
    at_once = bench.cluster.books.instance(InstanceId(2)).host_id
    bench.clock.turn(60)
    bench.turn()

    assert at_once == 1
    assert bench.asked_for() == [{"10.0.0.1"}] * 2
    assert bench.booked() == {1: "10.0.0.1"}


def test_however_many_addresses_are_wanted_every_call_has_room_for_its_part() -> None:
    bench = Bench("10.0.0.1", "10.0.255.254")
    cards = 8
    bench.cluster.put(*(with_card(number, cards) for number in range(1, 2 * MOST_AT_ONCE // cards)))

    bench.turn()

    sizes = [sum(map(len, part.values())) for part in bench.cluster.wishes]
    assert sizes == [MOST_AT_ONCE, MOST_AT_ONCE - cards]
    assert len(bench.cluster.books.places) == sum(sizes)
    for part in bench.cluster.wishes:
        longest = [replace(one, name="a" * 253) for some in part.values() for one in some]
        forms = [BookingForm(7, (to_form(one, ListingForm),)) for one in longest]
        assert len(codec.encode(forms)) < REQUEST_BYTES / 2
