"""What a node's words mean, for one instance and for a whole inventory."""

from dataclasses import replace

import pytest

from domain.befalling import ELSEWHERE, HERE, THERE, a_record, an_event, kinds
from tashi.domain import events as e
from tashi.domain.guest import Ending, Guest, GuestState, Inventory
from tashi.domain.identity import Attempt, HostId, InstanceId, Operation, Session
from tashi.domain.instance import Instance, OnExit, OnLoss
from tashi.domain.instructions import NodeOrder
from tashi.domain.reconciliation import (
    Findings,
    applies,
    burial,
    compare,
    ending,
    gone,
    leaves_something,
    meaning,
)
from tashi.domain.states import InstanceState, Order
from tashi.domain.transitions import step

S = InstanceState
G = GuestState
NEXT = InstanceId(10)


def ended(how: Ending = Ending.CRASHED, host: HostId = HERE) -> e.GuestEnded:
    event = an_event(e.GuestEnded, how=how, host_id=host)
    assert isinstance(event, e.GuestEnded)
    return event


def a_report(kind: type[e.Event], **changes: object) -> e.Report:
    event = an_event(kind, **{"operation": Operation(7), **changes})
    assert isinstance(event, e.Report)
    return event


def a_guest(state: GuestState, number: int = 1, attempt: int = 1) -> Guest:
    return Guest(InstanceId(number), Attempt(attempt), Operation(7), state)


def compared(records: list[Instance], *guests: Guest, host: HostId = HERE) -> Findings:
    return compare(records, host, Inventory(Session(1), guests), lambda key: key < NEXT)


def kinds_found(records: list[Instance], *guests: Guest) -> list[type[e.Event]]:
    return [type(event) for _, event in compared(records, *guests).events]


# ---- the end of a guest -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "there", "whole"),
    [
        (e.SourceLeft, True, True),
        (e.SourceLeft, False, False),
        (e.SourceGone, True, False),
        (e.SourceGone, False, False),
    ],
)
def test_what_a_target_has_is_whole_if_the_source_said_that_it_had_left(
    how: type[e.Event], there: bool, whole: bool
) -> None:
    crossing = replace(a_record(S.MIGRATE_TRANS), host_id=HERE, target_id=THERE, incoming="there:1")
    arrived = step(crossing, an_event(how, host_id=HERE)).record

    event = ending(arrived, replace(ended(host=THERE), disks_remain=there), 5.0)

    assert isinstance(event, e.GoneRestart)
    assert event.disks_remain is whole


@pytest.mark.parametrize(
    ("state", "on_exit", "keep", "becomes"),
    [
        (S.RUNNING, OnExit.FORGET, False, e.GuestExited),
        (S.RUNNING, OnExit.STOP, False, e.GuestStopped),
        (S.RUNNING, OnExit.RESTART, False, e.GuestRestart),
        (S.RUNNING, OnExit.FORGET, True, e.GuestExited),
        (S.SHUTTING_DOWN, OnExit.FORGET, False, e.GuestExited),
        (S.SHUTTING_DOWN, OnExit.STOP, False, e.GuestStopped),
        (S.SHUTTING_DOWN, OnExit.RESTART, False, e.GuestStopped),
        (S.SHUTTING_DOWN, OnExit.FORGET, True, e.GuestStopped),
        (S.DESTROYING, OnExit.RESTART, True, e.GuestExited),
    ],
)
def test_a_guest_that_powers_off_ends_as_its_owner_wished(
    state: InstanceState, on_exit: OnExit, keep: bool, becomes: type[e.Event]
) -> None:
    record = a_record(state, 1, on_exit=on_exit, keep=keep)

    event = ending(record, ended(Ending.POWERED_OFF), lasted=5.0)

    assert type(event) is becomes


def test_a_guest_that_is_to_run_again_says_how_long_it_lasted() -> None:
    record = a_record(S.RUNNING, 1, on_exit=OnExit.RESTART)

    event = ending(record, ended(Ending.POWERED_OFF), lasted=5.0)

    assert isinstance(event, e.GuestRestart)
    assert event.lasted == 5.0


