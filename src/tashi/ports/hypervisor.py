"""What runs guests on one machine.

The node manager decides; the hypervisor does. Its methods block until the thing is done or has
failed, and are called from several threads, but never twice at once for the same guest. What
happens by itself (a guest powers off, QEMU dies, a disk is full) reaches the listener at once.

A guest is known by its instance id. Everything about it lives in one folder; a guest outlives the
process that started it and is found again by `adopt`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from tashi.domain.engine import Engine, Hardware
from tashi.domain.guest import Ending, Progress
from tashi.domain.identity import Attempt, InstanceId, Mib, VmId
from tashi.domain.instance import Disk, Nic


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSpec:
    """What a guest is to be made of.

    `keep_disks`: go on with the disks it left on this machine. `stored`: go on with those that are
    in the image store under that name. `hardware` is what a guest was booted on that goes on here;
    ``None`` boots it on what there is.
    """

    instance_id: InstanceId
    attempt: Attempt
    name: str
    cores: int
    memory: Mib
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    cdrom: str = ""
    hints: Mapping[str, str] = field(default_factory=dict)
    keep_disks: bool = False
    stored: str = ""
    hardware: Hardware | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A guest whose vCPUs run: its process, its network cards with the ports forwarded, and what
    it was booted on, where that is known.
    """

    vm_id: VmId
    nics: tuple[Nic, ...]
    hardware: Hardware | None = None


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a guest's display is shown: an address and a port, or else a socket; `tls` or not."""

    address: str = ""
    port: int = 0
    socket: str = ""
    tls: bool = False


class Found(Enum):
    """What a guest from before was found doing."""

    RUNNING = auto()
    FROZEN = auto()
    NOT_BEGUN = auto()
    """Its QEMU is there, but no vCPU has run yet."""
    RECEIVING = auto()
    """Its QEMU waits for the guest to be sent from another machine, or has just got it."""
    LEFT = auto()
    """It was sent to another machine and never runs here again."""
    GONE = auto()
    """Only its folder is left."""


@dataclass(frozen=True, slots=True)
class FoundGuest:
    """A guest from before; `running` is ``None`` unless its vCPUs have run and it is there."""

    instance_id: InstanceId
    attempt: Attempt
    found: Found
    running: Running | None = None
    how: Ending = Ending.CRASHED
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskCounters:
    """What a guest has done with one disk so far, by QEMU's name for it."""

    name: str
    reads: int
    writes: int
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NicCounters:
    """What has crossed one network card so far, as the guest sees it."""

    mac: str
    received_packets: int
    sent_packets: int
    received_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What has been counted of a guest by the moment `at`, in seconds of a clock without jumps.

    Counters begin anew with another `vm_id`, and those of a device whenever it was plugged in;
    each has 64 bits. `rss`, `vsize` and `balloon` are as in `Stats`. Devices that nobody counts
    for are left out.
    """

    instance_id: InstanceId
    vm_id: VmId
    at: float
    cpu_nanoseconds: int
    rss: int
    vsize: int
    balloon: int | None = None
    disks: tuple[DiskCounters, ...] = ()
    nics: tuple[NicCounters, ...] = ()


@dataclass(frozen=True, slots=True)
class Others:
    """What guests that are not Tashi's take of this machine."""

    cores: int = 0
    memory: Mib = Mib(0)


class Happening(Enum):
    """What can happen to a guest by itself."""

    ENDED = auto()
    FROZE = auto()
    THAWED = auto()
    ADDRESSED = auto()
    """By its own agent's word, one of its network cards has an address."""
    ARRIVED = auto()
    """It was received and runs here: its source has said that it left."""


@dataclass(frozen=True, slots=True)
class News:
    """One happening; `how` is said of an end, `mac` and `ip` of an address, `words` to people.

    Of an arrival `running` is said, and `incoming`, which `prepare_target` had returned.
    """

    instance_id: InstanceId
    what: Happening
    how: Ending = Ending.CRASHED
    words: str = ""
    mac: str = ""
    ip: str = ""
    incoming: str = ""
    running: Running | None = None


Listener = Callable[[News], None]
Follower = Callable[[InstanceId, Progress], None]
Opened = Callable[[str], None]


def unheeded(_incoming: str) -> None:
    """Where a guest is to be sent, for who is in no hurry to hear it."""


