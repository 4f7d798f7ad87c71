"""What is on a machine's disk, and its processes: all that outlives a node manager."""

from dataclasses import dataclass, field

from simulator.messages import Protections
from simulator.slot import Slot
from simulator.store import SavedMemory
from tashi.domain import events as e
from tashi.domain.guest import Ending, GuestState
from tashi.domain.identity import Epoch, HostId, InstanceId, Operation
from tashi.domain.instructions import NodeOrder
from tashi.domain.states import Order

OutcomeKey = tuple[InstanceId, Order, Operation]


@dataclass(slots=True)
class Machine:
    """One host; `others` are all machines, which a guest may be sent to."""

    host_id: HostId
    store: SavedMemory
    protections: Protections
    others: "dict[HostId, Machine]"
    powered: bool = True
    slots: dict[InstanceId, Slot] = field(default_factory=dict)
    outcomes: dict[OutcomeKey, e.Report] = field(default_factory=dict)
    outbox: list[tuple[InstanceId, e.Report]] = field(default_factory=list)
    epoch: Epoch = Epoch(0)

    def say(self, order: NodeOrder, outcome: e.Report) -> None:
        """Record what came of an order and report it, until it is acknowledged."""
        self.outcomes[key_of(order)] = outcome
        self.outbox.append((order.instance_id, outcome))

    def say_ended(self, key: InstanceId, of: Slot | NodeOrder, how: Ending) -> None:
        """Report the end of a guest."""
        slot = self.slots.get(key)
        report = e.GuestEnded(
            host_id=self.host_id,
            attempt=of.attempt,
            operation=of.operation,
            how=how,
            disks_remain=slot is not None and slot.disks,
        )
        self.outbox.append((key, report))

    def lose_power(self) -> None:
        """Every process is gone; the disk stays."""
        self.powered = False
        for slot in self.slots.values():
            if slot.state is GuestState.STARTING and slot.intent:
                slot.came_of(e.MemorySpent if slot.loaded else e.StartFailed)
                slot.state = GuestState.GONE
            elif slot.state is GuestState.RECEIVING and slot.intent and slot.outcome is None:
                slot.came_of(e.TargetFailed)
                slot.state, slot.disks = GuestState.GONE, False
            elif slot.is_process:
                slot.end(Ending.CRASHED)

    def empty(self) -> None:
        """The disk is replaced by an empty one."""
        self.slots.clear()
        self.outcomes.clear()
        self.outbox.clear()
        self.epoch = Epoch(0)


def key_of(order: NodeOrder) -> OutcomeKey:
    """What makes an order the repeat of another."""
    return order.instance_id, order.order, order.operation