@pytest.mark.parametrize(
    ("state", "on_exit", "on_loss", "keep", "becomes"),
    [
        (S.RUNNING, OnExit.FORGET, OnLoss.RESTART, False, e.GoneRestart),
        (S.PAUSED, OnExit.FORGET, OnLoss.STOP, False, e.GoneStop),
        (S.SUSPENDING, OnExit.FORGET, OnLoss.FORGET, False, e.GoneForget),
        (S.SHUTTING_DOWN, OnExit.FORGET, OnLoss.RESTART, False, e.GoneForget),
        (S.SHUTTING_DOWN, OnExit.RESTART, OnLoss.RESTART, False, e.GoneStop),
        (S.SHUTTING_DOWN, OnExit.FORGET, OnLoss.RESTART, True, e.GoneStop),
        (S.ACTIVATING, OnExit.FORGET, OnLoss.RESTART, False, e.StartLost),
        (S.RESUMING, OnExit.FORGET, OnLoss.RESTART, False, e.StartLost),
        (S.DESTROYING, OnExit.FORGET, OnLoss.RESTART, False, e.GoneForget),
    ],
)
def test_a_guest_that_is_lost_ends_as_its_owner_wished(
    state: InstanceState, on_exit: OnExit, on_loss: OnLoss, keep: bool, becomes: type[e.Event]
) -> None:
    record = a_record(state, 1, on_exit=on_exit, on_loss=on_loss, keep=keep)

    event = gone(record, HERE, "fenced", lasted=5.0, disks_remain=False)

    assert type(event) is becomes


def test_a_guest_that_crashed_leaves_its_disks() -> None:
    event = ending(a_record(S.RUNNING, 1), ended(), lasted=5.0)

    assert isinstance(event, e.GoneRestart)
    assert (event.disks_remain, event.lasted, event.words) == (True, 5.0, "so it is")


@pytest.mark.parametrize(
    ("state", "host", "how", "becomes"),
    [
        (S.MIGRATE_PREP, HERE, Ending.CRASHED, e.GoneRestart),
        (S.MIGRATE_PREP, HERE, Ending.POWERED_OFF, e.GuestExited),
        (S.MIGRATE_PREP, THERE, Ending.CRASHED, e.TargetGone),
        (S.MIGRATE_TRANS, HERE, Ending.CRASHED, e.SourceGone),
        (S.MIGRATE_TRANS, HERE, Ending.POWERED_OFF, e.GuestExited),
        (S.MIGRATE_TRANS, THERE, Ending.CRASHED, e.TargetGone),
        (S.MIGRATE_TRANS, THERE, Ending.POWERED_OFF, e.TargetGone),
        (S.DESTROYING, HERE, Ending.KILLED, e.OneGone),
        (S.DESTROYING, THERE, Ending.POWERED_OFF, e.OneGone),
    ],
)
def test_of_two_hosts_one_may_lose_the_guest(
    state: InstanceState, host: HostId, how: Ending, becomes: type[e.Event]
) -> None:
    event = ending(a_record(state, 2), ended(how, host), lasted=5.0)

    assert type(event) is becomes


@pytest.mark.parametrize(
    ("on_loss", "becomes", "then"),
    [
        (OnLoss.RESTART, e.GoneRestart, S.PENDING),
        (OnLoss.STOP, e.GoneStop, S.STOPPED),
        (OnLoss.FORGET, e.GoneForget, S.EXITED),
    ],
)
def test_a_source_that_ended_before_it_was_told_to_send_leaves_its_disks(
    on_loss: OnLoss, becomes: type[e.Event], then: InstanceState
) -> None:
    record = a_record(S.MIGRATE_TRANS, 2, on_loss=on_loss)
    unaware = replace(ended(), operation=Operation(record.operation - 1))

    event = ending(record, unaware, lasted=5.0)
    after = step(record, event)

    assert type(event) is becomes
    assert (after.record.state, after.record.hosts) == (then, ())
    assert HERE in {after.record.disks_on, *after.record.leftovers}
    assert (THERE, Order.KILL) in {
        (one.host_id, one.order) for one in after.instructions if isinstance(one, NodeOrder)
    }


