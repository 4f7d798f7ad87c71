"""The cluster's record of one instance, and the parts it is made of.

A record is never changed, only replaced, and its state only by `transitions.step`. The record says
what was asked for (name, cores, disks …), where the instance is (host, target, attempt) and what
the cluster still owes (the running operation, leftovers to clear away).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from tashi.domain.engine import Hardware
from tashi.domain.identity import (
    Attempt,
    HostId,
    InstanceId,
    Mib,
    NetworkId,
    Operation,
    UserId,
    VmId,
)
from tashi.domain.states import InstanceState, Order, facts

PORTS: Final = 4
"""How many disks and network cards can be plugged in while a guest runs."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk by its place under ``images/``; what is written to a persistent one is kept there.

    One that was plugged in has the number of its `port`, which never changes; others have 0.
    """

    uri: str
    persistent: bool = False
    port: int = 0


@dataclass(frozen=True, slots=True)
class Forward:
    """A guest's TCP port that its host offers on a loopback port."""

    guest_port: int
    host_port: int


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card; the address is known once somebody gave or saw it, `port` is as a disk's."""

    network: NetworkId
    mac: str
    ip: str | None = None
    forwards: tuple[Forward, ...] = ()
    port: int = 0


@dataclass(frozen=True, slots=True)
class Devices:
    """What can be plugged in and out: disks, network cards, and the image in the CD drive."""

    disks: tuple[Disk, ...] = ()
    nics: tuple[Nic, ...] = ()
    cdrom: str = ""


class ListingStage(StrEnum):
    """How far the booking of an address has come."""

    ASKED = "asked"
    """Its owner asked for it, and nobody else may have it; it has no name yet."""
    BOOKED = "booked"
    """It is the card's, with a name; the site's servers may know it from now on."""
    LISTED = "listed"
    """The site's servers have it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """An address that is booked for a network card, and the host name that goes with it.

    The name stands below the site's domain. `number` is 0 for the instance's own name, N for
    name-nicN.
    """

    mac: str
    network: NetworkId
    ip: str
    name: str = ""
    number: int = 0
    stage: ListingStage = ListingStage.ASKED


@dataclass(frozen=True, slots=True)
class Spent:
    """Stored disks, or else saved memory, that nobody needs any more and that is yet to be deleted.

    `name` is what the record had in `stored` or `saved`.
    """

    name: str
    memory: bool = False


def with_address(nics: tuple[Nic, ...], mac: str, ip: str) -> tuple[Nic, ...]:
    """The cards, the one with that MAC address with this IP address."""
    return tuple(replace(nic, ip=ip) if nic.mac == mac else nic for nic in nics)


class OnExit(StrEnum):
    """What becomes of an instance whose guest powers itself off."""

    FORGET = "forget"
    STOP = "stop"
    RESTART = "restart"


class OnLoss(StrEnum):
    """What becomes of an instance whose QEMU or host died, once that is proven."""

    RESTART = "restart"
    STOP = "stop"
    FORGET = "forget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """All that the cluster knows of one instance.

    `memory` is in MiB. `was` is the state that an orphan had. `saved` names its saved memory in
    the image store. `disks_on` is the host that keeps the disks of an instance that is not
    running; once they are in the image store, `stored` names them there. `spent` is what the image
    store has yet to delete. `incoming` is where a migrating guest is to be sent, until all of it is
    there. `leftovers` are hosts that have yet to
    clear away what they keep of an instance that is over, or has left them. `keep` says that the
    shutdown under way ends in Stopped. `tries` counts starts that failed in a row. `changed_at` is
    when the state last changed, in seconds since 1970 on the cluster manager's clock. `hardware`
    is what its guest was last booted on. `cdrom` is the image in the CD drive, `wanted` the devices
    it is being given. `listings` are the addresses that are booked for its cards, also those that
    the site's DNS and DHCP have yet to forget; of two for one card the later one counts.
    `announced` says that hooks were told of it, and are to be told of its end; `trouble`, what
    keeps its names and addresses from the site's servers.
    """

    id: InstanceId
    name: str
    user_id: UserId
    cores: int
    memory: Mib
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    group_name: str = ""
    cdrom: str = ""
    on_exit: OnExit = OnExit.FORGET
    on_loss: OnLoss = OnLoss.RESTART

    state: InstanceState = InstanceState.PENDING
    host_id: HostId | None = None
    target_id: HostId | None = None
    vm_id: VmId | None = None
    attempt: Attempt = Attempt(0)
    operation: Operation = Operation(0)
    was: InstanceState | None = None
    saved: str | None = None
    disks_on: HostId | None = None
    stored: str | None = None
    spent: tuple[Spent, ...] = ()
    incoming: str = ""
    wanted: Devices | None = None
    leftovers: tuple[HostId, ...] = ()
    keep: bool = False
    tries: int = 0
    reason: str = ""
    changed_at: float = 0.0
    hardware: Hardware | None = None
    listings: tuple[Listing, ...] = ()
    announced: bool = False
    trouble: str = ""

    @property
    def hosts(self) -> tuple[HostId, ...]:
        """The hosts it occupies, the present one first."""
        if self.target_id is None:
            return () if self.host_id is None else (self.host_id,)
        return (self.target_id,) if self.host_id is None else (self.host_id, self.target_id)

    @property
    def is_being_stored(self) -> bool:
        """Whether it is at rest with disks that its host has yet to put into the image store."""
        return self.disks_on is not None and facts(self.state).order is Order.STORE

    @property
    def has_local_disks(self) -> bool:
        """Whether what it writes to some disk is only on the host where it runs."""
        local = any(not disk.persistent for disk in self.disks)
        return local or int(self.hints.get("scratchSpace", "0")) > 0

    @property
    def persistent_disks(self) -> tuple[str, ...]:
        """The places of the disks that no other instance may have at the same time."""
        disks = self.disks if self.wanted is None else (*self.disks, *self.wanted.disks)
        return tuple(dict.fromkeys([disk.uri for disk in disks if disk.persistent]))

    @property
    def devices(self) -> Devices:
        """The devices that it has."""
        return Devices(self.disks, self.nics, self.cdrom)

    @property
    def macs(self) -> tuple[str, ...]:
        """The addresses of all its network cards, also of those that are being plugged in."""
        nics = self.nics if self.wanted is None else (*self.nics, *self.wanted.nics)
        return tuple(dict.fromkeys([nic.mac for nic in nics]))

    @property
    def images(self) -> tuple[str, ...]:
        """The places of all images that it uses, also of those that it is being given."""
        several = (self,) if self.wanted is None else (self, self.wanted)
        disks = [disk.uri for devices in several for disk in devices.disks]
        cdroms = [devices.cdrom for devices in several if devices.cdrom]
        return tuple(dict.fromkeys(disks + cdroms))

    def __str__(self) -> str:
        return f"instance {self.id} ({self.name})"


def saved_name(instance: InstanceId, operation: Operation) -> str:
    """Under which name an instance's memory is saved; no two operations ever share one."""
    return f"{instance}-{operation}"


def stored_name(instance: InstanceId, attempt: Attempt) -> str:
    """Under which name the disks that an attempt left behind are stored; no two ever share one."""
    return f"{instance}-a{attempt}"
