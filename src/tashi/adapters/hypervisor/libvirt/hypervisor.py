"""The port, on top of this package: which guests are known, and who does what for them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from tashi.adapters.hypervisor.libvirt import taps
from tashi.adapters.hypervisor.libvirt.adoption import Adoption
from tashi.adapters.hypervisor.libvirt.channel import Connection
from tashi.adapters.hypervisor.libvirt.counting import GLANCE_SECONDS, counters
from tashi.adapters.hypervisor.libvirt.doing import LIVING, what_it_does
from tashi.adapters.hypervisor.libvirt.domains import put_an_end_to, taken_by_others
from tashi.adapters.hypervisor.libvirt.guest import Guest, Surroundings
from tashi.adapters.hypervisor.libvirt.headstones import Headstones
from tashi.adapters.hypervisor.libvirt.launch import Creates, Launcher, NeverRan, create
from tashi.adapters.hypervisor.libvirt.link import Link, find
from tashi.adapters.hypervisor.libvirt.memory import Memory
from tashi.adapters.hypervisor.libvirt.plugs import Plugs
from tashi.adapters.hypervisor.libvirt.receiving import Receiving
from tashi.adapters.hypervisor.libvirt.relay import Way
from tashi.adapters.hypervisor.libvirt.sending import Sending
from tashi.adapters.hypervisor.libvirt.site import Site
from tashi.adapters.hypervisor.qemu.backends import check_backend
from tashi.adapters.hypervisor.qemu.caretaker import Caretaker
from tashi.adapters.hypervisor.qemu.command_line import guest_uuid
from tashi.adapters.hypervisor.qemu.consoles import keep_short
from tashi.adapters.hypervisor.qemu.departing import departures
from tashi.adapters.hypervisor.qemu.folder import GuestFolder, private_folder
from tashi.adapters.hypervisor.qemu.guests import Guests
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.plugging import Plugging
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.adapters.hypervisor.qemu.saved import SavedMemory
from tashi.adapters.hypervisor.qemu.screen import Screens
from tashi.adapters.hypervisor.qemu.storing import Storing
from tashi.adapters.hypervisor.qemu.tending import Means, Tending
from tashi.domain.engine import LIBVIRT, Engine
from tashi.domain.errors import HypervisorFailed, UnableToResume
from tashi.domain.guest import Ending
from tashi.domain.identity import InstanceId
from tashi.ports.commands import Commands
from tashi.ports.hypervisor import (
    Counters,
    FoundGuest,
    GuestSpec,
    Opened,
    Others,
    Running,
    unheeded,
)
from tashi.ports.network import Networks

_UNENCRYPTED: Final = Way()
_ELSEWHERE: Final = {Move.RECEIVING, Move.LEFT}


class Libvirt(Tending[Guest]):
    """A Hypervisor that runs each guest in a domain of libvirt's. To be closed; guests live on."""

    def __init__(
        self,
        site: Site,
        networks: Networks,
        commands: Commands,
        *,
        on_step: Steps = lambda _: None,
        way: Way = _UNENCRYPTED,
    ) -> None:
        """`on_step` is told how far each order is; guests are sent that `way`.

        Raises Misconfigured or HypervisorFailed.
        """
        qemu = site.qemu
        self._premises = Premises(qemu.info_dir.resolve(), qemu.scratch_dir.resolve())
        private_folder(self._premises.info)
        check_backend(self._premises, LIBVIRT)
        # Known before there is a line, for on it libvirt tells of guests at once.
        self._guests = guests = Guests[Guest](self._premises, "libvirt-news")
        self._making: set[InstanceId] = set()
        self._tidying = threading.Lock()
        self._others = Others()
        self._most_moves = qemu.max_parallel_migrations
        self._disks = site.disks(self._premises, commands, guests.go_on)
        self._storing = Storing(self._disks, guests.go_on, on_step)
        saved = SavedMemory(site.prefix / "suspend")
        self._memory = Memory(saved=saved, limit_seconds=qemu.migrate_timeout, on_step=on_step)
        self._launcher = Launcher(
            emulator=site.emulator(),
            known=site.known(self._premises, commands),
            premises=self._premises,
            disks=self._disks,
            networks=networks,
            headstones=Headstones(self._premises.info),
            around=self._surroundings(site, guests),
            on_step=on_step,
        )
        self._receiving = Receiving(
            way=way, launcher=self._launcher, uri=site.uri, tell=guests.tell, on_step=on_step
        )
        sending = Sending(way, self._launcher.around, departures(qemu, on_step))
        self._caretaker = Caretaker(networks, self._reactor, self._drop_taps, self._drop_headstones)
        plugging = Plugging(
            Plugs(networks), self._disks, qemu.monitor_timeout, self._caretaker.tidy_soon, on_step
        )
        self._reactor.begin(keep_short(guests, commands))
        self._adoption = Adoption(self._memory, self._launcher, sending, guests.watched)
        super().__init__(
            Means(
                guests=guests,
                memory=self._memory,
                sending=sending,
                receiving=self._receiving,
                storing=self._storing,
                plugging=plugging,
                screens=Screens(qemu.vnc_address, encrypts=way.papers is not None),
                caretaker=self._caretaker,
            )
        )

    def _surroundings(self, site: Site, guests: Guests[Guest]) -> Surroundings:
        patience = site.qemu.monitor_timeout
        self._link = Link(site.uri, patience, self._hear, self._look_again)
        self._reactor = Reactor()
        return Surroundings(
            link=self._link,
            reactor=self._reactor,
            later=guests.later,
            tell=guests.tell,
            over=self._forget,
            gone_on=guests.go_on,
            patience=patience,
        )

    def close(self) -> None:
        """Let go of the guests and end the threads; harmless when that was done before."""
        self._guests.let_go()
        self._link.wait_no_more()
        self._reactor.close()
        self._guests.close(at_once=True)
        self._caretaker.close()
        self._link.close()

    def engine(self) -> Engine:
        """What QEMU can do here."""
        return self._launcher.known.engine

    def others(self) -> Others:
        """The domains that live and are not this node's; while libvirtd is away, as it was."""
        with suppress(HypervisorFailed):
            info = self._premises.info
            self._others = self._link.ask(
                lambda connection: taken_by_others(connection, info), within=GLANCE_SECONDS
            )
        return self._others

    def adopt(self) -> Sequence[FoundGuest]:
        """Find the guests of an earlier process, and watch those that live."""
        found = self._adoption.adopt()
        self._look_again()
        self._caretaker.tidy_soon()
        self._caretaker.adopt({key: guest.cards for key, guest in self._guests.watched.items()})
        return found

    def start(self, spec: GuestSpec) -> Running:
        """Make the disks and start the guest."""
        return self._begin(Record(spec=spec), create)

    def restore(self, spec: GuestSpec, saved: str) -> Running:
        """Start the guest from saved memory."""
        self._leave_what_has_not_begun(spec.instance_id, saved)
        self._memory.saved.check_unused(saved)
        folders = self._launcher.folders

        def load(connection: Connection, _described: str) -> None:
            self._memory.load(connection, saved, folders, spec.attempt)
            self._memory.saved.use(saved)
            self._memory.on_step("used")

        try:
            return self._begin(Record(spec=spec, restoring=saved), load)
        except HypervisorFailed as failed:
            if isinstance(failed, NeverRan):
                self._memory.give_back(saved)
            raise UnableToResume(
                f"Instance {spec.instance_id} was not restored from {saved}: {failed}"
            ) from failed

    def kill(self, guest: InstanceId) -> None:
        """End the guest."""
        known = self._guests.watched.get(guest)
        folder = self._guests.folder(guest)
        if known is not None:
            known.is_to_end()
        self._note_killed(folder)
        info = self._premises.info
        self._link.ask(lambda connection: put_an_end_to(connection, _uuid(guest), info))
        self._guests.watched.pop(guest, None)
        self._caretaker.tidy_soon()

    def clear(self, guest: InstanceId) -> None:
        """Remove what is kept of a guest that has ended."""
        self._check_has_ended(guest, "it cannot be cleared away")
        headstones = self._launcher.headstones
        self._link.ask(lambda connection: headstones.remove(connection, guest))
        if headstones.left:
            self._caretaker.tidy_soon()
        try:
            self._disks.remove(guest)
            self._guests.folder(guest).remove()
        except OSError as error:
            raise HypervisorFailed(
                f"Instance {guest} was not cleared away: {error.strerror or error}."
            ) from error

    def store(self, guest: InstanceId, to: str) -> None:
        """Copy the disks that a guest left here."""
        self._check_has_ended(guest, "its disks are in use")
        self._storing.put_all(guest, to)

    def prepare_target(self, spec: GuestSpec, peer: str, opened: Opened = unheeded) -> str:
        """Make ready for the guest, and open a door."""
        hands = self._guests.hands_for(spec.instance_id, self._most_moves)
        with hands, self._making_of(spec.instance_id):
            waiting = self._receiving.open_door(spec, peer)
            self._guests.watched[waiting.id] = waiting
        opened(waiting.record.incoming)
        return waiting.record.incoming

    def counters(self) -> Sequence[Counters]:
        """Ask libvirt about all guests, and the kernel."""
        return counters(self._guests.in_order(), self._link)

    def _begin(self, record: Record, make: Creates) -> Running:
        key = record.spec.instance_id
        known = self._guests.watched.get(key)
        if known is not None and known.settled:
            raise HypervisorFailed(
                f"Instance {key} has a guest here already, of attempt {known.record.spec.attempt}."
            )
        if known is not None:
            self.kill(key)
        with self._making_of(key):
            guest = self._launcher.launch(record, make)
            self._guests.watched[key] = guest
        self._look_at(guest)
        return guest.running

    @contextmanager
    def _making_of(self, guest: InstanceId) -> Iterator[None]:
        """While a guest is made ready nobody takes what it has for left over, unless it fails."""
        with self._tidying:
            self._making.add(guest)
            self._launcher.headstones.left.pop(guest, None)
        try:
            yield
        finally:
            self._making.discard(guest)
            if guest not in self._guests.watched:
                self._caretaker.tidy_soon()

    def _leave_what_has_not_begun(self, guest: InstanceId, saved: str) -> None:
        """Memory that was read by a guest whose vCPUs never ran is as good as before."""
        known = self._guests.watched.get(guest)
        if known is not None and not known.settled and known.record.restoring == saved:
            self.kill(guest)
            self._memory.give_back(saved)

    def _check_has_ended(self, guest: InstanceId, therefore: str) -> None:
        doing, _ = self._link.ask(lambda connection: what_it_does(find(connection, _uuid(guest))))
        if doing in LIVING:
            raise HypervisorFailed(f"Instance {guest} still runs here: {therefore}.")

    def _note_killed(self, folder: GuestFolder) -> None:
        record = folder.read()
        # That it has left is synced; a second writing would put that at risk.
        if record is not None and record.ending is None and record.move is not Move.LEFT:
            with suppress(OSError):
                folder.write(replace(record, ending=Ending.KILLED))

    def _forget(self, guest: Guest) -> None:
        self._guests.forget(guest)
        self._caretaker.tidy_soon()

    def _drop_taps(self) -> None:
        with self._tidying:
            taps.remove_all_but({*self._guests.watched, *self._making})

    def _drop_headstones(self) -> None:
        headstones = self._launcher.headstones
        with self._tidying:
            if headstones.left:
                here = {*self._guests.watched, *self._making}
                self._link.ask(lambda connection: headstones.remove_left(connection, here))

    def _hear(self, uuid: str, what: int, detail: int) -> None:
        for guest in list(self._guests.watched.values()):
            if guest.uuid == uuid:
                guest.hear(what, detail)

    def _look_again(self) -> None:
        for guest in list(self._guests.watched.values()):
            self._look_at(guest)

    def _look_at(self, guest: Guest) -> None:
        self._guests.later(guest.look)
        self._guests.later(guest.look_for_the_agent)


def _uuid(guest: InstanceId) -> str:
    return str(guest_uuid(guest))
