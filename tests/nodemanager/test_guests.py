"""What orders, outcomes and happenings make of a guest, as its node remembers it."""

from typing import Any

import pytest
from msgspec.structs import replace

from tashi.domain.guest import Ending, GuestState
from tashi.domain.states import InstanceState, Order
from tashi.nodemanager import guests
from tashi.nodemanager.guests import Do, Note, Step
from tashi.wire.forms import DiskForm, InstanceForm, NicForm, OrderForm, ReportForm

NIC = NicForm(1, "52:54:00:00:00:07", "10.0.2.15")


def an_order(order: Order, operation: int = 2, attempt: int = 1, **record: Any) -> OrderForm:
    disks = (DiskForm("web"),)
    instance = InstanceForm(7, "web", 1000, 1, 128, disks, **record)
    return OrderForm(order, 7, attempt, operation, instance)


def a_note(state: GuestState = GuestState.RUNNING, **more: Any) -> Note:
    return Note(7, 1, 1, state, **more)


GONE = a_note(GuestState.GONE)
CLEARED = a_note(GuestState.GONE, cleared=True)


def took(note: Note | None, order: OrderForm) -> Step:
    step = guests.ordered(note, order)
    assert step is not None
    return step


def done(note: Note | None, order: OrderForm, kind: str, **more: Any) -> Step:
    """The order taken up, carried out and concluded with that outcome."""
    step = took(note, order)
    outcome = replace(guests.success(order, kind), **more)
    return guests.concluded(step.note, order, outcome)


def kinds(step: Step) -> list[str]:
    return [report.kind for report in step.reports]


# ---- what an order makes of a guest -----------------------------------------------------------


@pytest.mark.parametrize(
    ("note", "record", "do"),
    [
        (None, {}, Do.START),
        (CLEARED, {}, Do.START),
        (GONE, {"disks_on": 1}, Do.START),
        (GONE, {}, Do.REPLACE),
        (a_note(), {}, Do.REPLACE),
        (a_note(), {"disks_on": 1}, Do.REPLACE),
    ],
)
def test_a_start_goes_on_with_the_disks_it_is_to_keep_and_clears_away_all_else(
    note: Note | None, record: dict[str, Any], do: Do
) -> None:
    step = took(note, an_order(Order.START, attempt=2, **record))

    assert step.do is do
    assert (step.note.state, step.note.attempt) == (GuestState.STARTING, 2)
    assert step.reports == ()


@pytest.mark.parametrize(
    ("order", "state", "do"),
    [
        (Order.PAUSE, GuestState.RUNNING, Do.PAUSE),
        (Order.PAUSE, GuestState.FROZEN, Do.PAUSE),
        (Order.UNPAUSE, GuestState.FROZEN, Do.UNPAUSE),
        (Order.POWER_DOWN, GuestState.RUNNING, Do.POWER_DOWN),
        (Order.SAVE, GuestState.RUNNING, Do.SAVE),
        (Order.SEND, GuestState.RUNNING, Do.SEND),
        (Order.RUN, GuestState.RECEIVING, Do.RUN),
        (Order.KILL, GuestState.RUNNING, Do.KILL),
        (Order.KILL, GuestState.GONE, Do.KILL),
        (Order.FORGET, GuestState.GONE, Do.CLEAR),
        (Order.CANCEL_SEND, GuestState.SENDING, Do.CANCEL),
        (Order.CANCEL_SEND, GuestState.RUNNING, None),
        (Order.PREPARE_TARGET, GuestState.GONE, Do.PREPARE),
    ],
)
def test_an_order_that_fits_is_done(order: Order, state: GuestState, do: Do | None) -> None:
    step = took(a_note(state), an_order(order))

    assert step.do is do
    assert step.reports == ()
    assert step.note.operation == 2


@pytest.mark.parametrize("order", [Order.PAUSE, Order.UNPAUSE, Order.SEND, Order.RUN])
def test_an_order_to_a_guest_that_is_not_there_is_answered_with_its_end(order: Order) -> None:
    kept, nothing = took(GONE, an_order(order)), took(None, an_order(order))

    assert (kept.do, nothing.do) == (None, None)
    assert (kinds(kept), kinds(nothing)) == (["GuestEnded"], ["GuestEnded"])
    assert (kept.reports[0].disks_remain, nothing.reports[0].disks_remain) == (True, False)


