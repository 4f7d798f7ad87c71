"""The port, on top of this package: which guests are known, and who does what for them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu import accelerator
from tashi.adapters.hypervisor.qemu.adoption import Adoption
from tashi.adapters.hypervisor.qemu.backends import check_backend
from tashi.adapters.hypervisor.qemu.caretaker import Caretaker
from tashi.adapters.hypervisor.qemu.consoles import keep_short
from tashi.adapters.hypervisor.qemu.counting import counters
from tashi.adapters.hypervisor.qemu.departing import departures
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore
from tashi.adapters.hypervisor.qemu.disks import Disks
from tashi.adapters.hypervisor.qemu.ending import end
from tashi.adapters.hypervisor.qemu.engine import known_engine
from tashi.adapters.hypervisor.qemu.folder import private_folder
from tashi.adapters.hypervisor.qemu.guest import Guest, Surroundings
from tashi.adapters.hypervisor.qemu.guests import Guests
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.adapters.hypervisor.qemu.launch import Launcher, Steps
from tashi.adapters.hypervisor.qemu.memory import Memory
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.plugging import Plugging
from tashi.adapters.hypervisor.qemu.plugs import Plugs
from tashi.adapters.hypervisor.qemu.qmp import was_refused
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.hypervisor.qemu.receiving import Receiving
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.hypervisor.qemu.saved import SavedMemory
from tashi.adapters.hypervisor.qemu.screen import Screens
from tashi.adapters.hypervisor.qemu.sending import Sending
from tashi.adapters.hypervisor.qemu.storing import Storing
from tashi.adapters.hypervisor.qemu.tending import Means, Tending
from tashi.domain.engine import QEMU, Engine
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
from tashi.settings.sections.qemu import QemuSettings

_ELSEWHERE: Final = {Move.RECEIVING, Move.LEFT}
_UNENCRYPTED: Final = Road()


class Qemu(Tending[Guest]):
    """A Hypervisor that runs each guest as a QEMU of its own. To be closed; the guests live on."""

    def __init__(
        self,
        settings: QemuSettings,
        prefix: Path,
        networks: Networks,
        commands: Commands,
        on_step: Steps = lambda _: None,
        road: Road = _UNENCRYPTED,
    ) -> None:
        """`prefix` holds images/ and suspend/; `on_step` is told how far each start or move is.

        Guests are sent on that `road`. Raises Misconfigured or HypervisorFailed.
        """
        premises = Premises(settings.info_dir.resolve(), settings.scratch_dir.resolve())
        private_folder(premises.info)
        check_backend(premises, QEMU)
        chosen = accelerator.choose(settings.accel, settings.qemu_bin, premises.info, commands)
        known = known_engine(settings.qemu_bin, chosen.name, premises.info, commands)
        guests = Guests[Guest](premises, "qemu-news")
        store = DiskStore(prefix / "suspend", commands)
        self._disks = Disks(premises, Images(prefix / "images"), commands, store, guests.go_on)
        self._reactor = Reactor()
        around = self._surroundings(guests, settings.monitor_timeout)
        self._most_moves = settings.max_parallel_migrations
        self._receiving = Receiving(road, self._reactor, on_step)
        sending = Sending(road, departures(settings, on_step))
        self._memory = _memory(settings, prefix / "suspend", commands, on_step)
        self._reactor.begin(keep_short(guests, commands))
        self._adoption = Adoption(premises, self._memory, sending, around, guests.watched)
        self._caretaker = Caretaker(networks, self._reactor)
        self._storing = Storing(self._disks, guests.go_on, on_step)
        plugging = Plugging(
            Plugs(networks), self._disks, around.patience, self._caretaker.tidy_soon, on_step
        )
        self._launcher = Launcher(
            qemu=settings.qemu_bin,
            known=known,
            sandbox=chosen.sandbox,
            premises=premises,
            disks=self._disks,
            networks=networks,
            commands=commands,
            around=around,
            on_step=on_step,
            papers=road.papers,
        )
        super().__init__(
            Means(
                guests=guests,
                memory=self._memory,
                sending=sending,
                receiving=self._receiving,
                storing=self._storing,
                plugging=plugging,
                screens=Screens(settings.vnc_address, encrypts=road.papers is not None),
                caretaker=self._caretaker,
            )
        )

    def _surroundings(self, guests: Guests[Guest], patience: float) -> Surroundings:
        return Surroundings(
            self._reactor, guests.later, guests.tell, self._forget, patience, guests.go_on
        )

    def close(self) -> None:
        """Let go of the guests and end the threads; harmless when that was done before."""
        self._guests.let_go()
        self._reactor.close()
        self._guests.close()
        self._caretaker.close()

    def engine(self) -> Engine:
        """What QEMU can do here."""
        return self._launcher.known.engine

    def others(self) -> Others:
        """Who runs QEMUs besides Tashi says so by reservedMem."""
        return Others()

    def adopt(self) -> Sequence[FoundGuest]:
        """Find the guests of an earlier process, and watch those that live."""
        found = self._adoption.adopt()
        self._caretaker.adopt({key: guest.cards for key, guest in self._guests.watched.items()})
        return found

    def start(self, spec: GuestSpec) -> Running:
        """Make the disks and start the guest."""
        return self._begin(spec, None, lambda _: None)

    def restore(self, spec: GuestSpec, saved: str) -> Running:
        """Start the guest from saved memory."""
        if not self._waits_with(spec, saved):
            self._memory.saved.check_unused(saved)
        try:
            return self._begin(spec, saved, lambda guest: self._memory.load(guest, saved))
        except HypervisorFailed as failed:
            if not was_refused(failed):
                raise
            self._memory.give_back(spec.instance_id, saved)
            raise UnableToResume(
                f"Instance {spec.instance_id} was not restored from {saved}: {failed}"
            ) from failed

    def kill(self, guest: InstanceId) -> None:
        """End the guest."""
        folder = self._guests.folder(guest)
        known = self._guests.watched.get(guest)
        # That it has left is synced; a second writing would put that at risk.
        if known is not None and known.ending is None and known.record.move is not Move.LEFT:
            with suppress(OSError):
                known.remember(lambda record: replace(record, ending=Ending.KILLED))
        end(folder, known)
        self._guests.watched.pop(guest, None)
        self._guests.wait_for_jobs()

    def clear(self, guest: InstanceId) -> None:
        """Remove what is kept of a guest that has ended."""
        folder = self._guests.folder(guest)
        if folder.is_held():
            raise HypervisorFailed(f"Instance {guest} still runs here: it cannot be cleared away.")
        try:
            self._disks.remove(guest)
            folder.remove()
        except OSError as error:
            raise HypervisorFailed(
                f"Instance {guest} was not cleared away: {error.strerror or error}."
            ) from error

    def store(self, guest: InstanceId, to: str) -> None:
        """Copy the disks that a guest left here."""
        folder = self._guests.folder(guest)
        if folder.exists and folder.is_held():
            raise HypervisorFailed(f"Instance {guest} still runs here: its disks are in use.")
        self._storing.put_all(guest, to)

    def prepare_target(self, spec: GuestSpec, peer: str, opened: Opened = unheeded) -> str:
        """Start a QEMU that waits for the guest, with disks of its own."""
        hands = self._guests.hands_for(spec.instance_id, self._most_moves)
        with hands, self._receiving.entrance(spec, peer) as entrance:
            record = Record(
                spec=replace(spec, keep_disks=False), move=Move.RECEIVING, incoming=entrance.text
            )
            waiting = self._launch(
                record,
                lambda guest: self._receiving.furnish(guest, entrance),
                lambda: opened(entrance.text),
            )
        self._receiving.welcome(waiting, entrance)
        return entrance.text

    def counters(self) -> Sequence[Counters]:
        """Ask every guest's monitor, and the kernel."""
        return counters(self._guests.in_order(), self._reactor)

    def _begin(self, spec: GuestSpec, saved: str | None, ready: Callable[[Guest], None]) -> Running:
        known = self._guests.watched.get(spec.instance_id)
        if known is not None and known.settled:
            raise HypervisorFailed(
                f"Instance {spec.instance_id} has a guest here already, of attempt "
                f"{known.record.spec.attempt}."
            )
        if known is not None and not self._waits_with(spec, saved):
            self.kill(spec.instance_id)
            known = None
        if known is None:
            known = self._launch(Record(spec=spec, restoring=saved), ready)
        else:
            self._carry_on(known, ready)
        return known.running

    def _launch(
        self,
        record: Record,
        ready: Callable[[Guest], None],
        spawned: Callable[[], None] = lambda: None,
    ) -> Guest:
        guest = self._launcher.launch(record, ready, spawned)
        self._guests.watched[guest.id] = guest
        if guest.ended.is_set():
            self._forget(guest)
        return guest

    def _carry_on(self, waiting: Guest, ready: Callable[[Guest], None]) -> None:
        try:
            self._launcher.settle(waiting, ready)
        except BaseException:
            self.kill(waiting.id)
            if not waiting.record.spec.keep_disks:
                self.clear(waiting.id)
            raise

    def _waits_with(self, spec: GuestSpec, saved: str | None) -> bool:
        """Whether a QEMU that has not begun is here for just this."""
        known = self._guests.watched.get(spec.instance_id)
        if known is None or known.settled:
            return False
        same = known.record.spec == replace(spec, hints=dict(spec.hints))
        return same and known.record.restoring == saved and known.record.move is None

    def _forget(self, guest: Guest) -> None:
        self._guests.forget(guest)
        self._caretaker.tidy_soon()


def _memory(settings: QemuSettings, folder: Path, commands: Commands, on_step: Steps) -> Memory:
    return Memory(
        saved=SavedMemory(folder),
        commands=commands,
        squeeze=settings.suspend_handler,
        unsqueeze=settings.resume_handler,
        limit_seconds=settings.migrate_timeout,
        on_step=on_step,
    )
