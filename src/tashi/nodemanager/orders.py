"""Carrying one order out on the hypervisor: what is done, and which outcome that has.

These functions wait for QEMU, so they run in the guest's own lane. Whatever goes wrong in a way
that has a name becomes the order's outcome; nothing is decided here.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from logging import getLogger
from typing import Final

from msgspec.structs import replace

from tashi.domain.engine import Hardware
from tashi.domain.errors import (
    DisksGone,
    HypervisorFailed,
    NoSuchImage,
    NoSuchVm,
    TashiError,
    UnableToSuspend,
)
from tashi.domain.guest import Ending
from tashi.domain.identity import Attempt, InstanceId, Mib, Operation
from tashi.domain.instance import Disk, Nic, saved_name, stored_name
from tashi.domain.states import Order
from tashi.nodemanager.guests import Do, Note, about, failure, keeps_disks, ordered, success
from tashi.ports.hypervisor import GuestSpec, Hypervisor, Running
from tashi.wire.forms import (
    InstanceForm,
    NicForm,
    OrderForm,
    ReportForm,
    to_form,
    to_record,
)
from tashi.wire.hardware import HardwareForm

_log = getLogger(__name__)


Tell = Callable[[ReportForm], None]


def _keep_quiet(_outcome: ReportForm) -> None:
    pass


class InDoubt(Exception):
    """What came of an order cannot be told: whatever was said of it might be untrue."""


def see_through(
    hypervisor: Hypervisor, do: Do, order: OrderForm, tell: Tell = _keep_quiet
) -> ReportForm | None:
    """`carry_out`, also past a mistake that nobody foresaw; raises InDoubt."""
    try:
        return carry_out(hypervisor, do, order, tell)
    except Exception:  # noqa: BLE001  # without an end, its repeats would be in vain for ever
        _log.exception("%s failed in a way that it should not.", order)
    try:
        return _after_a_mistake(hypervisor, do, order)
    except Exception as error:
        _log.exception("What came of %s will be found out when this program begins anew.", order)
        raise InDoubt from error


def _after_a_mistake(hypervisor: Hypervisor, do: Do, order: OrderForm) -> ReportForm | None:
    """The outcome of an order after a mistake: no more than what is so, or is made so here."""
    guest = InstanceId(order.instance_id)
    if do in _BEGINS:
        hypervisor.kill(guest)
        if do is Do.PREPARE or not keeps_disks(order):
            hypervisor.clear(guest)
    if do is Do.SEND:
        raise HypervisorFailed(f"Whether instance {guest} has left is not known.")
    if do in {Do.SAVE, Do.FIND_SAVED}:
        return None  # its repeat will see whether it is saved
    if do is Do.RUN:
        return carry_out(hypervisor, do, order)  # harmless where it runs, and then it is said
    return failure(order, "The node made a mistake; its log says more.")


def carry_out(
    hypervisor: Hypervisor, do: Do, order: OrderForm, tell: Tell = _keep_quiet
) -> ReportForm | None:
    """Do it and return the order's outcome; ``None`` when nobody waits for one.

    An outcome that is known before all is done is given to `tell`, and returned only if it was not.
    """
    guest = InstanceId(order.instance_id)
    try:
        if do is Do.PREPARE:
            _prepare(hypervisor, guest, order, tell)
            return None
        return _ACTS[do](hypervisor, guest, order)
    except NoSuchImage as error:
        if do in {Do.RESTORE, Do.RESTORE_AFRESH}:
            return replace(success(order, "MemorySpent"), words=error.message)
        return failure(order, error.message)
    except DisksGone as error:
        gone = failure(order, error.message)
        return None if gone is None else replace(gone, disks_remain=False)
    except TashiError as error:
        _log.warning("Instance %d: %s failed: %s", guest, order.order.value, error)
        return failure(order, error.message)


def started(order: OrderForm, running: Running) -> ReportForm:
    """The outcome of a start that succeeded."""
    return _with(running, success(order, "Started"))


def came(note: Note, running: Running) -> ReportForm:
    """The news of a guest that runs here by its source's word."""
    return _with(running, about(note, "Arrived"))


