"""Beginning a guest: disks, network, a domain whose vCPUs stand still, and then they run.

Each step can be the last one before this process is killed. What is then found again is told by
libvirt, which has the domain or has not, and by the record, which says what was intended: only a
guest whose vCPUs have run has a process in its record. A start that fails on its own undoes all
that it did.

A domain is created without being defined: no libvirtd ever starts it a second time. What is defined
under its name is a headstone, with nothing in it that could run; there libvirt keeps how the guest
ended, for a node manager that was not there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import libvirt
import msgspec

from tashi.adapters.hypervisor.libvirt import taps
from tashi.adapters.hypervisor.libvirt.channel import Connection, Silent
from tashi.adapters.hypervisor.libvirt.doing import Doing
from tashi.adapters.hypervisor.libvirt.domain_xml import (
    Plan,
    domain_xml,
    forwarding,
    headstone_xml,
    netdev,
)
from tashi.adapters.hypervisor.libvirt.domains import (
    check_comes,
    process_of_thread,
    put_an_end_to,
)
from tashi.adapters.hypervisor.libvirt.guest import Guest, Surroundings
from tashi.adapters.hypervisor.libvirt.headstones import Headstones
from tashi.adapters.hypervisor.libvirt.mark import Folders, Mark
from tashi.adapters.hypervisor.qemu import devices, forwards
from tashi.adapters.hypervisor.qemu.command_line import guest_uuid
from tashi.adapters.hypervisor.qemu.disks import Disks, MadeDisks
from tashi.adapters.hypervisor.qemu.engine import Known
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.record import Record
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import VmId
from tashi.ports.network import Networks, OwnNetwork, Wiring

Creates = Callable[[Connection, str], None]
"""Makes a domain that stands still, of a description."""


class NeverRan(HypervisorFailed):
    """A guest was not begun: its vCPUs have not run, and nothing of it is left."""


class _Cpu(msgspec.Struct, rename="kebab"):
    thread_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """Starts domains on this machine."""

    emulator: str
    known: Known
    premises: Premises
    disks: Disks
    networks: Networks
    headstones: Headstones
    around: Surroundings
    on_step: Steps

    @property
    def folders(self) -> Folders:
        """Where this node keeps things."""
        return Folders(
            info=self.premises.info,
            overlays=self.premises.overlays,
            images=self.disks.images.folder,
        )

    def launch(self, record: Record, create: Creates) -> Guest:
        """Start a guest; raises HypervisorFailed, and then nothing is left that was not there.

        NeverRan, unless its vCPUs may have run before it was ended.
        """
        uuid = str(guest_uuid(record.spec.instance_id))
        with self.made_ready(record) as (guest, plan), _told_whether_it_ran(guest):
            self.around.link.ask(lambda connection: check_comes(connection, uuid))
            self.bury(guest)
            described = domain_xml(plan)
            self.around.link.ask(lambda connection: create(connection, described))
            self.on_step("spawned")
            self.settle(guest)
        return guest

    def settle(self, guest: Guest) -> None:
        """Take a domain that stands still as far as running."""
        seen = self.meet(guest)
        self.on_step("met")
        guest.begin()
        guest.remember(lambda _: seen)
        self.on_step("begun")

    def meet(self, guest: Guest) -> Record:
        """The guest's record with what is known now that it has a process."""
        nics = guest.record.spec.nics
        rules = _rules(guest.plugs)
        for rule in rules:
            guest.ask_as_a_human(rule)
        if rules:
            nics = forwards.with_forwards(nics, guest.ask_as_a_human(forwards.QUESTION), netdev)
        return replace(guest.record, vm_id=process_of(guest), nics=nics)

    @contextmanager
    def made_ready(self, record: Record) -> Iterator[tuple[Guest, Plan]]:
        """Make all that a guest needs before it can have a domain; unmade when this fails."""
        spec = record.spec
        self.known.check(spec)
        record = replace(record, hardware=spec.hardware or self.known.as_booted_here(spec))
        folder = GuestFolder(self.premises.of(spec.instance_id))
        guest = Guest(folder, record, self.around)
        made = MadeDisks()
        with self._undone_when_it_fails(guest, made):
            self.disks.make(spec, made)
            self.disks.fetch_console(spec, folder.places.console_log)
            self.on_step("disks")
            cards = devices.cards(spec.nics)
            with self.networks.wire(spec.instance_id, cards) as wiring:
                taps.keep(wiring.values())
                guest.plugs = dict(wiring)
            self.on_step("wired")
            folder.write(record)
            self.on_step("intent")
            yield guest, self._plan(guest, made)

    def _plan(self, guest: Guest, made: MadeDisks) -> Plan:
        spec, hardware = guest.record.spec, guest.record.hardware
        assert hardware is not None
        return Plan(
            emulator=self.emulator,
            hardware=hardware,
            spec=spec,
            places=guest.folder.places,
            mark=Mark(spec.instance_id, spec.attempt, self.folders),
            disks=made.files,
            medium=self.disks.medium(spec),
            plugs=[guest.plugs[number] for number in devices.cards(spec.nics)],
        )

    def bury(self, guest: Guest) -> None:
        """Have libvirt keep how the guest ends, once it has."""
        spec = guest.record.spec
        headstone = headstone_xml(spec, Mark(spec.instance_id, spec.attempt, self.folders))
        self.around.link.ask(lambda connection: _define(connection, headstone))

    @contextmanager
    def _undone_when_it_fails(self, guest: Guest, made: MadeDisks) -> Iterator[None]:
        folder = guest.folder
        try:
            before = folder.read()
            new = folder.make()
            try:
                yield
            except BaseException as wrong:
                guest.is_to_end()
                self._unmake(guest, made)
                if isinstance(wrong, Silent) or isinstance(wrong.__cause__, Silent):
                    self.headstones.expect_late(guest.id)
                if new:
                    folder.remove()
                elif before is not None:
                    folder.write(before)
                raise
        except OSError as error:
            raise HypervisorFailed(
                f"{folder.places.folder} cannot be used: {error.strerror or error}."
            ) from error

    def _unmake(self, guest: Guest, made: MadeDisks) -> None:
        """Remove what was made, first of all the domain: who fails at that leaves the rest."""
        info = self.premises.info
        self.around.link.insist(lambda connection: put_an_end_to(connection, guest.uuid, info))
        try:
            self.around.link.ask(lambda connection: self.headstones.remove(connection, guest.id))
        except HypervisorFailed:
            self.headstones.expect_late(guest.id)
        made.unmake()


