"""The edits of a record that the table of transitions names in its column of books.

Each takes a record and the event that befell it and returns the record with one thing changed.
None of them touches the state: that is the engine's.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from typing import Final

from tashi.domain.addresses import with_gaps_filled
from tashi.domain.alterations import Alter, Altered, Rename, Resize, without_half_plugged
from tashi.domain.errors import Broken
from tashi.domain.events import (
    Arrived,
    DisksStored,
    Event,
    Gone,
    GuestRestart,
    Migrate,
    Observation,
    Place,
    PlaceSaved,
    Report,
    Saved,
    SeenAddress,
    SourceLeft,
    Started,
    TargetReady,
)
from tashi.domain.identity import Attempt, HostId
from tashi.domain.instance import Instance, Spent, saved_name, stored_name, with_address
from tashi.domain.listings import (
    after_booking,
    after_losing,
    after_telling,
    asked_for,
    is_booked,
    with_booked,
    without_cards_gone,
)
from tashi.domain.notices import BookAddresses, Deleted, Discarded, SiteTold
from tashi.domain.states import InstanceState

STEADY_SECONDS: Final = 600.0
"""A guest that lasted this long counts as having started well, however it ended."""


class Edit(Enum):
    """An entry of the table's column of books."""

    TAKE_HOST = auto()
    LEAVE_HOST = auto()
    LEAVE_THAT_HOST = auto()
    TAKE_TARGET = auto()
    LEAVE_TARGET = auto()
    MOVE_TO_TARGET = auto()
    NOTE_VM = auto()
    NOTE_ADDRESS = auto()
    NOTE_WAS = auto()
    NOTE_SAVED = auto()
    NOTE_INCOMING = auto()
    DROP_SAVED = auto()
    KEEP_DISKS = auto()
    LOSE_DISKS = auto()
    NOTE_STORED = auto()
    WILL_KEEP = auto()
    WILL_NOT_KEEP = auto()
    WILL_NOT_SAVE = auto()
    COUNT_TRY = auto()
    FRESH_TRIES = auto()
    OWE_CLEARING = auto()
    OWE_CLEARING_IF_DISKS = auto()
    CLEARED = auto()
    SET_NAME = auto()
    SET_SIZE = auto()
    WANT_DEVICES = auto()
    SET_DEVICES = auto()
    GET_WANTED = auto()
    DROP_WANTED = auto()
    NOTE_BOOKED = auto()
    NOTE_SITE = auto()
    DISCARD = auto()
    CROSS_OUT = auto()


def _take_host(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Place | PlaceSaved):
        raise Broken(f"{event} names no host to take.")
    owed = _but(record.leftovers, event.host_id)
    attempt = Attempt(record.attempt + 1)
    return replace(
        _without_half_stored(record),
        host_id=event.host_id,
        attempt=attempt,
        keep=False,
        leftovers=owed,
    )


def _leave_host(record: Instance, event: Event) -> Instance:
    kept = record if isinstance(event, Saved) else _without_half_saved(record)
    return replace(without_half_plugged(kept), host_id=None, vm_id=None)


def _leave_that_host(record: Instance, event: Event) -> Instance:
    gone = _host_of(event)
    if record.host_id == gone:
        return replace(record, host_id=record.target_id, target_id=None, vm_id=None)
    if record.target_id == gone:
        return replace(record, target_id=None)
    return record


def _take_target(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Migrate):
        raise Broken(f"{event} names no target to take.")
    owed = _but(record.leftovers, event.target_id)
    return replace(record, target_id=event.target_id, incoming="", leftovers=owed)


def _leave_target(record: Instance, _: Event) -> Instance:
    return replace(record, target_id=None)


def _move_to_target(record: Instance, event: Event) -> Instance:
    if record.target_id is None:
        return record
    # A source that was lost while it sent may have left the target with a part of the guest.
    incoming = "" if isinstance(event, SourceLeft | Arrived) else record.incoming
    return replace(record, host_id=record.target_id, target_id=None, vm_id=None, incoming=incoming)


def _note_vm(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Started | Arrived):
        raise Broken(f"{event} names no guest.")
    hardware = event.hardware
    if hardware is not None and hardware.host_id is None:
        hardware = replace(hardware, host_id=event.host_id)
    return replace(
        _without_stored(record),
        vm_id=event.vm_id,
        nics=with_booked(with_gaps_filled(event.nics, record.nics), record.listings) or record.nics,
        disks_on=None,
        hardware=hardware or record.hardware,
    )


