"""What each edit changes in a record, and that it changes nothing else."""

from dataclasses import replace

import pytest

from domain.befalling import ELSEWHERE, HERE, THERE, a_record, an_event
from tashi.domain import events as e
from tashi.domain import notices as n
from tashi.domain.edits import EDITS, STEADY_SECONDS, Edit
from tashi.domain.errors import Broken
from tashi.domain.identity import HostId, NetworkId
from tashi.domain.instance import Devices, Disk, Instance, Listing, Nic, Spent
from tashi.domain.states import InstanceState as S

NIC = Nic(NetworkId(1), "52:54:00:00:00:01", "192.0.2.7")


def edited(edit: Edit, record: Instance, event: e.Event) -> dict[str, object]:
    """The fields that the edit changed, with their new values."""
    after = EDITS[edit](record, event)
    names = Instance.__dataclass_fields__
    return {
        name: getattr(after, name)
        for name in names
        if getattr(after, name) != getattr(record, name)
    }


def test_taking_a_host_is_a_new_attempt_that_keeps_nothing_asked_before() -> None:
    stopping = a_record(S.PENDING, keep=True)

    changed = edited(Edit.TAKE_HOST, stopping, an_event(e.Place, host_id=THERE))

    assert changed == {"host_id": THERE, "attempt": 2, "keep": False}


def test_leaving_a_host_takes_the_guest_with_it() -> None:
    changed = edited(Edit.LEAVE_HOST, a_record(S.RUNNING, 1, vm_id=5), an_event(e.GuestExited))

    assert changed == {"host_id": None, "vm_id": None}


def test_of_devices_on_their_way_in_or_out_a_guest_that_ends_keeps_none() -> None:
    boot, leaves, comes = Disk("boot"), Disk("leaves", port=1), Disk("comes", port=2)
    other = Nic(NetworkId(1), "52:54:00:00:00:02")
    asked = Listing(other.mac, NetworkId(1), "192.0.2.9")
    before = a_record(
        S.ALTERING,
        1,
        disks=(boot, leaves),
        nics=(NIC,),
        wanted=Devices(disks=(boot, comes), nics=(NIC, other)),
        listings=(asked,),
    )

    changed = edited(Edit.LEAVE_HOST, before, an_event(e.GuestRestart))

    assert changed == {"host_id": None, "disks": (boot,), "wanted": None, "listings": ()}


@pytest.mark.parametrize(
    ("gone", "changed"),
    [
        (HERE, {"host_id": THERE, "target_id": None}),
        (THERE, {"target_id": None}),
        (ELSEWHERE, {}),
    ],
)
def test_of_two_hosts_the_one_that_is_gone_is_left(
    gone: HostId, changed: dict[str, object]
) -> None:
    event = an_event(e.OneGone, host_id=gone)

    assert edited(Edit.LEAVE_THAT_HOST, a_record(S.DESTROYING, 2), event) == changed


def test_a_target_is_taken_and_left() -> None:
    event = an_event(e.Migrate, target_id=THERE)

    assert edited(Edit.TAKE_TARGET, a_record(S.RUNNING, 1), event) == {"target_id": THERE}
    assert edited(Edit.LEAVE_TARGET, a_record(S.MIGRATE_PREP, 2), event) == {"target_id": None}


def test_a_guest_moves_to_the_target_once() -> None:
    crossing, arrived = a_record(S.MIGRATE_TRANS, 2), a_record(S.MIGRATE_TRANS, 1)
    event = an_event(e.SourceLeft)

    moved = edited(Edit.MOVE_TO_TARGET, crossing, event)

    assert moved == {"host_id": THERE, "target_id": None}
    assert edited(Edit.MOVE_TO_TARGET, arrived, event) == {}


def test_a_guest_that_runs_is_noted_with_its_network_cards() -> None:
    with_disks = a_record(S.ACTIVATING, 1, disks_on=HERE)

    changed = edited(Edit.NOTE_VM, with_disks, an_event(e.Started, nics=(NIC,)))

    assert changed == {"vm_id": 4711, "nics": (NIC,), "disks_on": None}


def test_a_node_that_names_no_network_cards_leaves_those_known() -> None:
    known = a_record(S.ACTIVATING, 1, nics=(NIC,))

    assert edited(Edit.NOTE_VM, known, an_event(e.Started)) == {"vm_id": 4711}