class Hypervisor(Protocol):
    """Starts, adopts, commands and ends guests on this machine."""

    def engine(self) -> Engine:
        """What guests are run with here."""
        ...

    def others(self) -> Others:
        """What others run here takes, as far as it can be seen; those guests are left alone."""
        ...

    def listen(self, listener: Listener) -> None:
        """Tell `listener` whatever happens to guests from now on, from any thread.

        Ends and freezes that were caused by a method below are not news.
        """
        ...

    def follow(self, follower: Follower) -> None:
        """Tell `follower` from now on how far each `save`, `store` and `send` is, from any thread.

        Of a start, how far stored disks are fetched.

        As often as people want to look, about once a second, and in vain when it is over at once.
        """
        ...

    def adopt(self) -> Sequence[FoundGuest]:
        """Every guest that an earlier process started here, and watch those that live."""
        ...

    def start(self, spec: GuestSpec) -> Running:
        """Make the disks, start the guest, return once its vCPUs run.

        A guest found NOT_BEGUN is carried on from there. Raises HypervisorFailed; then nothing is
        left that was not there before.
        """
        ...

    def pause(self, guest: InstanceId) -> None:
        """Stop the vCPUs; no harm when they stand already. Raises NoSuchVm or HypervisorFailed."""
        ...

    def unpause(self, guest: InstanceId) -> None:
        """Let the vCPUs run; no harm when they do. Raises NoSuchVm or HypervisorFailed."""
        ...

    def power_down(self, guest: InstanceId) -> None:
        """Press the power button; the guest may not notice. Raises NoSuchVm or HypervisorFailed."""
        ...

    def alter(self, spec: GuestSpec) -> Running:
        """Give a running guest the devices of `spec`: plug in what it lacks, out what is too much.

        Only what has a port is plugged, and the medium in the CD drive is changed. Done before, it
        is done. Raises NoSuchVm or HypervisorFailed; the guest then has what it had.
        """
        ...

    def start_vnc(self, guest: InstanceId, password: str, *, on_socket: bool) -> Screen:
        """Show the display to who has the password, over TCP or on a socket of this machine.

        A guest that is shown already is shown anew. Raises NoSuchVm or HypervisorFailed.
        """
        ...

    def stop_vnc(self, guest: InstanceId) -> None:
        """Let nobody look any more who does not look already; harmless when nobody could.

        Raises NoSuchVm or HypervisorFailed.
        """
        ...

    def type_in(self, guest: InstanceId, typed: bytes) -> None:
        """Type on the serial console; returns when the guest has taken it up.

        Raises NoSuchVm or HypervisorFailed.
        """
        ...

    def reset(self, guest: InstanceId) -> None:
        """Press the reset button. Raises NoSuchVm or HypervisorFailed."""
        ...

    def kill(self, guest: InstanceId) -> None:
        """End the guest at once and return when its process is no more; harmless if there is none.

        Its folder and disks stay. Raises HypervisorFailed when the process will not die.
        """
        ...

    def clear(self, guest: InstanceId) -> None:
        """Remove whatever this machine keeps of a guest that has ended: folder, disks, devices.

        Harmless when there is nothing. Raises HypervisorFailed.
        """
        ...

    def save(self, guest: InstanceId, to: str) -> None:
        """Write the memory to that name under ``suspend/`` and end the guest; its disks stay.

        The name appears only when the file is complete and durable; from then on the guest never
        runs again. When the name is there and the guest is not, this was done before and is done.
        Raises NoSuchVm when neither is there, or UnableToSuspend; the guest, if there is one, then
        runs on. Raises HypervisorFailed when it is written but the process will not die: to repeat
        this is to try that again.
        """
        ...

    def store(self, guest: InstanceId, to: str) -> None:
        """Copy the disks that an ended guest left here to that name under ``suspend/``.

        They are complete and durable there when this returns, and stay here as well. To repeat it
        is harmless. Raises NoSuchVm when nothing is kept of the guest, or HypervisorFailed.
        """
        ...

    def restore(self, spec: GuestSpec, saved: str) -> Running:
        """Start the guest from saved memory, which is marked as used before its vCPUs run.

        Raises UnableToResume, or NoSuchImage when the memory was used before or is not there.
        """
        ...

    def prepare_target(self, spec: GuestSpec, peer: str, opened: Opened = unheeded) -> str:
        """Make ready to receive a guest from the machine at that address, and from no other.

        Returns where `send` can reach it, a text that is like no other; `opened` is told that as
        soon as a `send` may begin, which then waits until all is ready here, or fails if it comes
        to nothing. Disks that are not shared are made here and filled while the guest is sent.
        Raises HypervisorFailed; then nothing is left that was not there before.
        """
        ...

    def send(self, guest: InstanceId, incoming: str) -> None:
        """Move a running guest to another machine, which `prepare_target` made ready.

        Returns once it has left: from then on it never runs here again, whatever happens. Only
        then, and by the way, the target is told: it runs the guest at once and says that it has
        ARRIVED. That word may be lost. Raises NoSuchVm or HypervisorFailed; the guest then runs on
        here.
        """
        ...

    def cancel(self, guest: InstanceId, what: str) -> None:
        """Let the `send` to that door fail, or the `save` under that name, or a `store`.

        Or the fetching of stored disks for the attempt whose own would be stored under that name.
        May run beside it, and also before it: then it fails at once. (One that QEMU does for itself
        may be done all the same.) A guest that has left stays away. Harmless when that is over, or
        nothing of the kind.
        """
        ...

    def run(self, guest: InstanceId) -> Running:
        """Let a guest that has arrived run, if its source's word was lost; no harm when it does.

        Raises HypervisorFailed when not all of it has arrived, NoSuchVm when nothing has.
        """
        ...

    def counters(self) -> Sequence[Counters]:
        """What has been counted of every guest that lives here, in the order of their ids.

        One that does not answer is left out, after a few seconds for all of them together.
        """
        ...

    def allow(self, guest: InstanceId, mac: str, ip: str) -> None:
        """The address of the card with that MAC address is known: it may send as that and no other.

        Remembered with the guest; harmless when there is no such guest or card. Raises
        HypervisorFailed when the card cannot be held to it.
        """
        ...

    def console(self, guest: InstanceId, offset: int, most: int) -> tuple[bytes, int]:
        """What the serial console said from `offset` on, at most `most` bytes, and where that ends.

        A negative offset counts from the end. Raises NoSuchVm when nothing is kept of the guest.
        """
        ...

    def close(self) -> None:
        """Let go of every guest without harming it; nothing is told to the listener any more."""
        ...
