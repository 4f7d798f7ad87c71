"""Orders about guests that are not on the machine any more, as after it was imaged anew."""

import pytest
from msgspec.structs import replace

from nodemanager.test_guests import GONE, a_note, an_order, took
from tashi.domain.guest import GuestState
from tashi.domain.states import Order
from tashi.nodemanager import guests
from tashi.nodemanager.guests import Do, Note


@pytest.mark.parametrize(("note", "remain"), [(None, False), (GONE, True)])
def test_of_a_guest_that_is_not_there_the_saved_memory_is_looked_for(
    note: Note | None, remain: bool
) -> None:
    order = an_order(Order.SAVE)
    step = took(note, order)

    saved = guests.concluded(step.note, order, replace(guests.success(order, "Saved"), saved="7-2"))
    ended = guests.concluded(step.note, order, guests.success(order, "GuestEnded"))

    assert step.do is Do.FIND_SAVED
    for end in (saved, ended):
        assert end.note.state is GuestState.GONE
        assert end.reports[0].disks_remain is remain
        assert end.note.cleared is not remain


def test_a_look_for_saved_memory_that_failed_is_taken_again_when_the_order_is_repeated() -> None:
    order = an_order(Order.SAVE)
    first = took(None, order)
    in_vain = guests.concluded(first.note, order, None)

    again = took(in_vain.note, order)

    assert in_vain.reports == ()
    assert again.do is Do.FIND_SAVED
    assert guests.again(first.note, order) is Do.FIND_SAVED


def test_a_start_whose_disks_are_gone_leaves_nothing_to_keep() -> None:
    order = an_order(Order.START, disks_on=1)
    failed = replace(guests.success(order, "StartFailed"), disks_remain=False)

    step = guests.concluded(took(GONE, order).note, order, failed)

    assert step.note.cleared


def test_a_guest_of_which_nothing_is_left_has_ended_without_its_disks() -> None:
    step = guests.vanished(a_note(GuestState.RUNNING))

    (report,) = step.reports
    assert (report.kind, report.disks_remain) == ("GuestEnded", False)
    assert step.note.cleared
    assert step.note.unheard == (report,)


def test_of_a_guest_that_had_ended_before_it_is_only_noted_that_nothing_is_kept() -> None:
    step = guests.vanished(GONE)

    assert step.reports == ()
    assert step.note.is_over
