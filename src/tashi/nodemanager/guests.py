"""What an order, its outcome or a happening makes of a guest: pure functions over its note.

Three laws. An order that was answered is answered again and never done again; one that is under
way stays so; a kill or a clearing that failed has no answer, so its repeat is another try. An order
of an operation older than the last is of the past and ignored. A guest that ends by itself keeps
its disks until it is told what becomes of them: FORGET and KILL clear them away, START goes on with
them or begins anew.
"""

from enum import Enum, auto
from typing import Final

import msgspec
from msgspec.structs import replace

from tashi.domain.guest import Ending, GuestState
from tashi.domain.identity import InstanceId
from tashi.domain.states import Order
from tashi.wire.forms import GuestForm, NicForm, OrderForm, ReportForm


class Note(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the node remembers of one guest.

    `doing` is the order under way. `answered` holds the outcomes of the last operation's orders;
    `unheard` are reports that the cluster manager has not acknowledged, oldest first. `cleared`
    says that nothing else is kept of the guest on this machine.
    """

    instance_id: int
    attempt: int
    operation: int
    state: GuestState
    doing: OrderForm | None = None
    answered: dict[str, ReportForm | None] = {}
    unheard: tuple[ReportForm, ...] = ()
    vm_id: int | None = None
    nics: tuple[NicForm, ...] = ()
    cleared: bool = False

    @property
    def id(self) -> InstanceId:
        """The instance that the guest belongs to."""
        return InstanceId(self.instance_id)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to remember."""
        return self.cleared and not self.unheard and self.doing is None


class Do(Enum):
    """What is to be done on the hypervisor."""

    START = auto()
    """On a machine that has nothing of the guest, or with the disks that it kept."""
    REPLACE = auto()
    """After ending and clearing away what an earlier attempt left."""
    RESTORE = auto()
    RESTORE_AFRESH = auto()
    """After clearing away what an earlier attempt left."""
    PAUSE = auto()
    UNPAUSE = auto()
    POWER_DOWN = auto()
    ALTER = auto()
    SAVE = auto()
    FIND_SAVED = auto()
    """Of a guest that is not here any more: it may have been saved before."""
    PREPARE = auto()
    SEND = auto()
    CANCEL = auto()
    RUN = auto()
    KILL = auto()
    CLEAR = auto()
    STORE = auto()


class Step(msgspec.Struct, frozen=True):
    """The note as it stands after, what is to be done, and what is to be reported."""

    note: Note
    do: Do | None = None
    reports: tuple[ReportForm, ...] = ()


_DOES: Final[dict[Order, Do]] = {
    Order.START: Do.START,
    Order.RESTORE: Do.RESTORE,
    Order.PAUSE: Do.PAUSE,
    Order.UNPAUSE: Do.UNPAUSE,
    Order.POWER_DOWN: Do.POWER_DOWN,
    Order.ALTER: Do.ALTER,
    Order.SAVE: Do.SAVE,
    Order.PREPARE_TARGET: Do.PREPARE,
    Order.SEND: Do.SEND,
    Order.CANCEL_SEND: Do.CANCEL,
    Order.RUN: Do.RUN,
    Order.KILL: Do.KILL,
    Order.FORGET: Do.CLEAR,
    Order.STORE: Do.STORE,
}
NOT_STORED: Final = "NotStored"
"""What comes of a STORE that failed; it is not reported, for it is tried again."""
_FAILURES: Final[dict[Order, str]] = {
    Order.START: "StartFailed",
    Order.RESTORE: "StartFailed",
    Order.PAUSE: "PauseFailed",
    Order.UNPAUSE: "UnpauseFailed",
    Order.ALTER: "AlterFailed",
    Order.SAVE: "SaveFailed",
    Order.PREPARE_TARGET: "TargetFailed",
    Order.SEND: "MoveFailed",
    Order.RUN: "GuestEnded",
    Order.STORE: NOT_STORED,
}
_INSISTED: Final = {Order.KILL, Order.FORGET, Order.STORE, Order.SAVE}
"""Orders that have no way to fail: until they succeed, each repeat is another try."""
MAKES: Final = {Order.START, Order.RESTORE, Order.PREPARE_TARGET, Order.RUN}
"""The orders after which a guest may be there that was not there before."""
AWAITED: Final = {Order.SEND}
"""Orders whose outcome is heard before what happens meanwhile: a guest that ended was not sent."""
_ALIVE: Final = {
    GuestState.RUNNING,
    GuestState.FROZEN,
    GuestState.SAVING,
    GuestState.SENDING,
}
_FITS: Final = {
    Order.SEND: {GuestState.RUNNING},
    Order.ALTER: {GuestState.RUNNING},
    Order.RUN: {GuestState.RECEIVING, GuestState.RUNNING},
}
_WHILE: Final = {Order.SAVE: GuestState.SAVING, Order.SEND: GuestState.SENDING}


def ordered(note: Note | None, order: OrderForm) -> Step | None:
    """What an order makes of a guest; ``None`` when it is of the past."""
    if note is None:
        note = Note(order.instance_id, order.attempt, 0, GuestState.GONE, cleared=True)
    if order.operation < note.operation:
        return None
    key = order.order.value
    if order.operation == note.operation and key in note.answered:
        first = note.answered[key]
        return Step(note, reports=() if first is None else (first,))
    answered = note.answered if order.operation == note.operation else {}
    fresh = replace(note, operation=order.operation, answered={**answered, key: None})
    return _begin(fresh, order)


def _begin(note: Note, order: OrderForm) -> Step:
    if order.order in {Order.START, Order.RESTORE}:
        started = replace(note, attempt=order.attempt, state=GuestState.STARTING, cleared=False)
        return Step(replace(started, doing=order), _way_to_start(note, order))
    if order.order is Order.PREPARE_TARGET:
        # What was not heard of an earlier stay here would be taken for news of the guest to come.
        waiting = replace(note, attempt=order.attempt, state=GuestState.RECEIVING, cleared=False)
        return Step(replace(waiting, doing=order, unheard=()), Do.PREPARE)
    if order.order is Order.CANCEL_SEND:
        # What is under way stays the send; it fails, and that is the outcome.
        return Step(note, Do.CANCEL if note.state is GuestState.SENDING else None)
    if order.order in {Order.KILL, Order.FORGET}:
        known = _known_end(note, order)
        return Step(replace(note, doing=order), _DOES[order.order]) if known is None else known
    if order.order is Order.STORE:
        ready = note.state is GuestState.GONE and not note.cleared
        return Step(replace(note, doing=order), Do.STORE) if ready else concluded(note, order, None)
    if order.order is Order.SAVE and note.state is GuestState.GONE:
        return Step(replace(note, doing=order), Do.FIND_SAVED)
    if note.state not in _FITS.get(order.order, _ALIVE):
        return _unfit(note, order)
    state = _WHILE.get(order.order, note.state)
    return Step(replace(note, doing=order, state=state), _DOES[order.order])


def _unfit(note: Note, order: OrderForm) -> Step:
    """What an order makes of a guest that it does not fit."""
    if note.state not in _ALIVE:
        # That the order was "not done" would claim that the guest lives.
        ended = _report(order, "GuestEnded", words="There is no such guest.")
        return concluded(note, order, replace(ended, disks_remain=not note.cleared))
    step = concluded(note, order, failure(order, f"The guest is {note.state.value}."))
    if note.state is not GuestState.FROZEN:
        return step
    # Whoever gave the order thought that it runs, and will think so again after the failure.
    told = about(note, "SeenPaused", words="It stood still when it was to be moved.")
    unheard = (*step.note.unheard, told)
    return Step(replace(step.note, unheard=unheard), reports=(*step.reports, told))


def _known_end(note: Note, order: OrderForm) -> Step | None:
    """The outcome of a KILL or FORGET for a guest that is no longer here.

    What the cluster manager has not heard yet, that it was saved or has left, it must hear under
    the operation that it now waits for.
    """
    for report in note.unheard:
        if order.order is Order.KILL and report.kind in {"Saved", "SourceLeft"}:
            return concluded(note, order, replace(report, operation=order.operation))
    if not note.cleared:
        return None
    killed = order.order is Order.KILL
    outcome = (
        _report(order, "GuestEnded", how=Ending.KILLED) if killed else _report(order, "Cleared")
    )
    return concluded(note, order, outcome)


def _way_to_start(note: Note, order: OrderForm) -> Do:
    if order.order is Order.RESTORE:
        return Do.RESTORE if note.cleared or keeps_disks(order) else Do.RESTORE_AFRESH
    goes_on = note.state is GuestState.GONE and keeps_disks(order)
    return Do.START if note.cleared or goes_on else Do.REPLACE


def again(note: Note, order: OrderForm) -> Do:
    """What is to be done for an order that was taken up, whatever had been done of it before."""
    if order.order is Order.SAVE and note.state is GuestState.GONE:
        return Do.FIND_SAVED
    if order.order is Order.START and not keeps_disks(order):
        return Do.REPLACE
    return _DOES[order.order]


def keeps_disks(order: OrderForm) -> bool:
    """Whether a start goes on with the disks that the guest left on this machine."""
    return order.instance is not None and order.instance.disks_on is not None


def concluded(note: Note, order: OrderForm, outcome: ReportForm | None) -> Step:
    """What the outcome of an order makes of a guest; ``None`` is one that nobody waits for."""
    if outcome is not None and outcome.kind == NOT_STORED:
        outcome = None
    if outcome is not None and order.order is Order.SAVE and note.cleared:
        outcome = replace(outcome, disks_remain=False)
    doing = None if note.doing == order else note.doing
    ended = replace(_after(note, order, outcome), doing=doing)
    answered = note.answered
    if outcome is None:
        if order.order in _INSISTED and order.operation == note.operation:
            answered = {key: one for key, one in answered.items() if key != order.order.value}
        return Step(replace(ended, answered=answered))
    if order.operation == note.operation:
        answered = {**answered, order.order.value: outcome}
    unheard = (*note.unheard, outcome)
    return Step(replace(ended, answered=answered, unheard=unheard), reports=(outcome,))


_DONE: Final = {"PauseDone": GuestState.FROZEN, "UnpauseDone": GuestState.RUNNING}
_NOT_DONE: Final = {
    "PauseFailed": None,
    "UnpauseFailed": None,
    "AlterFailed": None,
    "SaveFailed": GuestState.SAVING,
    "MoveFailed": GuestState.SENDING,
}
"""Failures after which the guest is what it was; where that was on its way to end, it runs on."""
_NOTHING_LEFT: Final = {"TargetFailed", "Cleared", "SourceLeft"}


def _after(note: Note, order: OrderForm, outcome: ReportForm | None) -> Note:
    if outcome is None:
        return note
    if outcome.kind in {"Started", "Arrived"}:
        return replace(note, state=GuestState.RUNNING, vm_id=outcome.vm_id, nics=outcome.nics)
    if outcome.kind == "Altered":
        return replace(note, nics=outcome.nics)
    if outcome.kind in {"TargetReady", "DisksStored"}:
        return note
    if outcome.kind in _DONE:
        # A guest that has ended meanwhile is not called back to life by what came of an order.
        return replace(note, state=_DONE[outcome.kind]) if note.state in _ALIVE else note
    if outcome.kind in _NOT_DONE:
        runs_on = note.state is _NOT_DONE[outcome.kind]
        return replace(note, state=GuestState.RUNNING) if runs_on else note
    if note.doing is not None and note.doing != order and note.doing.order in MAKES:
        return note  # that was the guest before; the one to come has begun
    return replace(note, state=GuestState.GONE, vm_id=None, cleared=_is_cleared(order, outcome))


def _is_cleared(order: OrderForm, outcome: ReportForm) -> bool:
    """Whether, with that end, nothing is left of the guest here."""
    if outcome.kind in {"StartFailed", "MemorySpent"}:
        return not keeps_disks(order) or not outcome.disks_remain
    if outcome.kind == "Saved":
        return not outcome.disks_remain
    if outcome.kind == "GuestEnded":
        return outcome.how is Ending.KILLED or not outcome.disks_remain
    return outcome.kind in _NOTHING_LEFT


def ended(note: Note, how: Ending, words: str) -> Step:
    """What the end of a guest by itself makes of it."""
    if note.state is GuestState.GONE:
        return Step(note)
    report = about(note, "GuestEnded", words=words, how=how)
    gone = replace(note, state=GuestState.GONE, vm_id=None, unheard=(*note.unheard, report))
    return Step(gone, reports=(report,))


def vanished(note: Note) -> Step:
    """What it makes of a guest that the machine has nothing of any more, not even its disks."""
    gone = replace(note, state=GuestState.GONE, vm_id=None, cleared=True)
    if note.state is GuestState.GONE:
        return Step(gone)
    words = "It ended while its node was away, and nothing of it is left."
    report = replace(about(note, "GuestEnded", words=words), disks_remain=False)
    return Step(replace(gone, unheard=(*note.unheard, report)), reports=(report,))


def seen(note: Note, state: GuestState, words: str) -> Step:
    """What is made of a guest that froze or thawed by itself."""
    if note.state is state or note.state not in {GuestState.RUNNING, GuestState.FROZEN}:
        return Step(note)
    kind = "SeenPaused" if state is GuestState.FROZEN else "SeenRunning"
    report = about(note, kind, words=words)
    return Step(replace(note, state=state, unheard=(*note.unheard, report)), reports=(report,))


def arrived(note: Note, arrival: ReportForm) -> Step:
    """What it makes of a guest that was received that it runs, by its source's word.

    One that was told to run, or is to be killed, has orders whose outcome says what there is to
    say. The cluster manager's RUN, should it come, is answered like one of a guest that runs.
    """
    if note.state is not GuestState.RECEIVING or note.doing is not None:
        return Step(note)
    here = replace(note, state=GuestState.RUNNING, vm_id=arrival.vm_id, nics=arrival.nics)
    return Step(replace(here, unheard=(*note.unheard, arrival)), reports=(arrival,))


def awaits(note: Note, incoming: str) -> bool:
    """Whether that is what the guest was to be received at: nobody else's arrival is its own."""
    ready = note.answered.get(Order.PREPARE_TARGET.value)
    return ready is not None and ready.incoming == incoming


def addressed(note: Note, mac: str, ip: str) -> Step:
    """What the address of one of its cards makes of a guest."""
    cards = {nic.mac for nic in note.nics if nic.ip != ip}
    if note.state not in _ALIVE or mac not in cards:
        return Step(note)
    nics = tuple(replace(nic, ip=ip) if nic.mac == mac else nic for nic in note.nics)
    report = replace(about(note, "SeenAddress"), mac=mac, ip=ip)
    # What was seen of the card before is of no interest any more, heard of or not.
    others = tuple(one for one in note.unheard if (one.kind, one.mac) != (report.kind, mac))
    return Step(replace(note, nics=nics, unheard=(*others, report)), reports=(report,))


def is_alive(note: Note) -> bool:
    """Whether there is a guest that has begun and has not ended."""
    return note.state in _ALIVE


def is_stored(note: Note | None) -> bool:
    """Whether its disks are being put into the image store."""
    return note is not None and note.doing is not None and note.doing.order is Order.STORE


def heard(note: Note, report: ReportForm) -> Note:
    """The note once the cluster manager has acknowledged a report; said twice, it is owed twice."""
    if report not in note.unheard:
        return note
    at = note.unheard.index(report)
    return replace(note, unheard=note.unheard[:at] + note.unheard[at + 1 :])


def failure(order: OrderForm, words: str) -> ReportForm | None:
    """The outcome of an order that could not be carried out, if that order has one."""
    kind = _FAILURES.get(order.order)
    if kind is None:
        return None
    return _report(order, kind, words=words)


def success(order: OrderForm, kind: str) -> ReportForm:
    """The outcome of an order that was carried out and says no more than that."""
    return _report(order, kind)


def listed(note: Note) -> GuestForm:
    """The guest's line in an inventory."""
    return GuestForm(note.instance_id, note.attempt, note.operation, note.state, note.vm_id)


def _report(
    order: OrderForm, kind: str, words: str = "", how: Ending = Ending.CRASHED
) -> ReportForm:
    return ReportForm(kind, order.instance_id, order.attempt, order.operation, words=words, how=how)


def about(note: Note, kind: str, words: str = "", how: Ending = Ending.CRASHED) -> ReportForm:
    """The news of something that no order asked for."""
    return ReportForm(kind, note.instance_id, note.attempt, note.operation, words=words, how=how)
