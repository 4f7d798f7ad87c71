"""What a node's words mean for the books: pure comparison, events out.

Two sources. A guest's end is turned into the event that its instance's `on_exit` or `on_loss` asks
for. An inventory is compared with the books: it can prove that a guest is gone (only for what the
node had been told in the same session) and it can show guests that should not be there.

The absence of a guest proves nothing about orders that the node had not taken up yet, so nothing is
concluded for an instance whose order is still on its way; that order is repeated anyway.
"""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Final

from tashi.domain import events as e
from tashi.domain.guest import Ending, Guest, GuestState, Inventory
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.instance import Instance, OnExit, OnLoss, saved_name
from tashi.domain.states import InstanceState, Order
from tashi.domain.transitions import LOSABLE

_S = InstanceState

# Not Suspending: its memory may stand complete in the image store, where the node looks when the
# order to save is repeated.
_PROVEN_BY_ABSENCE: Final = (LOSABLE | {_S.SHUTTING_DOWN, _S.MIGRATE_PREP}) - {_S.SUSPENDING}


@dataclass(frozen=True, slots=True)
class Findings:
    """What follows from an inventory.

    `events` are for the instances named; `surplus` are guests that the node must kill;
    `beyond` are guests of instances that the books have never known: reported, never touched.
    """

    events: tuple[tuple[InstanceId, e.Event], ...]
    surplus: tuple[Guest, ...]
    beyond: tuple[Guest, ...]


def meaning(record: Instance, report: e.Report, lasted: float) -> e.Event:
    """The event that a report which applies is for its instance; see `ending` for `lasted`."""
    if isinstance(report, e.GuestEnded):
        return ending(record, report, lasted)
    if isinstance(report, e.SourceLeft) and _is_dying_on_one_host(record):
        # The target has said already that it has nothing: with the source, the last one is gone.
        return _as(e.GuestExited, report)
    if isinstance(report, e.Saved) and record.state is _S.SUSPENDING:
        return _saved(record, report, lasted)
    return report


def _saved(record: Instance, report: e.Saved, lasted: float) -> e.Event:
    """What saved memory is for its instance: of no use where the disks are lost that go with it."""
    if report.disks_remain or not record.has_local_disks:
        return report
    words = "It was suspended, but its host has lost its disks, and memory is no use without them."
    return gone(record, report.host_id, words, lasted=lasted, disks_remain=False)


def leaves_something(report: e.Report) -> bool:
    """Whether, after what it reports, the node still has something of the instance.

    If the books want nothing of it there, the node is then told to end it. A node that has sent a
    guest away clears up by itself. To tell it so would be answered with what may be unheard, that
    the guest has left, and so again.
    """
    if isinstance(report, e.GuestEnded):
        return report.how is not Ending.KILLED
    return not isinstance(
        report, e.StartFailed | e.MemorySpent | e.TargetFailed | e.Cleared | e.SourceLeft
    )


def order_to_end(report: e.Report) -> Order:
    """By what order a node ends what it still has, after that report, of what is not wanted there.

    One that has saved a guest answers KILL by saying so again, and would be told so again.
    """
    return Order.FORGET if isinstance(report, e.Saved) else Order.KILL


def ending(record: Instance, report: e.GuestEnded, lasted: float) -> e.Event:
    """The event that the end of a guest, after `lasted` seconds, is for its instance."""
    if _is_dying_on_one_host(record):
        return _as(e.GuestExited, report)
    by_itself = report.how is Ending.POWERED_OFF and report.host_id == record.host_id
    if by_itself and record.state is not _S.DESTROYING:
        return _powered_off(record, report, lasted)
    remain = report.disks_remain
    if record.state is _S.MIGRATE_TRANS and record.target_id is None:
        # The target knows what it has, but not whether that is all of it.
        remain = remain and not record.incoming
    becomes = _lost if _ended_unsent(record, report) else gone
    return becomes(record, report.host_id, report.words, lasted=lasted, disks_remain=remain)