def test_a_node_that_knows_no_address_does_not_make_one_forgotten() -> None:
    known = a_record(S.ACTIVATING, 1, nics=(NIC,), vm_id=4711)

    assert edited(Edit.NOTE_VM, known, an_event(e.Started, nics=(replace(NIC, ip=None),))) == {}


def test_an_address_is_noted_on_its_card_only() -> None:
    other = replace(NIC, mac="52:54:00:00:00:02", ip="192.0.2.8")
    before = a_record(S.RUNNING, 1, nics=(other, replace(NIC, ip="192.0.2.1")))

    noted = edited(Edit.NOTE_ADDRESS, before, an_event(e.SeenAddress))
    strange = an_event(e.SeenAddress, mac="52:54:00:00:00:09")

    assert noted == {"nics": (other, NIC)}
    assert edited(Edit.NOTE_ADDRESS, before, strange) == {}


def test_saved_memory_is_noted_and_dropped() -> None:
    saved = a_record(S.RESUMING, 1, saved="1-7")

    assert edited(Edit.NOTE_SAVED, a_record(S.SUSPENDING, 1), an_event(e.Saved)) == {"saved": "1-7"}
    assert edited(Edit.DROP_SAVED, saved, an_event(e.Started)) == {
        "saved": None,
        "spent": (Spent("1-7", memory=True),),
    }
    assert edited(Edit.DROP_SAVED, a_record(S.RESUMING, 1), an_event(e.Started)) == {}


def test_stored_disks_are_spent_once_a_guest_runs_with_them() -> None:
    before = a_record(S.ACTIVATING, 1, stored="1-a1", spent=(Spent("1-a0"),))

    changed = edited(Edit.NOTE_VM, before, an_event(e.Started))

    assert (changed["stored"], changed["spent"]) == (None, (Spent("1-a0"), Spent("1-a1")))


def test_disks_that_a_host_is_yet_to_store_are_not_wanted_once_it_goes_on_with_them() -> None:
    kept = a_record(S.PENDING, disks_on=HERE)
    stored = a_record(S.PENDING, stored="1-a1")

    assert edited(Edit.TAKE_HOST, kept, an_event(e.Place))["spent"] == (Spent("1-a1"),)
    assert "spent" not in edited(Edit.TAKE_HOST, stored, an_event(e.Place))


@pytest.mark.parametrize(
    ("edit", "event"), [(Edit.LEAVE_HOST, e.GoneRestart), (Edit.WILL_NOT_SAVE, e.Destroy)]
)
def test_memory_that_was_being_saved_for_nobody_is_spent(edit: Edit, event: type[e.Event]) -> None:
    saving = a_record(S.SUSPENDING, 1)
    orphan = a_record(S.ORPHANED, 1, was=S.SUSPENDING)
    memory = (Spent("1-7", memory=True),)

    assert edited(edit, saving, an_event(event))["spent"] == memory
    assert edited(edit, orphan, an_event(event))["spent"] == memory
    assert "spent" not in edited(edit, a_record(S.RUNNING, 1), an_event(event))
    assert "spent" not in edited(Edit.LEAVE_HOST, saving, an_event(e.Saved))


def test_what_is_deleted_is_owed_no_more() -> None:
    before = a_record(S.RUNNING, 1, spent=(Spent("1-a1"), Spent("1-a1", memory=True)))

    changed = edited(Edit.CROSS_OUT, before, an_event(n.Deleted))

    assert changed == {"spent": (Spent("1-a1", memory=True),)}
    assert edited(Edit.DISCARD, before, an_event(n.Discarded)) == {}


def test_what_an_orphan_was_is_remembered() -> None:
    changed = edited(Edit.NOTE_WAS, a_record(S.PAUSED, 1), an_event(e.HostLost))

    assert changed == {"was": S.PAUSED}


@pytest.mark.parametrize(
    ("event", "keeper"),
    [
        (an_event(e.GuestStopped), HERE),
        (an_event(e.GoneStop, disks_remain=True), HERE),
        (an_event(e.GoneStop, disks_remain=False), None),
    ],
)
def test_disks_stay_where_the_guest_was_unless_they_are_known_to_be_gone(
    event: e.Event, keeper: HostId | None
) -> None:
    changed = edited(Edit.KEEP_DISKS, a_record(S.RUNNING, 1), event)

    assert changed == ({} if keeper is None else {"disks_on": keeper})


