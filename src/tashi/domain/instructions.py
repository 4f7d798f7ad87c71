"""What the world is asked to do when an instance changes: orders to nodes and to the image store.

A transition names its orders as `Ask` members; `instruct` turns one into addressed instructions.
Since an order follows from the state, it can be given again at any time: `standing_orders` says
which orders a record implies, so that a node that opens a session is told what it may have missed.
Nodes answer a repeated order with its first outcome.
"""

from dataclasses import dataclass
from enum import Enum, auto

from tashi.domain.identity import Attempt, HostId, InstanceId, Operation
from tashi.domain.instance import Instance, Spent
from tashi.domain.states import InstanceState, Order, facts


@dataclass(frozen=True, slots=True)
class Instruction:
    """Something the world is asked to do."""


@dataclass(frozen=True, slots=True)
class NodeOrder(Instruction):
    """An order to one node about one instance.

    `instance` is the record as it stands after the change; ``None`` when the order is to end a
    guest that has no record any more. `peer` is the address of the other host of a move.
    """

    host_id: HostId
    order: Order
    instance_id: InstanceId
    attempt: Attempt
    operation: Operation
    instance: Instance | None = None
    peer: str = ""


@dataclass(frozen=True, slots=True)
class DeleteSpent(Instruction):
    """Remove from the image store what is not needed any more of an instance."""

    instance_id: InstanceId
    spent: Spent


class Ask(Enum):
    """An entry of the table's column of orders."""

    START = auto()
    RESTORE = auto()
    PAUSE = auto()
    UNPAUSE = auto()
    SAVE = auto()
    POWER_DOWN = auto()
    ALTER = auto()
    PREPARE_TARGET = auto()
    SEND = auto()
    RUN = auto()
    CANCEL_SEND = auto()
    KILL = auto()
    KILL_TARGET = auto()
    FORGET = auto()
    FORGET_SOURCE = auto()
    STORE = auto()
    CLEAR_LEFTOVERS = auto()
    REPEAT = auto()


def instruct(ask: Ask, before: Instance, after: Instance) -> tuple[Instruction, ...]:
    """The instructions that an entry of the table means for this change of a record."""
    match ask:
        case Ask.KILL:
            return tuple(_order(host, Order.KILL, after) for host in after.hosts)
        case Ask.KILL_TARGET:
            # The edits have struck the target out already: only the old record knows it.
            target = before.target_id
            return () if target is None else (_order(target, Order.KILL, after),)
        case Ask.FORGET_SOURCE:
            # Likewise: once the guest has moved, only the old record knows where it came from.
            source = None if before.target_id is None else before.host_id
            return _to(source, Order.FORGET, after)
        case Ask.FORGET:
            return _forget(after)
        case Ask.CLEAR_LEFTOVERS:
            return _forget(after)
        case Ask.REPEAT:
            return standing_orders(after)
        case _:
            return _to(_addressee(ask, after), Order[ask.name], after)


def _addressee(ask: Ask, after: Instance) -> HostId | None:
    if ask is Ask.PREPARE_TARGET:
        return after.target_id
    return after.disks_on if ask is Ask.STORE else after.host_id


def standing_orders(instance: Instance) -> tuple[NodeOrder, ...]:
    """The orders that follow from the record as it stands, for every host it concerns."""
    return (*_orders_of_the_state(instance), *_forget(instance))


def _orders_of_the_state(instance: Instance) -> tuple[NodeOrder, ...]:
    order = facts(instance.state).order
    if order is Order.STORE:
        return _to(instance.disks_on, order, instance)
    if order is Order.KILL:
        return tuple(_order(host, Order.KILL, instance) for host in instance.hosts)
    if order is Order.PREPARE_TARGET:
        return _to(instance.target_id, order, instance)
    if instance.state is InstanceState.MIGRATE_TRANS and instance.target_id is None:
        return _to(instance.host_id, Order.RUN, instance)
    return () if order is None else _to(instance.host_id, order, instance)


def owed_deletions(instance: Instance) -> tuple[DeleteSpent, ...]:
    """Everything of the instance that the image store has yet to delete."""
    return tuple(DeleteSpent(instance.id, one) for one in instance.spent)


def newly_spent(before: Instance, after: Instance) -> tuple[DeleteSpent, ...]:
    """What the image store has to delete since this change of a record."""
    return tuple(one for one in owed_deletions(after) if one.spent not in before.spent)


def _to(host: HostId | None, order: Order, instance: Instance) -> tuple[NodeOrder, ...]:
    return () if host is None else (_order(host, order, instance),)


def _forget(instance: Instance) -> tuple[NodeOrder, ...]:
    return tuple(_order(host, Order.FORGET, instance) for host in instance.leftovers)


def _order(host: HostId, order: Order, instance: Instance) -> NodeOrder:
    return NodeOrder(host, order, instance.id, instance.attempt, instance.operation, instance)
