"""What travels between the modelled cluster manager and its nodes, and which numbers protect it."""

from dataclasses import dataclass

from tashi.domain.events import Report
from tashi.domain.guest import Inventory
from tashi.domain.identity import Attempt, Epoch, HostId, InstanceId, Operation, Session
from tashi.domain.instructions import NodeOrder


@dataclass(frozen=True, slots=True)
class Protections:
    """The three numbers that every safety rule rests on; taking one away must be noticed."""

    sessions: bool = True
    operations: bool = True
    attempts: bool = True


@dataclass(frozen=True, slots=True)
class Orders:
    """A batch of orders in a session."""

    host_id: HostId
    epoch: Epoch
    session: Session
    number: int
    orders: tuple[NodeOrder, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """A node's reports in a session, and once in each its inventory, which counts after them."""

    host_id: HostId
    session: Session
    number: int
    reports: tuple[tuple[InstanceId, Report], ...]
    inventory: Inventory | None


@dataclass(frozen=True, slots=True)
class Left:
    """What the source of a migration tells the target: the guest is yours."""

    host_id: HostId
    instance_id: InstanceId
    attempt: Attempt
    operation: Operation


Message = Orders | Words | Left