def test_most_reports_mean_what_they_say() -> None:
    report = a_report(e.PauseDone)

    assert meaning(a_record(S.PAUSING, 1), report, lasted=0.0) is report


def test_the_end_of_a_guest_means_what_its_owner_wished() -> None:
    event = meaning(a_record(S.RUNNING, 1), ended(), lasted=0.0)

    assert type(event) is e.GoneRestart


def test_a_source_that_has_left_is_the_last_one_once_the_target_has_nothing() -> None:
    report = a_report(e.SourceLeft)

    last = meaning(a_record(S.DESTROYING, 1), report, lasted=0.0)
    first = meaning(a_record(S.DESTROYING, 2), report, lasted=0.0)

    assert type(last) is e.GuestExited
    assert first is report


# ---- whether a report counts --------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(kinds(e.Report), key=str))
def test_a_report_about_no_instance_or_another_attempt_does_not_apply(
    kind: type[e.Event],
) -> None:
    record = a_record(S.RUNNING, 1, leftovers=(THERE,))

    assert not applies(None, a_report(kind))
    assert not applies(record, a_report(kind, attempt=Attempt(2)))


def test_a_report_from_a_host_that_is_not_in_the_record_does_not_apply() -> None:
    assert not applies(a_record(S.PAUSING, 1), a_report(e.PauseDone, host_id=THERE))


def test_both_hosts_of_a_migration_are_heard() -> None:
    record = a_record(S.MIGRATE_TRANS, 2)

    assert applies(record, a_report(e.SourceLeft, host_id=HERE))
    assert applies(record, a_report(e.Arrived, host_id=THERE))


@pytest.mark.parametrize(
    ("report", "counts"),
    [
        (a_report(e.PauseDone, operation=Operation(6)), False),
        (a_report(e.SeenPaused, operation=Operation(6)), True),
        (a_report(e.GuestEnded, operation=Operation(6), how=Ending.CRASHED), True),
        (a_report(e.GuestEnded, operation=Operation(6), how=Ending.POWERED_OFF), True),
        (a_report(e.GuestEnded, operation=Operation(6), how=Ending.KILLED), False),
        (a_report(e.GuestEnded, operation=Operation(7), how=Ending.KILLED), True),
    ],
)
def test_the_outcome_of_an_earlier_operation_does_not_count_but_what_happens_does(
    report: e.Report, counts: bool
) -> None:
    assert applies(a_record(S.PAUSING, 1), report) is counts


def test_disks_are_stored_by_the_host_that_has_them_whatever_was_asked_since() -> None:
    record = a_record(S.PENDING, disks_on=HERE)

    assert applies(record, a_report(e.DisksStored, operation=Operation(3)))
    assert not applies(record, a_report(e.DisksStored, host_id=THERE))
    assert not applies(record, a_report(e.DisksStored, attempt=Attempt(2)))


def test_a_host_that_owes_a_clearing_when_it_is_buried_owes_nothing_more() -> None:
    record = a_record(S.SUSPENDED, leftovers=(HERE,), stored="1-7")

    assert burial(record, HERE, "It burnt.", ()) == e.LeftoversLost(host_id=HERE, words="It burnt.")


def test_a_host_may_clear_what_it_was_asked_to_and_nothing_else() -> None:
    record = a_record(S.EXITED, leftovers=(HERE,))

    assert applies(record, a_report(e.Cleared))
    assert not applies(record, a_report(e.Cleared, host_id=THERE))


@pytest.mark.parametrize("kind", sorted(kinds(e.Report), key=str))
def test_only_few_reports_say_that_nothing_is_left(kind: type[e.Event]) -> None:
    nothing = {e.StartFailed, e.MemorySpent, e.TargetFailed, e.Cleared, e.SourceLeft}

    assert leaves_something(a_report(kind)) == (kind not in nothing)


def test_a_guest_that_was_killed_leaves_nothing() -> None:
    assert not leaves_something(ended(Ending.KILLED))
    assert leaves_something(ended(Ending.POWERED_OFF))


# ---- inventories --------------------------------------------------------------------------------


def test_what_is_as_the_books_say_is_no_difference() -> None:
    records = [a_record(S.RUNNING, 1)]

    assert compared(records, a_guest(G.RUNNING)) == Findings((), (), ())