def test_a_guest_that_stands_still_is_not_sent_and_it_is_said_why() -> None:
    step = took(a_note(GuestState.FROZEN), an_order(Order.SEND))

    assert (step.do, kinds(step)) == (None, ["MoveFailed", "SeenPaused"])
    assert step.note.state is GuestState.FROZEN
    assert step.note.unheard == step.reports


@pytest.mark.parametrize("note", [None, CLEARED])
@pytest.mark.parametrize(("order", "kind"), [(Order.KILL, "GuestEnded"), (Order.FORGET, "Cleared")])
def test_what_is_cleared_away_is_not_cleared_again(
    note: Note | None, order: Order, kind: str
) -> None:
    step = took(note, an_order(order))

    assert (step.do, kinds(step)) == (None, [kind])
    assert step.note.cleared


@pytest.mark.parametrize("kind", ["Saved", "SourceLeft"])
def test_a_kill_is_answered_with_what_nobody_has_heard_yet(kind: str) -> None:
    first = ReportForm(kind, 7, 1, 1, saved="7-1")

    step = took(replace(GONE, unheard=(first,)), an_order(Order.KILL))

    assert step.do is None
    assert step.reports == (replace(first, operation=2),)


# ---- repeats and the past -----------------------------------------------------------------------


def test_an_order_under_way_stays_so_when_it_is_repeated() -> None:
    order = an_order(Order.PAUSE)
    first = took(a_note(), order)

    again = took(first.note, order)

    assert (again.do, again.reports) == (None, ())
    assert again.note == first.note


def test_an_order_that_was_answered_gets_its_first_answer_again() -> None:
    order = an_order(Order.PAUSE)
    first = done(a_note(), order, "PauseDone")
    heard = guests.heard(first.note, first.reports[0])

    again = took(heard, order)

    assert again.do is None
    assert again.reports == first.reports


@pytest.mark.parametrize("order", list(Order))
def test_an_order_of_an_operation_before_the_last_is_of_the_past(order: Order) -> None:
    note = took(a_note(), an_order(Order.PAUSE, operation=5)).note

    assert guests.ordered(note, an_order(order, operation=4)) is None


def test_another_order_of_the_same_operation_is_carried_out() -> None:
    ended = guests.ended(a_note(), Ending.POWERED_OFF, "").note

    step = took(ended, an_order(Order.FORGET, operation=1))

    assert step.do is Do.CLEAR


@pytest.mark.parametrize("order", [Order.KILL, Order.FORGET])
def test_the_repeat_of_a_kill_or_clearing_that_failed_is_another_try(order: Order) -> None:
    asked = an_order(order)
    first = took(a_note(), asked)
    failed = guests.concluded(first.note, asked, guests.failure(asked, "It will not die."))

    again = took(failed.note, asked)

    assert (failed.reports, failed.note.doing) == ((), None)
    assert again.do is first.do


def test_a_late_outcome_of_an_earlier_operation_leaves_the_present_order_under_way() -> None:
    pause, kill = an_order(Order.PAUSE, 2), an_order(Order.KILL, 3)
    killing = took(took(a_note(), pause).note, kill).note

    step = guests.concluded(killing, pause, guests.success(pause, "PauseDone"))

    assert step.note.doing == kill
    assert "pause" not in step.note.answered
    assert kinds(step) == ["PauseDone"]


# ---- outcomes -----------------------------------------------------------------------------------


def test_a_guest_that_started_is_known_by_its_process_and_its_cards() -> None:
    step = done(None, an_order(Order.START), "Started", vm_id=4711, nics=(NIC,))

    assert step.note.state is GuestState.RUNNING
    assert (step.note.vm_id, step.note.nics) == (4711, (NIC,))
    assert step.note.doing is None
    assert step.note.unheard == step.reports