def _with(running: Running, report: ReportForm) -> ReportForm:
    nics = tuple(to_form(nic, NicForm) for nic in running.nics)
    booted = running.hardware
    hardware = None if booted is None else to_form(booted, HardwareForm)
    return replace(report, vm_id=running.vm_id, nics=nics, hardware=hardware)


def _start(hypervisor: Hypervisor, _: InstanceId, order: OrderForm) -> ReportForm:
    return started(order, hypervisor.start(_spec(order)))


def _replace(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    hypervisor.kill(guest)
    hypervisor.clear(guest)
    return started(order, hypervisor.start(_spec(order)))


def _restore(hypervisor: Hypervisor, _: InstanceId, order: OrderForm) -> ReportForm:
    saved = "" if order.instance is None else order.instance.saved or ""
    return started(order, hypervisor.restore(_going_on(order), saved))


def _restore_afresh(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    hypervisor.kill(guest)
    hypervisor.clear(guest)
    return _restore(hypervisor, guest, order)


def _store(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    stored = stored_name(guest, Attempt(order.attempt))
    hypervisor.store(guest, stored)
    return replace(success(order, "DisksStored"), stored=stored)


def _pause(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    hypervisor.pause(guest)
    return success(order, "PauseDone")


def _unpause(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    hypervisor.unpause(guest)
    return success(order, "UnpauseDone")


def _alter(hypervisor: Hypervisor, _: InstanceId, order: OrderForm) -> ReportForm | None:
    try:
        running = hypervisor.alter(_spec(order))
    except NoSuchVm as error:
        # That it has the devices from before would be too much to say; that it has ended is said.
        _log.info("Instance %d has ended, and was not altered: %s", order.instance_id, error)
        return None
    return replace(started(order, running), kind="Altered", vm_id=0)


def _power_down(hypervisor: Hypervisor, guest: InstanceId, _: OrderForm) -> None:
    hypervisor.power_down(guest)


def _save(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm | None:
    """Whether it is saved; None while it is but has not ended: the order will be repeated."""
    saved = saved_name(guest, Operation(order.operation))
    try:
        hypervisor.save(guest, saved)
    except HypervisorFailed as error:
        _log.warning("Instance %d is saved, but is not ended yet: %s", guest, error)
        return None
    return replace(success(order, "Saved"), saved=saved)


def _find_saved(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm | None:
    """Whether a guest that is not here was saved; None where the image store cannot tell now."""
    try:
        return _save(hypervisor, guest, order)
    except NoSuchVm:
        return replace(success(order, "GuestEnded"), words="There is no such guest.")
    except UnableToSuspend as error:
        _log.warning("Instance %d: whether it was saved is not known yet: %s", guest, error)
        return None


def _prepare(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm, tell: Tell) -> None:
    """Have a target; where it is, is told while it gets ready, so that its source does, too.

    If it comes to nothing then, the source is told so at the target's door, and does not move.
    """

    def opened(incoming: str) -> None:
        tell(replace(success(order, "TargetReady"), incoming=incoming))

    hypervisor.kill(guest)
    hypervisor.clear(guest)
    hypervisor.prepare_target(_going_on(order), order.peer, opened)


def _send(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    assert order.instance is not None
    hypervisor.send(guest, order.instance.incoming)
    return left(order)


def left(order: OrderForm) -> ReportForm:
    """The outcome of a send that is complete. What is still here of the guest can wait."""
    return success(order, "SourceLeft")


def clear_away(hypervisor: Hypervisor, guest: InstanceId) -> None:
    """Clear away what is still here of a guest that is to be no more, if that can be.

    Of one that has left, the outcome is told before: until its target hears, it stands still.
    """
    try:
        hypervisor.kill(guest)
        hypervisor.clear(guest)
    except TashiError as error:
        _log.warning("Instance %d: not all of it is cleared away: %s", guest, error)


def cancel(hypervisor: Hypervisor, note: Note) -> None:
    """Let what takes long fail, if that can be: what is under way by the note, or waits."""
    try:
        hypervisor.cancel(note.id, _known_as(note.doing))
    except TashiError as error:
        _log.info("Instance %d: what is under way was not cancelled: %s", note.id, error)


def to_be_no_more(notes: Mapping[InstanceId, Note], orders: Iterable[OrderForm]) -> list[Note]:
    """Guests that orders end or clear away which could not be noted: that needs no note."""
    found = []
    for order in orders:
        note = notes.get(InstanceId(order.instance_id))
        step = None if note is None else ordered(note, order)
        if note is not None and step is not None and step.do in {Do.KILL, Do.CLEAR}:
            found.append(note)
    return found


def _known_as(order: OrderForm | None) -> str:
    """How the hypervisor calls what takes long; nothing where that has no name."""
    if order is not None and order.order is Order.SAVE:
        return saved_name(InstanceId(order.instance_id), Operation(order.operation))
    if order is not None and order.order is Order.SEND and order.instance is not None:
        return order.instance.incoming
    if order is not None and order.order in {Order.START, Order.RESTORE}:
        return stored_name(InstanceId(order.instance_id), Attempt(order.attempt))
    return ""


def hold(hypervisor: Hypervisor, guest: InstanceId, mac: str, ip: str) -> None:
    """Hold a guest's card to its address, if that can be."""
    try:
        hypervisor.allow(guest, mac, ip)
    except TashiError as error:
        _log.warning("Instance %d: its card is not held to %s: %s", guest, ip, error)


def _run(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    try:
        running = hypervisor.run(guest)
    except TashiError:
        # Its disks stay: whether all of them has arrived is not known here.
        hypervisor.kill(guest)
        raise
    return replace(started(order, running), kind="Arrived")


def _kill(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    hypervisor.kill(guest)
    hypervisor.clear(guest)
    return replace(success(order, "GuestEnded"), how=Ending.KILLED)


def _clear(hypervisor: Hypervisor, guest: InstanceId, order: OrderForm) -> ReportForm:
    hypervisor.kill(guest)
    hypervisor.clear(guest)
    return success(order, "Cleared")


_BEGINS: Final = {Do.START, Do.REPLACE, Do.RESTORE, Do.RESTORE_AFRESH, Do.PREPARE}
_ACTS: Final = {
    Do.START: _start,
    Do.REPLACE: _replace,
    Do.RESTORE: _restore,
    Do.RESTORE_AFRESH: _restore_afresh,
    Do.STORE: _store,
    Do.PAUSE: _pause,
    Do.UNPAUSE: _unpause,
    Do.POWER_DOWN: _power_down,
    Do.ALTER: _alter,
    Do.SAVE: _save,
    Do.FIND_SAVED: _find_saved,
    Do.SEND: _send,
    Do.RUN: _run,
    Do.KILL: _kill,
    Do.CLEAR: _clear,
}


def _going_on(order: OrderForm) -> GuestSpec:
    """A guest that is not booted here, but needs what it was booted on."""
    assert order.instance is not None
    booted = order.instance.hardware
    hardware = None if booted is None else to_record(booted, Hardware)
    return dataclasses.replace(_spec(order), hardware=hardware)


def _spec(order: OrderForm) -> GuestSpec:
    instance = order.instance
    assert isinstance(instance, InstanceForm), "A start carries the record it starts."
    devices = instance.wanted or instance
    return GuestSpec(
        instance_id=InstanceId(order.instance_id),
        attempt=Attempt(order.attempt),
        name=instance.name,
        cores=instance.cores,
        memory=Mib(instance.memory),
        disks=tuple(to_record(disk, Disk) for disk in devices.disks),
        nics=tuple(to_record(nic, Nic) for nic in devices.nics),
        cdrom=devices.cdrom,
        hints=instance.hints,
        keep_disks=keeps_disks(order),
        stored=instance.stored or "",
    )