def _ended_unsent(record: Instance, report: e.GuestEnded) -> bool:
    """Whether the source's node had not heard of the move: then the target has nothing of it."""
    on_two = record.state is _S.MIGRATE_TRANS and record.target_id is not None
    return on_two and report.host_id == record.host_id and report.operation < record.operation


def gone(
    record: Instance, host: HostId, words: str, *, lasted: float, disks_remain: bool
) -> e.Event:
    """The event for an instance whose guest on `host` is proven dead without having powered off."""
    half = None if record.target_id is None else _half(record, host)
    if half is not None:
        return half(host_id=host, words=words)
    return _lost(record, host, words, lasted=lasted, disks_remain=disks_remain)


def _lost(
    record: Instance, host: HostId, words: str, *, lasted: float, disks_remain: bool
) -> e.Event:
    """The event for an instance that has no other guest than the one on `host`, which is dead.

    What was being shut down never restarts: it is kept if that was asked for, and else forgotten.
    """
    if record.state in {_S.ACTIVATING, _S.RESUMING}:
        return e.StartLost(host_id=host, words=words)
    if record.state is _S.DESTROYING:
        kind: type[e.Gone] = e.GoneForget
    elif record.state is _S.SHUTTING_DOWN:
        kind = e.GoneStop if record.keep or record.on_exit is not OnExit.FORGET else e.GoneForget
    else:
        kind = {
            OnLoss.RESTART: e.GoneRestart,
            OnLoss.STOP: e.GoneStop,
            OnLoss.FORGET: e.GoneForget,
        }[record.on_loss]
    return kind(host_id=host, words=words, disks_remain=disks_remain, lasted=lasted)


def burial(record: Instance, host: HostId, words: str, memories: Container[str]) -> e.Event | None:
    """The next event that befalls an instance because `host` is proven dead; None after the last.

    An orphan first becomes what it was, so that its loss means what it would have meant then.
    `memories` are names of saved memory that stand complete in the image store: what was being
    saved may have got there before its host died.
    """
    if record.state is _S.ORPHANED and record.host_id == host:
        return e.HostBack(host_id=host)
    saved = saved_name(record.id, record.operation)
    if record.state is _S.SUSPENDING and record.host_id == host and saved in memories:
        report = e.Saved(
            host_id=host,
            attempt=record.attempt,
            operation=record.operation,
            words=words,
            saved=saved,
            disks_remain=False,
        )
        return _saved(record, report, 0.0)
    if host in record.hosts and record.state is not _S.ORPHANED:
        return gone(record, host, words, lasted=0.0, disks_remain=False)
    if host in record.leftovers:
        return e.LeftoversLost(host_id=host, words=words)
    return disks_lost(record, host, words) if host == record.disks_on else None


def disks_lost(record: Instance, host: HostId, words: str) -> e.Event:
    """What it is for an instance that the host which was to keep its disks has nothing of it.

    One that waits to be started was promised its old disks: only where its `on_loss` says so does
    it begin with fresh ones by itself.
    """
    if not record.has_local_disks:
        return e.NothingKept(host_id=host)
    waits = record.state in {_S.PENDING, _S.HELD}
    if waits and record.on_loss is OnLoss.RESTART:
        return e.DisksLost(host_id=host, words=f"{words} It begins with fresh ones.")
    kind = e.WaitEnded if waits else e.DisksLost
    return kind(host_id=host, words=f"{words} startVm begins with fresh ones.")


def _is_dying_on_one_host(record: Instance) -> bool:
    return record.state is _S.DESTROYING and record.target_id is None


def _half(record: Instance, host: HostId) -> type[e.Observation] | None:
    """What it means that one of two hosts has lost the guest; None: it is lost altogether."""
    if record.state is _S.DESTROYING:
        return e.OneGone
    if host == record.target_id:
        return e.TargetGone
    # While memory is crossing, the target may have all of it without our knowing.
    return e.SourceGone if record.state is _S.MIGRATE_TRANS else None


