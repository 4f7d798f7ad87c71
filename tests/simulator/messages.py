"""What travels between the modelled cluster manager and its nodes, and which numbers protect it."""

from dataclasses import dataclass

from tashi.domain.events import Report
from tashi.domain.guest import Inventory
from tashi.domain.identity import Attempt, Epoch, HostId, InstanceId, Operation, Session
from tashi.domain.instructions import NodeOrder


@dataclass(frozen=True, slots=True)
class Protections:
    """What every safety rule rests on; taking one away must be noticed.

    The numbers, and of a source's word to its target: that it is said after the source has written
    down that its guest has left (`promises`), and that it fits the one door it was drawn for
    (`doors`). `debts` are what the image store is to delete, booked until it has.
    """

    sessions: bool = True
    operations: bool = True
    attempts: bool = True
    promises: bool = True
    doors: bool = True
    debts: bool = True


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
    """What the source of a migration tells the target: the guest is yours.

    Its attempt and operation stand for the word of the door that the target has opened for them.
    """

    host_id: HostId
    instance_id: InstanceId
    attempt: Attempt
    operation: Operation


Message = Orders | Words | Left
