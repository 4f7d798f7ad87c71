"""Emptying hosts: the wish on a host's record, and the moves that the scheduler proposes for it.

The wish is durable and lasts until nothing is left on the host, whoever is started anew meanwhile;
then the draft makes the host Drained. Each proposed move is checked here once more by the rules
that proposed it.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from tashi.clustermanager.draft import Draft
from tashi.domain import events as e
from tashi.domain.errors import HostStateError, NoRoom
from tashi.domain.host import Host
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.instance import Instance
from tashi.domain.instructions import standing_orders
from tashi.domain.placement.drain import is_movable, move_refusal
from tashi.domain.placement.filters import Policy
from tashi.domain.states import HostState, InstanceState

_LEAVING: Final = {InstanceState.MIGRATE_PREP, InstanceState.MIGRATE_TRANS}


def begin(draft: Draft, key: HostId, by: str) -> Host:
    """Wish a host empty; one on which nothing is left is Drained at once.

    Also when the wish is repeated, the host is told once more to put what it keeps of instances at
    rest into the image store: the first time may have been in vain.
    """
    host = draft.books.host(key)
    empty = next(draft.books.concerning(key), None) is None
    if not host.draining and not (empty and host.state is HostState.DRAINED):
        draft.put(replace(host, draining=True), "CM HOST DRAIN", by)
        draft.note_the_empty([key])
    for instance in draft.books.concerning(key):
        if instance.disks_on == key:
            draft.instructions.extend(standing_orders(instance))
    return draft.books.host(key)


def cancel(draft: Draft, key: HostId, by: str) -> Host:
    """Take the wish back: what has not left yet stays, and the host is what it was before.

    Raises HostStateError when it is not being emptied.
    """
    host = draft.books.host(key)
    if not host.draining:
        remedy = "undrain opens" if host.state is HostState.DRAINED else "drain empties"
        raise HostStateError(
            f"{host.name} is not being emptied: it is {host.state.title}, and {remedy} it.",
            host=key,
        )
    draft.put(replace(host, draining=False), "CM HOST UNDRAIN", by)
    for instance in list(draft.books.concerning(key)):
        crossing = instance.state in _LEAVING and instance.target_id is not None
        if crossing and instance.host_id == key:
            draft.befall(instance.id, e.CancelMigrate(draft.next_operation()), by)
    return draft.books.host(key)


def move_many(
    draft: Draft, proposals: Sequence[tuple[InstanceId, HostId]], policy: Policy, by: str = ""
) -> list[tuple[InstanceId, str]]:
    """Begin every proposed move that is possible; for each, empty words or why it was not."""
    return [
        (key, draft.attempt(partial(_move, draft, key, target, policy, by)))
        for key, target in proposals
    ]


def _move(draft: Draft, key: InstanceId, target: HostId, policy: Policy, by: str) -> Instance:
    instance, host = draft.books.instance(key), draft.books.host(target)
    source = None if instance.host_id is None else draft.books.host(instance.host_id)
    if source is None or not source.draining:
        raise HostStateError(f"The host of {instance} is not being emptied.", instance=key)
    if not is_movable(instance, source):
        raise HostStateError(f"As it is now ({instance.state.title}), {instance} is not moved.")
    refusal = move_refusal(draft.books, instance, host, policy)
    if refusal is not None:
        raise NoRoom(f"{instance} cannot go to {host.name}, which {refusal.words}.")
    return draft.befall(key, e.Migrate(draft.next_operation(), target), by)