def applies(record: Instance | None, report: e.Report) -> bool:
    """Whether a report speaks of the present: its host, attempt and operation are the record's."""
    if record is None:
        return False
    if isinstance(report, e.Cleared):
        return report.host_id in record.leftovers
    if isinstance(report, e.DisksStored):
        return report.host_id == record.disks_on and report.attempt == record.attempt
    of_now = report.host_id in record.hosts and report.attempt == record.attempt
    return of_now and (report.operation == record.operation or not _answers_order(report))


def _answers_order(report: e.Report) -> bool:
    """Whether it is the outcome of one order: a guest ends at any time, but is killed by order."""
    if isinstance(report, e.GuestEnded):
        return report.how is Ending.KILLED
    return report.of_operation


def compare(
    records: Iterable[Instance],
    host: HostId,
    inventory: Inventory,
    is_ours: Callable[[InstanceId], bool],
) -> Findings:
    """Hold a node's inventory against the records that concern its host.

    `is_ours` says whether the books know what became of the instance with an id.
    """
    present = {guest.instance_id: guest for guest in inventory.guests}
    known = {record.id: record for record in records}
    events = {
        record.id: event
        for record in known.values()
        if (event := _difference(record, host, present.get(record.id))) is not None
    }
    strangers = [
        guest
        for guest in present.values()
        if not _belongs(known.get(guest.instance_id), host, guest)
        or _stands_for_none(known[guest.instance_id], guest, events)
    ]
    return Findings(
        tuple(events.items()),
        tuple(guest for guest in strangers if is_ours(guest.instance_id)),
        tuple(guest for guest in strangers if not is_ours(guest.instance_id)),
    )


def _difference(record: Instance, host: HostId, guest: Guest | None) -> e.Event | None:
    if record.disks_on == host and not record.hosts and guest is None:
        return disks_lost(record, host, "Its host has come back without its disks: they are lost.")
    crossing = record.state is _S.MIGRATE_TRANS and record.target_id is not None
    if record.host_id != host or crossing:
        # While memory is crossing, the two nodes' own reports decide; an absence does not.
        return None
    if guest is None or guest.attempt != record.attempt:
        return _absence(record, host)
    if guest.state is GuestState.RUNNING and record.state is _S.PAUSED:
        return e.SeenRunning(host_id=host, attempt=record.attempt, operation=record.operation)
    if guest.state is GuestState.FROZEN and record.state is _S.RUNNING:
        return e.SeenPaused(host_id=host, attempt=record.attempt, operation=record.operation)
    return None


def _absence(record: Instance, host: HostId) -> e.Event | None:
    if record.state not in _PROVEN_BY_ABSENCE:
        return None
    words = f"Its node has no guest of {record} any more."
    return gone(record, host, words, lasted=0.0, disks_remain=False)


def _belongs(record: Instance | None, host: HostId, guest: Guest) -> bool:
    if record is None:
        return False
    if host in record.leftovers or record.disks_on == host:
        return True
    return host in record.hosts and guest.attempt <= record.attempt


def _stands_for_none(record: Instance, guest: Guest, events: Container[InstanceId]) -> bool:
    """Whether the instance is taken for lost though there is this guest, of an earlier attempt.

    It comes to that where a node has lost its notes. Nobody else would end it, and another begins.
    """
    return record.id in events and guest.attempt != record.attempt


def _powered_off(record: Instance, report: e.GuestEnded, lasted: float) -> e.Event:
    shutting_down = record.state is _S.SHUTTING_DOWN
    if record.keep and shutting_down:
        return _as(e.GuestStopped, report)
    if record.on_exit is OnExit.FORGET:
        return _as(e.GuestExited, report)
    if record.on_exit is OnExit.STOP or shutting_down:
        return _as(e.GuestStopped, report)
    return e.GuestRestart(
        host_id=report.host_id,
        attempt=report.attempt,
        operation=report.operation,
        words=report.words,
        lasted=lasted,
    )


def _as(kind: type[e.Report], report: e.Report) -> e.Report:
    return kind(
        host_id=report.host_id,
        attempt=report.attempt,
        operation=report.operation,
        words=report.words,
    )