@contextmanager
def _told_whether_it_ran(guest: Guest) -> Iterator[None]:
    try:
        yield
    except HypervisorFailed as failed:
        if guest.settled and not _stands(guest):
            raise
        raise NeverRan(str(failed)) from failed


def _stands(guest: Guest) -> bool:
    """Whether it is certain that its vCPUs stand still, as they did when it was created."""
    try:
        return guest.what_it_does() is Doing.STANDS
    except HypervisorFailed:
        return False


def _rules(plugs: Wiring) -> list[str]:
    return [
        forwarding(number, port)
        for number, plug in plugs.items()
        if isinstance(plug, OwnNetwork)
        for port in plug.forward
    ]


def _define(connection: Connection, described: str) -> None:
    connection.defineXML(described)


def create(connection: Connection, described: str) -> None:
    """Make a domain whose vCPUs stand still; raises libvirtError."""
    connection.createXML(described, libvirt.VIR_DOMAIN_START_PAUSED)


def process_of(guest: Guest) -> VmId:
    """The guest's QEMU, which libvirt does not name: that of its first vCPU's thread."""
    cpus = msgspec.convert(guest.ask("query-cpus-fast"), list[_Cpu])
    try:
        return VmId(process_of_thread(cpus[0].thread_id))
    except (OSError, StopIteration, IndexError) as error:
        raise HypervisorFailed(f"The process of instance {guest.id} is not found.") from error
