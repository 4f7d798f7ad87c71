"""Orders on their way: in order, in their session, and again until they are taken up."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from examples import a_host, hinting, waiting
from fakes.clock import HandTurnedClock
from fakes.images import FakeImages
from fakes.nodes import FakeNodes, silence
from fakes.workers import HandWorkers
from tashi.clustermanager.dispatch import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_BYTES_AT_ONCE,
    MOST_ORDERS_AT_ONCE,
    CheckAlive,
    CloseSession,
    Dispatch,
    OpenSession,
)
from tashi.domain.errors import (
    BadRequest,
    Broken,
    ImagesFailed,
    NotLoggedIn,
    NotPermitted,
    Refused,
    StoreFailed,
    TashiError,
    VersionMismatch,
)
from tashi.domain.host import Host
from tashi.domain.identity import Attempt, Epoch, HostId, InstanceId, Operation, Session
from tashi.domain.instance import Spent
from tashi.domain.instructions import DeleteSpent, Instruction, NodeOrder
from tashi.domain.states import Order


class Bench:
    """A dispatch in front of fake nodes, with time in the test's hand."""

    def __init__(self) -> None:
        self.clock = HandTurnedClock()
        self.workers = HandWorkers(self.clock)
        self.nodes = FakeNodes()
        self.epoch = Epoch(1)
        self.images = FakeImages(())
        self.deleted: list[DeleteSpent] = []
        self.dispatch = Dispatch(
            self.nodes, self.workers, lambda: self.epoch, self.images, self.deleted.append
        )

    def give(self, *instructions: Instruction) -> None:
        self.dispatch.give(instructions)
        self.workers.run_all()

    def let_pass(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.clock.turn(0.25)
            self.workers.run_all()


def host(number: int = 1, session: int = 1) -> Host:
    return replace(a_host(number), session=Session(session))


def an_order(instance: int, on: int = 1) -> NodeOrder:
    return NodeOrder(HostId(on), Order.KILL, InstanceId(instance), Attempt(1), Operation(instance))


def opening(session: int = 1, orders: Sequence[NodeOrder] = ()) -> OpenSession:
    return OpenSession(host(session=session), tuple(orders))


def instances(bench: Bench) -> list[int]:
    return [order.instance_id for order in bench.nodes.orders]


def test_a_session_begins_with_its_orders_and_goes_on_in_order() -> None:
    bench = Bench()

    bench.give(opening(orders=[an_order(1), an_order(2)]), an_order(3))
    bench.give(an_order(4))

    assert instances(bench) == [1, 2, 3, 4]
    assert [number for _, number, _ in bench.nodes.taken] == sorted(
        {number for _, number, _ in bench.nodes.taken}
    )


def test_without_a_session_nothing_is_sent() -> None:
    bench = Bench()

    bench.give(an_order(1))
    bench.give(opening())
    bench.give(CloseSession(HostId(1)), an_order(2))
    bench.give(CloseSession(HostId(1)))

    assert bench.nodes.calls == 0
    assert set(bench.nodes.forgotten) == {HostId(1)}


@pytest.mark.parametrize("mishap", [silence(), StoreFailed("The node's disk is full.")])
def test_a_node_that_does_not_take_its_orders_gets_them_again_under_their_number(
    mishap: TashiError,
) -> None:
    bench = Bench()
    bench.nodes.mishaps = [mishap] * 3
    bench.give(opening(orders=[an_order(1)]))
    bench.give(an_order(2), an_order(3))

    bench.let_pass(10)

    assert [(number, len(orders)) for _, number, orders in bench.nodes.taken] == [(1, 1), (2, 2)]
    assert instances(bench) == [1, 2, 3]


def test_an_order_that_was_taken_although_no_answer_came_counts_once() -> None:
    bench = Bench()
    bench.give(opening(orders=[an_order(1)]))
    taken = list(bench.nodes.taken)

    bench.nodes.mishaps = [silence()]
    bench.give(an_order(2))
    bench.nodes.take_orders(host(), bench.epoch, 2, [an_order(2)])
    bench.let_pass(10)

    assert bench.nodes.taken[: len(taken)] == taken
    assert instances(bench) == [1, 2]


def test_the_pauses_between_tries_grow_up_to_a_limit_and_begin_small_again() -> None:
    bench = Bench()
    bench.nodes.mishaps = [silence()] * 10
    bench.give(opening(orders=[an_order(1)]))

    bench.let_pass(FIRST_PAUSE_SECONDS)
    soon = bench.nodes.calls
    bench.let_pass(FIRST_PAUSE_SECONDS * 2)
    later = bench.nodes.calls
    bench.let_pass(60)
    tried = bench.nodes.calls
    bench.let_pass(LONGEST_PAUSE_SECONDS * 3)
    bench.nodes.mishaps = [silence()]
    bench.give(an_order(2))
    bench.let_pass(FIRST_PAUSE_SECONDS)

    assert (soon, later) == (2, 3)
    assert 8 <= tried <= 11
    assert instances(bench) == [1, 2]


def test_orders_given_while_a_batch_is_tried_again_wait_behind_it_without_another_call() -> None:
    bench = Bench()
    bench.nodes.mishaps = [silence()]
    bench.give(opening(orders=[an_order(1)]))

    for number in range(2, 6):
        bench.give(an_order(number))
    meanwhile = bench.nodes.calls
    bench.let_pass(1)

    assert meanwhile == 1
    assert instances(bench) == [1, 2, 3, 4, 5]


def test_what_an_ended_session_had_not_sent_is_never_sent() -> None:
    bench = Bench()
    bench.nodes.mishaps = [silence()]
    bench.give(opening(1, [an_order(1)]), an_order(2))

    bench.give(opening(2, [an_order(7)]))
    bench.let_pass(60)

    assert bench.nodes.taken == [("n1", 1, (an_order(7),))]


def test_a_session_that_ends_while_its_orders_are_on_their_way_sends_no_more() -> None:
    bench = Bench()

    def open_another() -> None:
        bench.nodes.while_asked = lambda: None
        bench.dispatch.give([opening(2, [an_order(7)])])

    bench.nodes.while_asked = open_another
    bench.nodes.mishaps = [silence()]
    bench.give(opening(1, [an_order(1)]))
    bench.let_pass(60)

    assert instances(bench) == [7]


@pytest.mark.parametrize("error", [BadRequest("No."), Refused("No."), Broken("No.")])
def test_an_order_that_is_refused_is_left_out_and_the_others_go_on(error: TashiError) -> None:
    bench = Bench()
    bench.nodes.while_asked = lambda: refuse_the_second(bench, error)

    bench.give(opening(1, [an_order(1), an_order(2), an_order(3)]), an_order(4))
    bench.give(an_order(5))

    assert instances(bench) == [1, 3, 4, 5]
    assert len({number for _, number, _ in bench.nodes.taken}) == len(bench.nodes.taken)


def refuse_the_second(bench: Bench, error: TashiError) -> None:
    """Of a batch of three refuse everything, of its orders sent alone the second."""
    bench.nodes.mishaps = [error] if bench.nodes.calls in {1, 3} else []


def test_an_order_that_was_left_out_is_named_in_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.nodes.mishaps = [BadRequest("It is too long.")]
    large = replace(an_order(7), instance=hinting(waiting(7), near="group:a+" * 10_000))

    bench.give(opening(1, [large]))

    told = [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert told == ["n1 refuses KILL of instance 7, which is left out: It is too long."]


@pytest.mark.parametrize(
    "error", [NotPermitted("No."), NotLoggedIn("Who are you?"), VersionMismatch("Too new.")]
)
def test_orders_are_kept_for_a_node_that_does_not_listen_to_us(error: TashiError) -> None:
    bench = Bench()
    bench.nodes.mishaps = [error] * 3

    bench.give(opening(1, [an_order(1), an_order(2)]))
    bench.let_pass(10)

    assert [(number, len(orders)) for _, number, orders in bench.nodes.taken] == [(1, 2)]


def test_a_session_that_the_node_does_not_have_gets_no_second_try() -> None:
    bench = Bench()
    bench.nodes.sessions["n1"] = Session(2)

    bench.give(opening(1, [an_order(1)]))
    bench.let_pass(60)

    assert bench.nodes.calls == 1


def test_no_call_carries_more_orders_than_one_may() -> None:
    bench = Bench()
    many = [an_order(number) for number in range(MOST_ORDERS_AT_ONCE * 2 + 1)]

    bench.give(opening(1, many))

    assert [len(orders) for _, _, orders in bench.nodes.taken] == [
        MOST_ORDERS_AT_ONCE,
        MOST_ORDERS_AT_ONCE,
        1,
    ]
    assert bench.nodes.orders == many


def test_no_call_carries_more_bytes_than_one_may() -> None:
    bench = Bench()
    hints = {"x-long": "a" * (MOST_BYTES_AT_ONCE // 3)}
    many = [
        replace(an_order(number), instance=hinting(waiting(number), **hints))
        for number in range(1, 6)
    ]

    bench.give(opening(1, many))

    assert [len(orders) for _, _, orders in bench.nodes.taken] == [2, 2, 1]
    assert bench.nodes.orders == many


def test_an_order_that_is_too_long_for_company_goes_alone() -> None:
    bench = Bench()
    long = {"x-long": "a" * MOST_BYTES_AT_ONCE}
    alone = replace(an_order(2), instance=hinting(waiting(2), **long))

    bench.give(opening(1, [an_order(1), alone, an_order(3), an_order(4)]))

    assert [[order.instance_id for order in orders] for _, _, orders in bench.nodes.taken] == [
        [1], [2], [3, 4]
    ]  # fmt: skip


def test_a_node_that_is_silent_delays_no_other() -> None:
    bench = Bench()
    bench.nodes.mishaps = [silence()]

    bench.give(OpenSession(host(1), (an_order(1, on=1),)))
    bench.give(OpenSession(host(2), (an_order(2, on=2),)))

    assert instances(bench) == [2]


def test_the_epoch_of_a_session_is_the_one_it_was_opened_in() -> None:
    bench = Bench()
    bench.give(opening(1, [an_order(1)]))
    bench.epoch = Epoch(2)
    bench.give(an_order(2))

    assert bench.nodes.epochs == [1, 1]


def test_asking_whether_a_host_lives_needs_no_session_and_may_fail() -> None:
    bench = Bench()
    bench.nodes.mishaps = [silence()]

    bench.give(CheckAlive(host(1)), CheckAlive(host(2)))

    assert bench.nodes.checked == [("n2", 1)]


MEMORY = DeleteSpent(InstanceId(7), Spent("7-1", memory=True))
DISKS = DeleteSpent(InstanceId(7), Spent("7-a1"))


def test_what_is_spent_is_deleted_again_until_the_image_store_lets_it() -> None:
    bench = Bench()
    bench.images.mishaps = [ImagesFailed("Stale file handle.")] * 3

    bench.give(MEMORY, DISKS)
    at_once = list(bench.deleted)
    bench.let_pass(10)

    assert at_once == []
    assert sorted(bench.images.deleted) == ["7-1", "7-a1.disks"]
    assert sorted(bench.deleted, key=str) == [MEMORY, DISKS]


def test_what_must_not_be_deleted_is_left_and_not_owed_any_more() -> None:
    bench = Bench()
    bench.images.mishaps = [Refused("That is no name of saved memory.")]
    strange = DeleteSpent(InstanceId(7), Spent("../images/web", memory=True))

    bench.give(strange)
    bench.let_pass(60)

    assert bench.images.deleted == []
    assert bench.deleted == [strange]


def test_after_stop_nothing_is_sent() -> None:
    bench = Bench()
    bench.nodes.mishaps = [silence()]
    bench.give(opening(1, [an_order(1)]))

    bench.dispatch.stop()
    bench.give(an_order(2))
    bench.let_pass(60)

    assert bench.nodes.calls == 1
