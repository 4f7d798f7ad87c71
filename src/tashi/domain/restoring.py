"""Books that are put back from a copy: what became of the cluster since it was made is lost.

Nodes, agents and clients remember more than such books do. So no number that anybody may have heard
means anything else from here on:

* Epochs, sessions, operations and events go on at the present time in microseconds since 1970.
  They are given out more slowly than microseconds pass, so they are beyond all that were ever
  given out before, also when the same copy is put back twice.
* Ids of instances go on after a leap. They are in the names of devices, whose length is limited,
  and are read and typed by people, so they stay short. Those that were leapt over belong to nobody
  that the books know (`Counters.gave_out`): a guest that has one is left alone, for it was
  acknowledged once.
* Ids of hosts do not leap: nobody keeps one outside the books.

Nothing runs twice either, although guests may be where the books do not have them: every host is
drained, so that nothing starts before an administrator opens one, and what was being started is not
told to start again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from tashi.domain import events as e
from tashi.domain.host import Host
from tashi.domain.identity import Epoch, EventNumber, InstanceId, Operation, Session
from tashi.domain.instance import Instance
from tashi.domain.journal import Counters, Entry, Kept, Put, Record
from tashi.domain.states import InstanceState
from tashi.domain.transitions import step

LEAP: Final = 100_000
"""Ids of instances go on at the next multiple of this."""

_STARTING: Final = {InstanceState.ACTIVATING, InstanceState.RESUMING}
_WORDS: Final = "It was being started when the backup was made that was restored."


def restored(kept: Kept, now: float, by: str, first: InstanceId | None = None) -> Kept:
    """The books that go on from a copy at `now`, in seconds since 1970.

    `first` is the id that the next instance gets; it has to be beyond those that the copy knows.
    """
    start = max(round(now * 1_000_000), *_given(kept.counters))
    shift = start - kept.counters.event
    changes = list(_changes(kept.records))
    entries = [replace(one, number=EventNumber(one.number + shift)) for one in kept.entries]
    entries += [
        Entry(EventNumber(start + place), now, line, by, Put(record))
        for place, (record, line) in enumerate(changes)
    ]
    changed = {(type(record), record.id): record for record, _ in changes}
    return Kept(
        number=kept.number,
        records=tuple(changed.get((type(one), one.id), one) for one in kept.records),
        entries=tuple(entries),
        answers=tuple(replace(one, event=EventNumber(one.event + shift)) for one in kept.answers),
        counters=_going_on(kept.counters, start, len(changes), first),
    )


def next_id(counters: Counters) -> InstanceId:
    """The id that the first instance after a copy with those counters gets."""
    return InstanceId((counters.instance // LEAP + 1) * LEAP)


def _going_on(counters: Counters, start: int, changes: int, first: InstanceId | None) -> Counters:
    return Counters(
        instance=next_id(counters) if first is None else first,
        host=counters.host,
        operation=Operation(start),
        session=Session(start),
        event=EventNumber(start + changes),
        epoch=Epoch(start),
        lost_from=counters.lost_from or counters.instance,
        lost_to=next_id(counters) if first is None else first,
    )


def _given(counters: Counters) -> tuple[int, ...]:
    return counters.operation, counters.session, counters.event, counters.epoch


def _changes(records: tuple[Record, ...]) -> Iterator[tuple[Record, str]]:
    """What is changed in the copy, each with its accounting line."""
    for record in records:
        if isinstance(record, Host):
            yield record.emptied(), "CM HOST DRAINED"
        elif (
            isinstance(record, Instance)
            and record.host_id is not None
            and record.state in _STARTING
        ):
            made = step(record, e.StartLost(host_id=record.host_id, words=_WORDS))
            yield made.record, made.line
