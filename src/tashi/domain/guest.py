"""What a node says of one guest: the other half of the cluster's record of an instance.

An *instance* is the cluster's; a *guest* is the QEMU process on a host. A node lists its guests in
an inventory, made after the session was opened and sent in order with its reports. What a guest
uses, and how far its move is, are glimpses: true for a moment, lost without harm, never booked.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRates:
    """What a guest did with one disk, by QEMU's name for it: requests and bytes, each a second."""

    name: str
    reads: float
    writes: float
    read_bytes: float
    written_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NicRates:
    """What crossed one network card, as the guest sees it: packets and bytes, each a second."""

    mac: str
    received_packets: float
    sent_packets: float
    received_bytes: float
    sent_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a guest used in the last `seconds`.

    `cpu_load` is 1.0 for a whole core. In bytes: `rss` is the host's memory that its QEMU has,
    `vsize` its address space, `balloon` the memory that the guest may use.
    """

    seconds: float
    cpu_load: float
    rss: int
    vsize: int
    balloon: int | None = None
    disks: tuple[DiskRates, ...] = ()
    nics: tuple[NicRates, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a move, a save or a storing is: bytes done of those known so far, bytes a second.

    `words` name what is under way, and whatever else people want to know of it.
    """

    done: int = 0
    total: int = 0
    rate: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What a node knows of one guest right now; `progress` is that of the `operation`."""

    instance_id: InstanceId
    operation: Operation
    stats: Stats | None = None
    progress: Progress | None = None


def start_of(offset: int, size: int) -> int:
    """Where a console's log of that size is read from; a negative offset counts from its end."""
    return max(0, size + offset) if offset < 0 else min(offset, size)