@pytest.mark.parametrize(
    "state",
    [
        S.RUNNING, S.PAUSING, S.PAUSED, S.UNPAUSING, S.SHUTTING_DOWN, S.MIGRATE_TRANS,
    ],
)  # fmt: skip
def test_a_guest_that_is_not_there_is_gone(state: InstanceState) -> None:
    record = a_record(state, 1, on_loss=OnLoss.STOP, keep=True)

    assert kinds_found([record]) == [e.GoneStop]


def test_what_is_not_there_has_no_disks_there_either() -> None:
    [(key, event)] = compared([a_record(S.RUNNING, 1)]).events

    assert key == 1
    assert isinstance(event, e.GoneRestart)
    assert not event.disks_remain


def test_a_guest_of_another_attempt_is_not_the_one_and_is_ended() -> None:
    other = a_guest(G.RUNNING, attempt=0)

    findings = compared([a_record(S.RUNNING, 1)], other)

    assert [type(event) for _, event in findings.events] == [e.GoneRestart]
    assert findings.surplus == (other,)


@pytest.mark.parametrize("state", [S.ACTIVATING, S.RESUMING, S.SUSPENDING])
def test_a_guest_of_an_earlier_attempt_is_the_business_of_an_order_on_its_way(
    state: InstanceState,
) -> None:
    assert compared([a_record(state, 1)], a_guest(G.GONE, attempt=0)) == Findings((), (), ())


@pytest.mark.parametrize("state", [S.ACTIVATING, S.RESUMING, S.SUSPENDING, S.DESTROYING])
def test_nothing_is_concluded_while_the_node_still_has_to_answer(state: InstanceState) -> None:
    assert kinds_found([a_record(state, 1)]) == []


def test_the_absence_of_saved_memory_is_not_concluded_from_the_absence_of_its_guest() -> None:
    assert kinds_found([a_record(S.SUSPENDING, 1)]) == []


def test_a_source_without_the_guest_has_lost_it_before_memory_crosses() -> None:
    assert kinds_found([a_record(S.MIGRATE_PREP, 2)]) == [e.GoneRestart]


def test_while_memory_crosses_absence_proves_nothing() -> None:
    assert kinds_found([a_record(S.MIGRATE_TRANS, 2)]) == []


def test_a_target_that_is_not_ready_yet_lacks_nothing() -> None:
    record = a_record(S.MIGRATE_PREP, 2)

    assert compared([record], host=THERE) == Findings((), (), ())


def test_an_orphan_of_another_session_is_left_alone() -> None:
    assert kinds_found([a_record(S.ORPHANED, 1, was=S.RUNNING)]) == []


def test_a_guest_that_froze_or_thawed_unseen_is_seen() -> None:
    assert kinds_found([a_record(S.RUNNING, 1)], a_guest(G.FROZEN)) == [e.SeenPaused]
    assert kinds_found([a_record(S.PAUSED, 1)], a_guest(G.RUNNING)) == [e.SeenRunning]
    assert kinds_found([a_record(S.PAUSED, 1)], a_guest(G.FROZEN)) == []


def test_a_guest_without_a_record_is_surplus_unless_its_id_was_never_given() -> None:
    past, future = a_guest(G.RUNNING, 9), a_guest(G.RUNNING, 10)

    findings = compared([], past, future)

    assert findings.surplus == (past,)
    assert findings.beyond == (future,)


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (a_record(S.RUNNING, 1), True),
        (a_record(S.MIGRATE_PREP, 2, host_id=THERE, target_id=HERE), True),
        (a_record(S.STOPPED, disks_on=HERE), True),
        (a_record(S.EXITED, leftovers=(HERE,)), True),
        (a_record(S.RUNNING, 1, attempt=Attempt(0)), False),
        (a_record(S.RUNNING, 1, host_id=THERE), False),
        (a_record(S.STOPPED, disks_on=ELSEWHERE), False),
    ],
)
def test_a_guest_that_nobody_wants_there_is_surplus(record: Instance, wanted: bool) -> None:
    guest = a_guest(G.GONE)

    assert compared([record], guest).surplus == (() if wanted else (guest,))