def _note_address(record: Instance, event: Event) -> Instance:
    if not isinstance(event, SeenAddress):
        raise Broken(f"{event} names no address.")
    if is_booked(record, event.mac):
        return record
    return replace(record, nics=with_address(record.nics, event.mac, event.ip))


def _note_was(record: Instance, _: Event) -> Instance:
    return replace(record, was=record.state)


def _note_saved(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Saved):
        raise Broken(f"{event} names no saved memory.")
    return replace(record, saved=event.saved)


def _note_incoming(record: Instance, event: Event) -> Instance:
    if not isinstance(event, TargetReady):
        raise Broken(f"{event} names no place to be sent to.")
    return replace(record, incoming=event.incoming)


def _drop_saved(record: Instance, _: Event) -> Instance:
    return _without_saved(record)


def _without_saved(record: Instance) -> Instance:
    spent = () if record.saved is None else (Spent(record.saved, memory=True),)
    return replace(_with_spent(record, *spent), saved=None)


def _without_stored(record: Instance) -> Instance:
    spent = () if record.stored is None else (Spent(record.stored),)
    return replace(_with_spent(record, *spent), stored=None)


def _with_spent(record: Instance, *spent: Spent) -> Instance:
    return replace(record, spent=tuple(dict.fromkeys((*record.spent, *spent))))


def _will_not_save(record: Instance, _: Event) -> Instance:
    return _without_half_saved(record)


def _without_half_saved(record: Instance) -> Instance:
    """The record of one whose memory, should it have been saved, nobody has a use for."""
    if InstanceState.SUSPENDING not in {record.state, record.was}:
        return record
    return _with_spent(record, Spent(saved_name(record.id, record.operation), memory=True))


def _without_half_stored(record: Instance) -> Instance:
    """The record of one whose disks, should they yet be stored, are not wanted there any more."""
    if record.disks_on is None:
        return record
    return _with_spent(record, Spent(stored_name(record.id, record.attempt)))


def _keep_disks(record: Instance, event: Event) -> Instance:
    remain = event.disks_remain if isinstance(event, Gone | Saved) else True
    return replace(record, disks_on=record.host_id if remain else None)


def _lose_disks(record: Instance, event: Event) -> Instance:
    if record.disks_on != _host_of(event):
        return record
    return replace(_without_half_stored(record), disks_on=None)


def _note_stored(record: Instance, event: Event) -> Instance:
    if not isinstance(event, DisksStored):
        raise Broken(f"{event} names no stored disks.")
    owed = (*_but(record.leftovers, event.host_id), event.host_id)
    return replace(record, stored=event.stored, disks_on=None, leftovers=owed)


def _will_keep(record: Instance, _: Event) -> Instance:
    return replace(record, keep=True)


def _will_not_keep(record: Instance, _: Event) -> Instance:
    return replace(record, keep=False)


def _count_try(record: Instance, event: Event) -> Instance:
    lasted = event.lasted if isinstance(event, Gone | GuestRestart) else 0.0
    return replace(record, tries=1 if lasted >= STEADY_SECONDS else record.tries + 1)


def _fresh_tries(record: Instance, _: Event) -> Instance:
    return replace(record, tries=0)


def _owe_clearing(record: Instance, _: Event) -> Instance:
    disks = () if record.disks_on is None else (record.disks_on,)
    owed = tuple(dict.fromkeys((*record.leftovers, *record.hosts, *disks)))
    return replace(_without_any_at_rest(record), leftovers=owed, disks_on=None)


def _owe_clearing_if_disks(record: Instance, event: Event) -> Instance:
    if isinstance(event, Gone) and not event.disks_remain:
        return replace(_without_any_at_rest(record), disks_on=None)
    return _owe_clearing(record, event)


def _without_any_at_rest(record: Instance) -> Instance:
    return _without_saved(_without_stored(_without_half_stored(record)))


def _cleared(record: Instance, event: Event) -> Instance:
    return replace(record, leftovers=_but(record.leftovers, _host_of(event)))


def _but(hosts: tuple[HostId, ...], one: HostId) -> tuple[HostId, ...]:
    return tuple(host for host in hosts if host != one)


def _set_name(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Rename):
        raise Broken(f"{event} says no name.")
    return replace(record, name=event.name)


def _set_size(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Resize):
        raise Broken(f"{event} says no size.")
    return replace(record, cores=event.cores, memory=event.memory)


