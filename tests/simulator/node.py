"""A model of one node manager: orders in, outcomes out, and it may die at any moment.

The contract: an intent is on disk before it is begun; an order that comes again (same kind, same
operation) is answered with its first outcome; outcomes stay on disk until they are acknowledged,
and are said again first in a new session, then comes the inventory, then what is new. An order for
a guest that is not there is answered with its end.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from simulator.hands import Hands
from simulator.machine import Machine, key_of
from simulator.messages import Left, Orders, Words
from simulator.slot import Slot, mac_of
from tashi.domain import events as e
from tashi.domain.guest import GuestState, Inventory
from tashi.domain.identity import Epoch, HostId, InstanceId, Session, VmId
from tashi.domain.instructions import NodeOrder
from tashi.domain.states import Order

_G: Final = GuestState
_NONE: Final = Session(-1)


@dataclass(slots=True)
class Node:
    """The node manager of a machine; `managed` says that it runs, `cut` that nobody hears it."""

    machine: Machine
    tell_target: Callable[[Left], None]
    hands: Hands = field(init=False)
    managed: bool = True
    cut: bool = False
    queue: dict[InstanceId, deque[NodeOrder]] = field(default_factory=dict)
    session: Session = _NONE
    taken: int = 0
    said: int = 0
    listed: bool = False
    sending: Words | None = None

    def __post_init__(self) -> None:
        self.hands = Hands(self.machine, self._say_left)

    @property
    def host_id(self) -> HostId:
        """The host it is on."""
        return self.machine.host_id

    @property
    def slots(self) -> dict[InstanceId, Slot]:
        """What its machine has of instances."""
        return self.machine.slots

    @property
    def is_awake(self) -> bool:
        """Whether it runs."""
        return self.machine.powered and self.managed

    @property
    def has_session(self) -> bool:
        """Whether it believes to be in a session."""
        return self.session != _NONE

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do and nothing to say."""
        busy = any(self.has_work(key) for key in {*self.slots, *self.queue})
        return not busy and not self.machine.outbox and self.listed

    def has_work(self, key: InstanceId) -> bool:
        """Whether there is something to be done or noticed about that instance."""
        slot = self.slots.get(key)
        return bool(self.queue.get(key) or (slot and (slot.intent or slot.unseen)))

    # ---- sessions -----------------------------------------------------------------------------

    def enter(self, epoch: Epoch, session: Session) -> None:
        """Begin a session, if its reign is not over."""
        if epoch < self.machine.epoch:
            return
        self.machine.epoch, self.session = epoch, session
        self.taken, self.said, self.listed, self.sending = 0, 0, False, None

    def leave(self) -> None:
        """Notice that the session is over."""
        self.session, self.sending = _NONE, None

    def words(self) -> Words:
        """What it says next; the same until it is acknowledged."""
        if self.sending is None:
            listed = tuple(slot.listed(key) for key, slot in self.slots.items())
            inventory = None if self.listed else Inventory(self.session, listed)
            reports = tuple(self.machine.outbox)
            self.sending = Words(self.host_id, self.session, self.said + 1, reports, inventory)
        return self.sending

    def acknowledged(self, words: Words) -> None:
        """Forget what the cluster manager has taken."""
        if self.sending is words:
            done = set(map(id, words.reports))
            self.machine.outbox = [one for one in self.machine.outbox if id(one) not in done]
            self.said += 1
            self.listed, self.sending = True, None

    # ---- orders -------------------------------------------------------------------------------

    def take_orders(self, message: Orders) -> bool:
        """Take a batch up; False when it is not of the present session."""
        present = message.epoch >= self.machine.epoch and message.session == self.session
        if self.machine.protections.sessions:
            if not present:
                return False
            if message.number <= self.taken:
                return True
        self.taken = message.number
        for order in message.orders:
            self._take_up(order)
        return present

    def hear_left(self, message: Left) -> None:
        """The source says that the guest is ours: it runs.

        This is not the cluster manager's order, which is answered by what is true when it comes:
        what we report now may not be heard, because the instance counts as lost with its source.
        Where an order is under way, its outcome says the same.
        """
        slot = self.slots.get(message.instance_id)
        fits = slot and slot.operation == message.operation and slot.attempt == message.attempt
        fits = fits or not self.machine.protections.doors
        if slot and fits and slot.state is _G.RECEIVING:
            if not slot.loaded:
                slot.eager = True
                return
            slot.state = _G.RUNNING
            if slot.intent:
                return
            arrived = e.Arrived(
                host_id=self.host_id,
                attempt=slot.attempt,
                operation=slot.operation,
                vm_id=VmId(1),
            )
            self.machine.outbox.append((message.instance_id, arrived))

    def work(self, key: InstanceId, *, lucky: bool) -> None:
        """Do the next thing for that instance; without luck it fails."""
        slot = self.slots.get(key)
        if slot and slot.intent and slot.outcome:
            if self.managed:
                self._record(key, slot, slot.intent, slot.outcome, lucky=lucky)
        elif slot and slot.intent:
            # QEMU goes on sending when its node manager is dead.
            if self.managed or (slot.intent.order is Order.SEND and not slot.sent):
                self.hands.carry_on(key, slot, slot.intent, lucky=lucky)
        elif not self.managed:
            return
        elif slot and slot.unseen:
            self.machine.say_ended(key, slot, slot.how)
            slot.unseen = False
        elif self.queue.get(key):
            self.hands.begin(key, self.queue[key].popleft())

    def _take_up(self, order: NodeOrder) -> None:
        if self.machine.protections.operations and self._is_repeat(order):
            first = self.machine.outcomes.get(key_of(order))
            if first is not None:
                self.machine.outbox.append((order.instance_id, first))
        elif order.order is Order.CANCEL_SEND:
            slot = self.slots.get(order.instance_id)
            sending = slot and slot.state is _G.SENDING and slot.operation == order.operation
            if slot and sending and not slot.sent:
                self.hands.stay(slot)
        else:
            self.queue.setdefault(order.instance_id, deque()).append(order)

    def _is_repeat(self, order: NodeOrder) -> bool:
        slot = self.slots.get(order.instance_id)
        under_way = [*self.queue.get(order.instance_id, ())]
        if slot and slot.intent:
            under_way.append(slot.intent)
        key = key_of(order)
        return key in self.machine.outcomes or key in map(key_of, under_way)

    def _record(
        self, key: InstanceId, slot: Slot, intent: NodeOrder, outcome: e.Report, *, lucky: bool
    ) -> None:
        self.machine.say(intent, outcome)
        slot.intent = slot.outcome = None
        cleared = slot.state is _G.LEFT and lucky
        if cleared or (slot.state is _G.GONE and not slot.disks):
            del self.slots[key]

    def _say_left(self, key: InstanceId, intent: NodeOrder) -> None:
        """Say to its target that a guest is gone from here; nobody does for a dead node manager."""
        target = intent.instance and intent.instance.target_id
        if self.managed and target:
            self.tell_target(Left(target, key, intent.attempt, intent.operation))

    # ---- what happens to it -------------------------------------------------------------------

    def blink(self, key: InstanceId, slot: Slot) -> None:
        """A guest stands still by itself, as on a full disk, or runs on by itself."""
        frozen = slot.state is _G.FROZEN
        slot.state = _G.RUNNING if frozen else _G.FROZEN
        if self.is_awake:
            kind = e.SeenRunning if frozen else e.SeenPaused
            report = kind(host_id=self.host_id, attempt=slot.attempt, operation=slot.operation)
            self.machine.outbox.append((key, report))

    def see(self, key: InstanceId, slot: Slot, ip: str) -> None:
        """A guest's address is seen on its network."""
        report = e.SeenAddress(
            host_id=self.host_id,
            attempt=slot.attempt,
            operation=slot.operation,
            mac=mac_of(key),
            ip=ip,
        )
        self.machine.outbox.append((key, report))

    def die(self) -> None:
        """The node manager is killed; guests and what is on disk stay."""
        self.managed = False
        self.queue.clear()
        self.leave()

    def start(self) -> None:
        """A new node manager finds out what became of the guests and of what was being done."""
        self.managed = True
        for slot in self.slots.values():
            if slot.intent is None or slot.outcome is not None:
                continue
            if slot.state is _G.SAVING:
                slot.state, slot.intent = _G.RUNNING, None
            elif slot.intent.order in {Order.PAUSE, Order.UNPAUSE}:
                slot.intent = None

    def lose_power(self) -> None:
        """The machine and all its processes are gone, the disk stays."""
        self.die()
        self.machine.lose_power()

    def boot(self, *, empty_disk: bool) -> None:
        """The machine comes back, perhaps with a new disk."""
        self.machine.powered = True
        if empty_disk:
            self.machine.empty()
        self.start()
