"""Whom an entry of the table addresses, and what follows from a record as it stands."""

import pytest

from domain.befalling import HERE, THERE, a_record, an_event, records_in
from tashi.domain import events as e
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.instance import Instance, Spent
from tashi.domain.instructions import (
    Ask,
    DeleteSpent,
    NodeOrder,
    instruct,
    newly_spent,
    owed_deletions,
    standing_orders,
)
from tashi.domain.states import InstanceState, Order
from tashi.domain.transitions import RULES, step

S = InstanceState
MEMORY = Spent("1-7", memory=True)


def told(record: Instance) -> list[tuple[HostId, Order]]:
    return [(one.host_id, one.order) for one in standing_orders(record)]


def asked(ask: Ask, before: Instance, after: Instance) -> list[tuple[HostId, Order]]:
    found = instruct(ask, before, after)
    return [(one.host_id, one.order) for one in found if isinstance(one, NodeOrder)]


@pytest.mark.parametrize(
    ("state", "hosts", "orders"),
    [
        (S.PENDING, 0, []),
        (S.ACTIVATING, 1, [(HERE, Order.START)]),
        (S.RESUMING, 1, [(HERE, Order.RESTORE)]),
        (S.RUNNING, 1, []),
        (S.PAUSING, 1, [(HERE, Order.PAUSE)]),
        (S.UNPAUSING, 1, [(HERE, Order.UNPAUSE)]),
        (S.SUSPENDING, 1, [(HERE, Order.SAVE)]),
        (S.SHUTTING_DOWN, 1, [(HERE, Order.POWER_DOWN)]),
        (S.MIGRATE_PREP, 2, [(THERE, Order.PREPARE_TARGET)]),
        (S.MIGRATE_TRANS, 2, [(HERE, Order.SEND)]),
        (S.MIGRATE_TRANS, 1, [(HERE, Order.RUN)]),
        (S.DESTROYING, 1, [(HERE, Order.KILL)]),
        (S.DESTROYING, 2, [(HERE, Order.KILL), (THERE, Order.KILL)]),
        (S.ORPHANED, 2, []),
    ],
)
def test_an_order_follows_from_the_state(
    state: InstanceState, hosts: int, orders: list[tuple[HostId, Order]]
) -> None:
    assert told(a_record(state, hosts)) == orders


def test_what_is_over_is_to_be_forgotten_wherever_something_is_left() -> None:
    over = a_record(S.EXITED, leftovers=(HERE, THERE))

    assert told(over) == [(HERE, Order.FORGET), (THERE, Order.FORGET)]


@pytest.mark.parametrize("state", InstanceState)
def test_an_order_names_the_attempt_the_operation_and_the_record(state: InstanceState) -> None:
    for record in records_in(state):
        for order in standing_orders(record):
            numbers = (order.instance_id, order.attempt, order.operation)
            assert numbers == (record.id, record.attempt, record.operation)
            assert order.instance == record


@pytest.mark.parametrize(("state", "kind"), [pair for pair in RULES if pair[1] is e.Overdue])
def test_what_is_late_is_told_what_its_state_says(
    state: InstanceState, kind: type[e.Event]
) -> None:
    for record in records_in(state):
        late = an_event(kind, words="")
        assert step(record, late).instructions == standing_orders(record)


def test_a_target_that_was_left_is_still_known_to_its_order() -> None:
    before, after = a_record(S.MIGRATE_PREP, 2), a_record(S.RUNNING, 1)

    assert asked(Ask.KILL_TARGET, before, after) == [(THERE, Order.KILL)]
    assert asked(Ask.KILL_TARGET, after, after) == []


def test_a_source_that_was_left_is_told_to_forget() -> None:
    before = a_record(S.MIGRATE_TRANS, 2)
    after = a_record(S.RUNNING, 1, host_id=THERE)

    assert asked(Ask.FORGET_SOURCE, before, after) == [(HERE, Order.FORGET)]


def test_a_guest_that_had_moved_already_left_nobody_to_forget_it() -> None:
    moved = a_record(S.MIGRATE_TRANS, 1)

    assert instruct(Ask.FORGET_SOURCE, moved, moved) == ()


def test_what_is_newly_spent_is_deleted() -> None:
    saved = a_record(S.RESUMING, 1, saved="1-7", spent=(Spent("1-a2"),))
    running = a_record(S.RUNNING, 1, spent=(Spent("1-a2"), MEMORY))

    assert newly_spent(saved, running) == (DeleteSpent(InstanceId(1), MEMORY),)
    assert newly_spent(running, running) == ()


def test_everything_that_is_spent_is_owed() -> None:
    record = a_record(S.RUNNING, 1, spent=(Spent("1-a2"), MEMORY))

    assert [one.spent for one in owed_deletions(record)] == [Spent("1-a2"), MEMORY]


def test_forgetting_an_instance_deletes_its_saved_memory_too() -> None:
    asleep = a_record(S.SUSPENDED, saved="1-7", disks_on=HERE)

    result = step(asleep, an_event(e.Destroy))

    order, *deletions = result.instructions
    assert isinstance(order, NodeOrder)
    assert {one.spent for one in deletions if isinstance(one, DeleteSpent)} == {
        MEMORY,
        Spent("1-a1"),
    }


def test_whoever_is_not_in_the_record_is_told_nothing() -> None:
    assert instruct(Ask.START, a_record(S.PENDING), a_record(S.PENDING)) == ()