def _want_devices(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Alter):
        raise Broken(f"{event} says no devices.")
    asked = asked_for(nic for nic in event.devices.nics if nic.mac not in record.macs)
    return replace(record, wanted=event.devices, listings=(*record.listings, *asked))


def _set_devices(record: Instance, event: Event) -> Instance:
    return _get_wanted(_want_devices(record, event), event)


def _get_wanted(record: Instance, event: Event) -> Instance:
    wanted = record.devices if record.wanted is None else record.wanted
    told = (event.nics if isinstance(event, Altered) else ()) or wanted.nics
    nics = with_booked(with_gaps_filled(told, record.nics), record.listings)
    return replace(
        record,
        disks=wanted.disks,
        nics=nics,
        cdrom=wanted.cdrom,
        wanted=None,
        listings=without_cards_gone(record.listings, (nic.mac for nic in nics)),
    )


def _drop_wanted(record: Instance, _: Event) -> Instance:
    there = (nic.mac for nic in record.nics)
    return replace(record, wanted=None, listings=without_cards_gone(record.listings, there))


def _note_booked(record: Instance, event: Event) -> Instance:
    if not isinstance(event, BookAddresses):
        raise Broken(f"{event} books no addresses.")
    listings = after_booking(record.listings, event.listings)
    wanted = record.wanted
    if wanted is not None:
        wanted = replace(wanted, nics=with_booked(wanted.nics, listings))
    nics = with_booked(record.nics, listings)
    return replace(record, listings=listings, nics=nics, wanted=wanted)


def _note_site(record: Instance, event: Event) -> Instance:
    if not isinstance(event, SiteTold):
        raise Broken(f"{event} tells nothing of the site.")
    return replace(
        record,
        listings=after_losing(
            after_telling(record.listings, event.listed, event.forgotten), event.lost
        ),
        announced=record.announced if event.announced is None else event.announced,
        trouble=record.trouble if event.trouble is None else event.trouble,
    )


def _discard(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Discarded):
        raise Broken(f"{event} discards nothing.")
    return _with_spent(record, event.spent)


def _cross_out(record: Instance, event: Event) -> Instance:
    if not isinstance(event, Deleted):
        raise Broken(f"{event} tells of nothing deleted.")
    return replace(record, spent=tuple(one for one in record.spent if one != event.spent))


def _host_of(event: Event) -> HostId:
    if not isinstance(event, Report | Observation):
        raise Broken(f"{event} speaks of no host.")
    return event.host_id


EDITS: Final[dict[Edit, Callable[[Instance, Event], Instance]]] = {
    Edit.TAKE_HOST: _take_host,
    Edit.LEAVE_HOST: _leave_host,
    Edit.LEAVE_THAT_HOST: _leave_that_host,
    Edit.TAKE_TARGET: _take_target,
    Edit.LEAVE_TARGET: _leave_target,
    Edit.MOVE_TO_TARGET: _move_to_target,
    Edit.NOTE_VM: _note_vm,
    Edit.NOTE_ADDRESS: _note_address,
    Edit.NOTE_WAS: _note_was,
    Edit.NOTE_SAVED: _note_saved,
    Edit.NOTE_INCOMING: _note_incoming,
    Edit.DROP_SAVED: _drop_saved,
    Edit.KEEP_DISKS: _keep_disks,
    Edit.LOSE_DISKS: _lose_disks,
    Edit.NOTE_STORED: _note_stored,
    Edit.WILL_KEEP: _will_keep,
    Edit.WILL_NOT_KEEP: _will_not_keep,
    Edit.WILL_NOT_SAVE: _will_not_save,
    Edit.COUNT_TRY: _count_try,
    Edit.FRESH_TRIES: _fresh_tries,
    Edit.OWE_CLEARING: _owe_clearing,
    Edit.OWE_CLEARING_IF_DISKS: _owe_clearing_if_disks,
    Edit.CLEARED: _cleared,
    Edit.SET_NAME: _set_name,
    Edit.SET_SIZE: _set_size,
    Edit.WANT_DEVICES: _want_devices,
    Edit.SET_DEVICES: _set_devices,
    Edit.GET_WANTED: _get_wanted,
    Edit.DROP_WANTED: _drop_wanted,
    Edit.NOTE_BOOKED: _note_booked,
    Edit.NOTE_SITE: _note_site,
    Edit.DISCARD: _discard,
    Edit.CROSS_OUT: _cross_out,
}
