"""What a node says of one guest: the other half of the cluster's record of an instance.

An *instance* is the cluster's; a *guest* is the QEMU process on a host. A node lists its guests in
an inventory, made after the session was opened and sent in order with its reports.
"""

from dataclasses import dataclass
from enum import StrEnum

from tashi.domain.identity import Attempt, InstanceId, Operation, Session, VmId


class GuestState(StrEnum):
    """What a guest is doing, as its node sees it."""

    STARTING = "starting"
    RUNNING = "running"
    FROZEN = "frozen"
    SAVING = "saving"
    SENDING = "sending"
    RECEIVING = "receiving"
    LEFT = "left"
    GONE = "gone"


class Ending(StrEnum):
    """How a guest came to its end."""

    POWERED_OFF = "poweredOff"
    """By itself, or because it was asked to."""
    CRASHED = "crashed"
    """Its QEMU died, or its host was started anew."""
    KILLED = "killed"
    """On the cluster manager's order."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One line of an inventory; `operation` is the last one whose order the node took up."""

    instance_id: InstanceId
    attempt: Attempt
    operation: Operation
    state: GuestState
    vm_id: VmId | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every guest that a node has; it counts only in the session that it was made in."""

    session: Session
    guests: tuple[Guest, ...]