def test_disks_are_lost_with_the_host_that_had_them_only() -> None:
    event = an_event(e.StartLost)

    lost = edited(Edit.LOSE_DISKS, a_record(S.ACTIVATING, 1, disks_on=HERE), event)
    kept = edited(Edit.LOSE_DISKS, a_record(S.ACTIVATING, 1, disks_on=THERE), event)

    assert lost == {"disks_on": None, "spent": (Spent("1-a1"),)}
    assert kept == {}


def test_what_a_shutdown_ends_in_is_the_last_word() -> None:
    event = an_event(e.Stop)

    assert edited(Edit.WILL_KEEP, a_record(S.RUNNING, 1), event) == {"keep": True}
    assert edited(Edit.WILL_NOT_KEEP, a_record(S.RUNNING, 1, keep=True), event) == {"keep": False}


@pytest.mark.parametrize(
    ("event", "tries"),
    [
        (an_event(e.StartFailed), 4),
        (an_event(e.GuestRestart, lasted=1.0), 4),
        (an_event(e.GoneRestart, lasted=STEADY_SECONDS - 1), 4),
        (an_event(e.GoneRestart, lasted=STEADY_SECONDS), 1),
    ],
)
def test_tries_are_counted_anew_after_a_guest_that_lasted(event: e.Event, tries: int) -> None:
    assert edited(Edit.COUNT_TRY, a_record(S.RUNNING, 1, tries=3), event) == {"tries": tries}


def test_somebody_who_starts_an_instance_starts_the_count_too() -> None:
    assert edited(Edit.FRESH_TRIES, a_record(S.STOPPED, tries=3), an_event(e.Start)) == {"tries": 0}


def test_every_host_that_may_have_something_has_to_clear_it_once() -> None:
    before = a_record(S.DESTROYING, 2, leftovers=(THERE,), disks_on=ELSEWHERE)

    changed = edited(Edit.OWE_CLEARING, before, an_event(e.GuestExited))

    assert changed == {
        "leftovers": (THERE, HERE, ELSEWHERE),
        "disks_on": None,
        "spent": (Spent("1-a1"),),
    }


def test_of_an_instance_that_is_over_nothing_at_rest_is_needed() -> None:
    before = a_record(S.SUSPENDED, saved="1-7", stored="1-a1")

    changed = edited(Edit.OWE_CLEARING, before, an_event(e.Destroy))

    memory = Spent("1-7", memory=True)
    assert changed == {"saved": None, "stored": None, "spent": (Spent("1-a1"), memory)}


def test_a_host_without_the_disks_owes_nothing() -> None:
    before = a_record(S.RUNNING, 1, disks_on=HERE)
    gone = an_event(e.GoneForget, disks_remain=False)
    kept = an_event(e.GoneForget, disks_remain=True)

    lost = edited(Edit.OWE_CLEARING_IF_DISKS, before, gone)
    left = edited(Edit.OWE_CLEARING_IF_DISKS, before, kept)

    assert lost == {"disks_on": None, "spent": (Spent("1-a1"),)}
    assert left == {**lost, "leftovers": (HERE,)}


def test_a_host_that_has_cleared_owes_nothing_more() -> None:
    before = a_record(S.EXITED, leftovers=(HERE, THERE))

    assert edited(Edit.CLEARED, before, an_event(e.Cleared)) == {"leftovers": (THERE,)}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit.TAKE_HOST, "names no host to take"),
        (Edit.DISCARD, "discards nothing"),
        (Edit.CROSS_OUT, "tells of nothing deleted"),
        (Edit.TAKE_TARGET, "names no target to take"),
        (Edit.NOTE_VM, "names no guest"),
        (Edit.NOTE_SAVED, "names no saved memory"),
        (Edit.CLEARED, "speaks of no host"),
    ],
)
def test_an_edit_in_the_wrong_row_is_a_mistake_of_ours(edit: Edit, words: str) -> None:
    with pytest.raises(Broken, match=words):
        EDITS[edit](a_record(S.RUNNING, 1), an_event(e.Pause))