@pytest.mark.parametrize(
    ("before", "order", "outcome", "state"),
    [
        (GuestState.RUNNING, Order.PAUSE, "PauseDone", GuestState.FROZEN),
        (GuestState.RUNNING, Order.PAUSE, "PauseFailed", GuestState.RUNNING),
        (GuestState.FROZEN, Order.UNPAUSE, "UnpauseDone", GuestState.RUNNING),
        (GuestState.FROZEN, Order.UNPAUSE, "UnpauseFailed", GuestState.FROZEN),
        (GuestState.RUNNING, Order.SAVE, "SaveFailed", GuestState.RUNNING),
        (GuestState.RUNNING, Order.SAVE, "Saved", GuestState.GONE),
        (GuestState.RUNNING, Order.SEND, "MoveFailed", GuestState.RUNNING),
        (GuestState.RUNNING, Order.SEND, "SourceLeft", GuestState.GONE),
        (GuestState.GONE, Order.PREPARE_TARGET, "TargetReady", GuestState.RECEIVING),
        (GuestState.GONE, Order.PREPARE_TARGET, "TargetFailed", GuestState.GONE),
        (GuestState.RECEIVING, Order.RUN, "Arrived", GuestState.RUNNING),
        (GuestState.RUNNING, Order.KILL, "GuestEnded", GuestState.GONE),
        (GuestState.GONE, Order.FORGET, "Cleared", GuestState.GONE),
        (GuestState.GONE, Order.START, "StartFailed", GuestState.GONE),
        (GuestState.GONE, Order.RESTORE, "MemorySpent", GuestState.GONE),
    ],
)
def test_what_came_of_an_order_is_what_the_guest_then_does(
    before: GuestState, order: Order, outcome: str, state: GuestState
) -> None:
    step = done(a_note(before), an_order(order), outcome)

    assert step.note.state is state
    assert kinds(step) == [outcome]


@pytest.mark.parametrize(
    ("order", "outcome"),
    [
        (Order.PAUSE, "PauseDone"),
        (Order.PAUSE, "PauseFailed"),
        (Order.UNPAUSE, "UnpauseDone"),
        (Order.UNPAUSE, "UnpauseFailed"),
        (Order.SAVE, "SaveFailed"),
        (Order.SEND, "MoveFailed"),
    ],
)
def test_no_outcome_calls_a_guest_back_that_ended_meanwhile(order: Order, outcome: str) -> None:
    asked = an_order(order)
    ended = guests.ended(took(a_note(), asked).note, Ending.CRASHED, "QEMU was killed.")

    step = guests.concluded(ended.note, asked, guests.success(asked, outcome))

    assert step.note.state is GuestState.GONE
    assert took(step.note, an_order(Order.START, 3, 2, disks_on=1)).do is Do.START


@pytest.mark.parametrize(
    ("order", "record", "outcome", "cleared"),
    [
        (Order.START, {}, {"kind": "StartFailed"}, True),
        (Order.START, {"disks_on": 1}, {"kind": "StartFailed"}, False),
        (Order.RESTORE, {"disks_on": 1}, {"kind": "MemorySpent"}, False),
        (Order.PREPARE_TARGET, {}, {"kind": "TargetFailed"}, True),
        (Order.SAVE, {}, {"kind": "Saved"}, False),
        (Order.SEND, {}, {"kind": "SourceLeft"}, True),
        (Order.KILL, {}, {"kind": "GuestEnded", "how": Ending.KILLED}, True),
        (Order.RUN, {}, {"kind": "GuestEnded", "disks_remain": False}, True),
        (Order.RUN, {}, {"kind": "GuestEnded", "disks_remain": True}, False),
        (Order.FORGET, {}, {"kind": "Cleared"}, True),
    ],
)
def test_a_note_knows_whether_anything_is_left_to_clear_away(
    order: Order, record: dict[str, Any], outcome: dict[str, Any], *, cleared: bool
) -> None:
    before = {Order.START: GONE, Order.RESTORE: GONE, Order.RUN: a_note(GuestState.RECEIVING)}

    step = done(before.get(order, a_note()), an_order(order, **record), **outcome)

    assert step.note.cleared is cleared


@pytest.mark.parametrize(("first", "end"), [(Order.FORGET, "Cleared"), (Order.KILL, "GuestEnded")])
@pytest.mark.parametrize("then", [Order.START, Order.RESTORE, Order.PREPARE_TARGET])
def test_what_became_of_the_guest_before_is_not_what_becomes_of_the_next(
    first: Order, end: str, then: Order
) -> None:
    clearing, starting = an_order(first, 2), an_order(then, 3, attempt=2)
    taken = took(took(GONE, clearing).note, starting)

    ended = replace(guests.success(clearing, end), how=Ending.KILLED)
    late = guests.concluded(taken.note, clearing, ended)
    runs = guests.concluded(late.note, starting, guests.success(starting, "Started")).note

    assert late.note.doing == starting
    assert not late.note.cleared
    assert took(runs, an_order(Order.KILL, 4)).do is Do.KILL


