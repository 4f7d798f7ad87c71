"""How a modelled node begins an order, and how the order ends, well or badly.

Beginning writes the intent down; ending does the thing, so that its outcome could be found out;
recording the outcome is a third step. Between any two of them the node manager may die.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from simulator.machine import Machine
from simulator.slot import Slot, who
from simulator.store import Violation
from tashi.domain import alterations as a
from tashi.domain import events as e
from tashi.domain.guest import Ending, GuestState
from tashi.domain.identity import InstanceId, VmId
from tashi.domain.instance import saved_name, stored_name
from tashi.domain.instructions import NodeOrder
from tashi.domain.states import Order

_G: Final = GuestState
_STARTING: Final = {Order.START, Order.RESTORE}


@dataclass(slots=True)
class Hands:
    """What a node manager does on its machine."""

    machine: Machine
    say_left: Callable[[InstanceId, NodeOrder], None]

    # ---- beginning ----------------------------------------------------------------------------

    def begin(self, key: InstanceId, order: NodeOrder) -> None:
        """Take an order in hand, or answer it at once; one for an older attempt is void."""
        slot = self.machine.slots.get(key)
        if slot and slot.attempt > order.attempt and self.machine.protections.attempts:
            return
        match order.order:
            case Order.START | Order.RESTORE:
                self._begin_start(key, slot, order)
            case Order.PREPARE_TARGET:
                self._begin_receiving(key, slot, order)
            case Order.KILL:
                self._begin_kill(slot, order)
            case Order.FORGET:
                self._forget(key, slot, order)
            case Order.STORE:
                self._begin_store(slot, order)
            case Order.RUN:
                self._begin_run(key, slot, order)
            case Order.SAVE if self._is_saved(slot, order):
                kept = slot is not None and slot.disks
                saved = e.Saved(**who(order), saved=memory_of(order), disks_remain=kept)
                self.machine.say(order, saved)
            case Order.SEND if slot and slot.state is _G.LEFT:
                self.machine.say(order, e.SourceLeft(**who(order)))
            case _:
                self._begin_with_guest(key, slot, order)

    def _begin_start(self, key: InstanceId, slot: Slot | None, order: NodeOrder) -> None:
        if slot and slot.is_live and slot.attempt == order.attempt:
            return
        # Whatever an older attempt left here is ended first; its disks are gone on with, if wanted.
        assert order.instance is not None
        wanted = order.instance.disks_on == order.host_id
        kept = wanted and slot is not None and slot.disks and slot.state is _G.GONE
        if wanted and not kept:
            self.machine.slots.pop(key, None)
            self.machine.say(order, e.StartFailed(**who(order), disks_remain=False))
            return
        self.machine.slots[key] = Slot(
            order.attempt, order.operation, _G.STARTING, disks=kept, intent=order
        )

    def _begin_receiving(self, key: InstanceId, slot: Slot | None, order: NodeOrder) -> None:
        machine = self.machine
        if slot and slot.is_live:
            raise Violation(f"Host {machine.host_id} should receive {key}, which runs there.")
        # What was not acknowledged about an earlier stay here is without meaning from now on.
        machine.outbox = [(one, report) for one, report in machine.outbox if one != key]
        machine.slots[key] = Slot(order.attempt, order.operation, _G.RECEIVING, intent=order)

    def _begin_run(self, key: InstanceId, slot: Slot | None, order: NodeOrder) -> None:
        if slot and slot.is_live:
            self.machine.say(order, e.Arrived(**who(order), vm_id=VmId(1)))
        elif slot and slot.state is _G.RECEIVING and slot.loaded:
            slot.operation, slot.intent = order.operation, order
        elif slot and slot.state is _G.RECEIVING:
            slot.end(Ending.CRASHED)
        elif slot is None or not slot.unseen:
            self.machine.say_ended(key, order, slot.how if slot else Ending.CRASHED)

    def _begin_kill(self, slot: Slot | None, order: NodeOrder) -> None:
        killed = e.GuestEnded(**who(order), how=Ending.KILLED)
        if slot is None:
            self.machine.say(order, killed)
            return
        if slot.saved:
            slot.outcome = e.Saved(**who(order), saved=slot.saved)
        elif slot.state is _G.LEFT:
            slot.outcome = e.SourceLeft(**who(order))
        else:
            slot.outcome = killed
        slot.operation, slot.intent, slot.unseen = order.operation, order, False
        slot.state, slot.disks = _G.GONE, False

    def _begin_store(self, slot: Slot | None, order: NodeOrder) -> None:
        if slot and slot.state is _G.GONE and slot.disks:
            slot.operation, slot.intent = order.operation, order

    def _forget(self, key: InstanceId, slot: Slot | None, order: NodeOrder) -> None:
        if slot and slot.is_live:
            raise Violation(f"Host {order.host_id} should forget {key}, which runs there.")
        self.machine.slots.pop(key, None)
        self.machine.say(order, e.Cleared(**who(order)))

    def _begin_with_guest(self, key: InstanceId, slot: Slot | None, order: NodeOrder) -> None:
        if slot is None or not slot.is_live:
            self.machine.say_ended(key, order, slot.how if slot else Ending.CRASHED)
            return
        slot.operation = order.operation
        if order.order is Order.POWER_DOWN:
            slot.asked = True
            return
        if order.order is Order.SAVE:
            slot.state = _G.SAVING
        if order.order is Order.SEND:
            slot.state = _G.SENDING
        slot.intent = order

    def _is_saved(self, slot: Slot | None, order: NodeOrder) -> bool:
        gone = slot is None or slot.state is _G.GONE
        return gone and memory_of(order) in self.machine.store.complete

    # ---- ending -------------------------------------------------------------------------------

    def carry_on(self, key: InstanceId, slot: Slot, order: NodeOrder, *, lucky: bool) -> None:
        """Bring what was begun to its end, or one step nearer; without luck it fails."""
        match order.order:
            case Order.SEND:
                self._send(key, slot, order, lucky=lucky)
            case Order.SAVE:
                self._save(slot, order, lucky=lucky)
            case Order.RESTORE if not slot.loaded:
                self._load(slot, order, lucky=lucky)
            case Order.START | Order.RESTORE:
                self._start(slot, order, lucky=lucky)
            case Order.STORE:
                self._store(slot, order, lucky=lucky)
            case Order.PREPARE_TARGET:
                self._make_ready(slot, order, lucky=lucky)
            case Order.ALTER:
                slot.came_of(a.Altered if lucky else a.AlterFailed)
            case Order.PAUSE | Order.UNPAUSE:
                self._freeze_or_thaw(slot, order, lucky=lucky)
            case _:  # RUN: to let vCPUs run does not fail
                slot.state = _G.RUNNING
                slot.outcome = e.Arrived(**who(order), vm_id=VmId(1))

    def stay(self, slot: Slot) -> None:
        """Do not send the guest, or no longer."""
        slot.state, slot.sent = _G.RUNNING, False
        slot.came_of(e.MoveFailed)

    def _make_ready(self, slot: Slot, order: NodeOrder, *, lucky: bool) -> None:
        if lucky:
            slot.outcome = e.TargetReady(**who(order), incoming=f"host {order.host_id}")
        else:
            slot.came_of(e.TargetFailed)
            slot.state, slot.disks = _G.GONE, False

    def _freeze_or_thaw(self, slot: Slot, order: NodeOrder, *, lucky: bool) -> None:
        if order.order is Order.PAUSE:
            slot.state = _G.FROZEN if lucky else slot.state
            slot.came_of(e.PauseDone if slot.state is _G.FROZEN else e.PauseFailed)
        else:
            slot.state = _G.RUNNING if lucky else slot.state
            slot.came_of(e.UnpauseDone if slot.state is _G.RUNNING else e.UnpauseFailed)

    def _start(self, slot: Slot, order: NodeOrder, *, lucky: bool) -> None:
        if not lucky:
            slot.state = _G.GONE
            slot.came_of(e.MemorySpent if slot.loaded else e.StartFailed)
            return
        self._check_disks(order)
        if order.order is Order.RESTORE:
            self.machine.store.wake(_saved(order))
        slot.state, slot.disks = _G.RUNNING, True
        slot.outcome = e.Started(**who(order), vm_id=VmId(1))

    def _check_disks(self, order: NodeOrder) -> None:
        stored = order.instance and order.instance.stored
        if stored and stored not in self.machine.store.disks:
            raise Violation(f"Instance {order.instance_id} starts without its disks {stored}.")

    def _load(self, slot: Slot, order: NodeOrder, *, lucky: bool) -> None:
        spent = _saved(order) not in self.machine.store.complete
        if lucky and not spent:
            self.machine.store.use(_saved(order))
            slot.loaded = True
            return
        slot.state = _G.GONE
        slot.came_of(e.MemorySpent if spent else e.StartFailed)

    def _save(self, slot: Slot, order: NodeOrder, *, lucky: bool) -> None:
        if not lucky:
            slot.state = _G.RUNNING
            slot.came_of(e.SaveFailed)
            return
        self.machine.store.complete.add(memory_of(order))
        slot.state, slot.saved = _G.GONE, memory_of(order)
        slot.outcome = e.Saved(**who(order), saved=slot.saved)

    def _store(self, slot: Slot, order: NodeOrder, *, lucky: bool) -> None:
        if not lucky or self.machine.store.full:
            slot.intent = None
            return
        stored = stored_name(order.instance_id, order.attempt)
        self.machine.store.disks.add(stored)
        slot.outcome = e.DisksStored(**who(order), stored=stored)

    def _send(self, key: InstanceId, slot: Slot, order: NodeOrder, *, lucky: bool) -> None:
        there = self._waiting_for(key, order)
        if not lucky or (there is None and not slot.sent):
            self.stay(slot)
        elif there is not None and not slot.sent:
            # QEMU does that much by itself.
            there.loaded = slot.sent = True
            if there.eager:
                there.state = _G.RUNNING
            if not self.machine.protections.promises:
                self.say_left(key, order)
        else:
            slot.state = _G.LEFT
            slot.came_of(e.SourceLeft)
            if self.machine.protections.promises:
                self.say_left(key, order)

    def _waiting_for(self, key: InstanceId, order: NodeOrder) -> Slot | None:
        """What waits on the target for just this guest."""
        target = order.instance and order.instance.target_id
        there = self.machine.others[target].slots.get(key) if target else None
        if there is None or there.state is not _G.RECEIVING:
            return None
        meant = there.operation == order.operation or not self.machine.protections.operations
        return there if meant else None


def memory_of(order: NodeOrder) -> str:
    """The name under which an order to save leaves memory."""
    return saved_name(order.instance_id, order.operation)


def _saved(order: NodeOrder) -> str:
    assert order.instance is not None
    assert order.instance.saved is not None
    return order.instance.saved
