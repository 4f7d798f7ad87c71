"""What can befall an instance: the left-hand column of the table of transitions.

Three families. A *command* is what somebody asks for; one that does not fit is refused. A *report*
is what a node says about one order or one guest; an *observation* is what the cluster manager sees
itself; of these two, one that does not fit is stale and changes nothing.

Whoever knows a difference says it in the event (`GuestStopped` rather than `GuestExited` with a
flag), so that the table needs no conditions.
"""

from dataclasses import dataclass
from typing import ClassVar

from tashi.domain.engine import Hardware
from tashi.domain.guest import Ending
from tashi.domain.identity import Attempt, HostId, Operation, VmId
from tashi.domain.instance import Nic


@dataclass(frozen=True, slots=True)
class Event:
    """Anything that can befall an instance."""


# ---- commands ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Command(Event):
    """Something asked for, accepted under the number `operation`."""

    operation: Operation

    renews: ClassVar[bool] = True
    """Whether the record's operation becomes this one; cancelling keeps the one it cancels."""


@dataclass(frozen=True, slots=True)
class Place(Command):
    """Start it on that host."""

    host_id: HostId


@dataclass(frozen=True, slots=True)
class PlaceSaved(Command):
    """Restore it from its saved memory on that host."""

    host_id: HostId


@dataclass(frozen=True, slots=True)
class ShutDown(Command):
    """Ask the guest to power off; what follows is said by the instance's `on_exit`."""


@dataclass(frozen=True, slots=True)
class Stop(Command):
    """Ask the guest to power off, and keep record and disks."""


@dataclass(frozen=True, slots=True)
class Start(Command):
    """Queue a stopped instance for a host again."""


@dataclass(frozen=True, slots=True)
class Destroy(Command):
    """Kill the guest and forget the instance."""


@dataclass(frozen=True, slots=True)
class Suspend(Command):
    """Write the guest's memory to the image store and free its host."""


@dataclass(frozen=True, slots=True)
class Resume(Command):
    """Queue a suspended instance for a host again."""


@dataclass(frozen=True, slots=True)
class Pause(Command):
    """Freeze the guest in its host's memory."""


@dataclass(frozen=True, slots=True)
class Unpause(Command):
    """Thaw the guest."""


@dataclass(frozen=True, slots=True)
class Reset(Command):
    """Press the guest's reset button."""


@dataclass(frozen=True, slots=True)
class Migrate(Command):
    """Move the running guest to that host."""

    target_id: HostId


@dataclass(frozen=True, slots=True)
class CancelMigrate(Command):
    """Leave the guest where it is, if it has not left yet."""

    renews: ClassVar[bool] = False


# ---- reports ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Event):
    """What a node says about one attempt; `words` is empty or a sentence for people."""

    host_id: HostId
    attempt: Attempt
    operation: Operation
    words: str = ""

    of_operation: ClassVar[bool] = True
    """Whether it is the outcome of one order, and so void once the operation is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Report):
    """The guest's vCPUs run."""

    vm_id: VmId
    nics: tuple[Nic, ...] = ()
    hardware: Hardware | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFailed(Report):
    """It could not be started or restored; nothing of it is left on the host.

    Unless `disks_remain`, the disks that the host was to have kept are not there.
    """

    disks_remain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySpent(Report):
    """Its saved memory has been used before and must not be used again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseDone(Report):
    """The vCPUs stand still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseFailed(Report):
    """The guest still runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpauseDone(Report):
    """The vCPUs run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpauseFailed(Report):
    """The guest is still frozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved(Report):
    """The memory stands complete in the image store under that name; the guest is no more.

    Unless `disks_remain`, the host has lost what it had of the guest.
    """

    saved: str
    disks_remain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveFailed(Report):
    """The guest runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReady(Report):
    """The target gets ready: the guest may be sent to that address, where it is waited for."""

    incoming: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFailed(Report):
    """The target cannot take the guest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFailed(Report):
    """The guest could not be sent and runs on at the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLeft(Report):
    """The source will never run the guest again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived(Report):
    """The guest's vCPUs run on the target."""

    vm_id: VmId
    nics: tuple[Nic, ...] = ()
    hardware: Hardware | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisksStored(Report):
    """Its disks stand complete in the image store under that name; the host has them, too."""

    stored: str
    of_operation: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared(Report):
    """The host keeps nothing of the instance any more."""

    of_operation: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestEnded(Report):
    """The guest is no more, and how that came; the ledger turns it into one of those below.

    `disks_remain`: the host keeps its disks until it is told what becomes of them; of a guest that
    it was receiving, whatever has come.
    """

    how: Ending
    disks_remain: bool = True
    of_operation: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestExited(Report):
    """It ended, and the instance with it."""

    of_operation: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestStopped(Report):
    """It ended; the instance is kept."""

    of_operation: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRestart(Report):
    """It ended after `lasted` seconds and is to run again."""

    lasted: float = 0.0
    of_operation: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRunning(Report):
    """It was thought frozen, but runs."""

    of_operation: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPaused(Report):
    """It was thought running, but stands still; `words` say why when QEMU did it."""

    of_operation: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAddress(Report):
    """The network card `mac` of the guest has the address `ip`."""

    mac: str
    ip: str
    of_operation: ClassVar[bool] = False


# ---- observations -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation(Event):
    """What the cluster manager finds out about a host of the instance; `words` say how."""

    host_id: HostId
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLost(Observation):
    """The host has been silent for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostBack(Observation):
    """The lost host has opened a session again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneGone(Observation):
    """Of two hosts that were told to kill it, one has nothing of it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGone(Observation):
    """The target of a migration has lost it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGone(Observation):
    """The source of a migration has lost it while memory was crossing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLost(Observation):
    """The host that should have started it is proven dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone(Observation):
    """Its guest is proven dead after `lasted` seconds; `disks_remain` on that host, or not."""

    disks_remain: bool = False
    lasted: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneRestart(Gone):
    """It is to run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneStop(Gone):
    """It is kept, not running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneForget(Gone):
    """It is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisksLost(Observation):
    """The host that kept its disks is proven dead, or has come back without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitEnded(DisksLost):
    """It waited to be started with disks that are lost, and is not to begin afresh by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingKept(Observation):
    """The host that was to keep its disks has none; nor had it any, all are in the image store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftoversLost(Observation):
    """A host that had yet to clear away leftovers of it is proven dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue(Observation):
    """Its order has not been answered in time and is given once more."""