def test_what_is_cleared_is_forgotten_once_it_was_heard() -> None:
    step = done(a_note(), an_order(Order.KILL), "GuestEnded", how=Ending.KILLED)

    heard = guests.heard(step.note, step.reports[0])

    assert not step.note.is_over
    assert heard.is_over


def test_a_report_that_was_made_twice_is_owed_until_it_was_heard_twice() -> None:
    frozen = guests.seen(a_note(), GuestState.FROZEN, "Its disk is full.").note
    thawed = guests.seen(frozen, GuestState.RUNNING, "").note
    note = guests.seen(thawed, GuestState.FROZEN, "Its disk is full.").note

    once = guests.heard(note, note.unheard[0])
    unknown = guests.heard(once, ReportForm("Cleared", 7, 1, 1))

    assert [one.kind for one in note.unheard] == ["SeenPaused", "SeenRunning", "SeenPaused"]
    assert [one.kind for one in once.unheard] == ["SeenRunning", "SeenPaused"]
    assert unknown == once


# ---- what happens by itself ---------------------------------------------------------------------


def test_a_guest_that_ends_by_itself_keeps_its_disks_and_is_reported_once() -> None:
    first = guests.ended(a_note(vm_id=4711), Ending.POWERED_OFF, "It powered itself off.")
    second = guests.ended(first.note, Ending.CRASHED, "")

    assert kinds(first) == ["GuestEnded"]
    assert (first.reports[0].how, first.reports[0].disks_remain) == (Ending.POWERED_OFF, True)
    assert (first.note.state, first.note.vm_id, first.note.cleared) == (
        GuestState.GONE,
        None,
        False,
    )
    assert second == Step(first.note)


def test_the_disks_of_a_guest_that_ends_while_it_is_received_are_there() -> None:
    step = guests.ended(a_note(GuestState.RECEIVING), Ending.CRASHED, "")

    assert step.reports[0].disks_remain
    assert not step.note.cleared


@pytest.mark.parametrize(
    ("before", "seen", "kind"),
    [
        (GuestState.RUNNING, GuestState.FROZEN, "SeenPaused"),
        (GuestState.FROZEN, GuestState.RUNNING, "SeenRunning"),
    ],
)
def test_a_guest_that_freezes_or_thaws_by_itself_is_reported(
    before: GuestState, seen: GuestState, kind: str
) -> None:
    step = guests.seen(a_note(before), seen, "Its disk is full.")

    assert kinds(step) == [kind]
    assert step.note.state is seen


@pytest.mark.parametrize(
    ("before", "seen"),
    [
        (GuestState.RUNNING, GuestState.RUNNING),
        (GuestState.FROZEN, GuestState.FROZEN),
        (GuestState.GONE, GuestState.RUNNING),
        (GuestState.SAVING, GuestState.FROZEN),
        (GuestState.SENDING, GuestState.FROZEN),
    ],
)
def test_what_is_known_or_expected_is_no_news(before: GuestState, seen: GuestState) -> None:
    note = a_note(before)

    assert guests.seen(note, seen, "") == Step(note)


def test_an_inventory_lists_what_the_note_says() -> None:
    line = guests.listed(a_note(GuestState.FROZEN, vm_id=4711))

    assert (line.instance_id, line.attempt, line.operation) == (7, 1, 1)
    assert (line.state, line.vm_id) == (GuestState.FROZEN, 4711)


def test_the_failure_of_a_run_is_the_end_of_a_guest_whose_disks_are_there() -> None:
    run = guests.failure(an_order(Order.RUN), "Not all of it has arrived.")
    save = guests.failure(an_order(Order.SAVE), "The share is full.")

    assert run is not None
    assert save is not None
    assert (run.kind, run.disks_remain) == ("GuestEnded", True)
    assert (save.kind, save.words) == ("SaveFailed", "The share is full.")


def test_every_state_of_an_instance_that_implies_an_order_finds_it_in_the_table() -> None:
    for state in InstanceState:
        for order in Order:
            assert guests.ordered(None, an_order(order, state=state)) is not None
