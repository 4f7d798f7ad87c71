"""The port, on top of this package: which guests are known, and who does what for them."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu import accelerator
from tashi.adapters.hypervisor.qemu.adoption import Adoption
from tashi.adapters.hypervisor.qemu.caretaker import Caretaker
from tashi.adapters.hypervisor.qemu.counting import counters
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore
from tashi.adapters.hypervisor.qemu.disks import Disks
from tashi.adapters.hypervisor.qemu.ending import end
from tashi.adapters.hypervisor.qemu.engine import known_engine
from tashi.adapters.hypervisor.qemu.folder import GuestFolder, private_folder
from tashi.adapters.hypervisor.qemu.guest import Guest, Surroundings
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.adapters.hypervisor.qemu.keyboard import type_in
from tashi.adapters.hypervisor.qemu.launch import Launcher, Steps
from tashi.adapters.hypervisor.qemu.memory import Memory
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.plugging import Plugging
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.hypervisor.qemu.receiving import Receiving
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.adapters.hypervisor.qemu.screen import Screens
from tashi.adapters.hypervisor.qemu.sending import Sending
from tashi.domain.engine import Engine
from tashi.domain.errors import HypervisorFailed, NoSuchVm
from tashi.domain.guest import Ending, Progress
from tashi.domain.identity import InstanceId
from tashi.ports.commands import Commands
from tashi.ports.hypervisor import (
    Counters,
    Follower,
    FoundGuest,
    GuestSpec,
    Listener,
    News,
    Running,
    Screen,
)
from tashi.ports.network import Networks
from tashi.settings.sections.qemu import QemuSettings

_ELSEWHERE: Final = {Move.RECEIVING, Move.LEFT}


class Qemu:
    """A Hypervisor that runs each guest as a QEMU of its own. To be closed; the guests live on."""

    def __init__(
        self,
        settings: QemuSettings,
        prefix: Path,
        networks: Networks,
        commands: Commands,
        on_step: Steps = lambda _: None,
        migration_address: str = "127.0.0.1",
    ) -> None:
        """`prefix` holds images/ and suspend/; `on_step` is told how far each start or move is.

        Guests are sent from and to `migration_address`, which is one of this machine's, in numbers.
        Raises Misconfigured or HypervisorFailed.
        """
        premises = Premises(settings.info_dir.resolve(), settings.scratch_dir.resolve())
        private_folder(premises.info)
        chosen = accelerator.choose(settings.accel, settings.qemu_bin, premises.info, commands)
        known = known_engine(settings.qemu_bin, chosen.name, premises.info, commands)
        self._engine = known.engine
        self._listener: Listener = lambda _: None
        self._follower: Follower = lambda _guest, _progress: None
        self._guests: dict[InstanceId, Guest] = {}
        self._premises = premises
        store = DiskStore(prefix / "suspend", commands, settings.migrate_timeout)
        self._disks = Disks(premises, Images(prefix / "images"), commands, store)
        self._memory = _memory(settings, prefix / "suspend", commands, on_step)
        self._reactor = Reactor()
        self._jobs = ThreadPoolExecutor(1, "qemu-news")
        self._caretaker = Caretaker(networks)
        patience = settings.monitor_timeout
        around = Surroundings(
            self._reactor, self._later, self._tell, self._forget, patience, self._go_on
        )
        self._most_moves = settings.max_parallel_migrations
        self._receiving = Receiving(migration_address, on_step)
        self._sending = Sending(
            address=migration_address,
            limit_seconds=settings.migrate_timeout,
            turns=threading.Semaphore(settings.max_parallel_migrations),
            on_step=on_step,
        )
        self._adoption = Adoption(premises, self._memory, self._sending, around, self._guests)
        self._screens = Screens(settings.vnc_address)
        self._plugging = Plugging(self._disks, networks, patience, self._caretaker.tidy_soon)
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
        )

    def close(self) -> None:
        """Let go of the guests and end the threads; harmless when that was done before."""
        self._listener = lambda _: None
        self._follower = lambda _guest, _progress: None
        for guest in list(self._guests.values()):
            guest.let_go()
        self._guests.clear()
        self._reactor.close()
        self._jobs.shutdown()
        self._caretaker.close()

    def engine(self) -> Engine:
        """What QEMU can do here."""
        return self._engine

    def listen(self, listener: Listener) -> None:
        """Tell the listener from now on."""
        self._listener = listener

    def follow(self, follower: Follower) -> None:
        """Tell the follower from now on."""
        self._follower = follower

    def adopt(self) -> Sequence[FoundGuest]:
        """Find the guests of an earlier process, and watch those that live."""
        found = self._adoption.adopt()
        self._caretaker.adopt({key: guest.cards for key, guest in self._guests.items()})
        return found

    def start(self, spec: GuestSpec) -> Running:
        """Make the disks and start the guest."""
        return self._begin(spec, None, lambda _: None)

    def restore(self, spec: GuestSpec, saved: str) -> Running:
        """Start the guest from saved memory."""
        if not self._waits_with(spec, saved):
            self._memory.check_unused(saved)
        return self._begin(spec, saved, lambda guest: self._memory.load(guest, saved))

    def pause(self, guest: InstanceId) -> None:
        """Stop the vCPUs."""
        self._known(guest).pause()

    def unpause(self, guest: InstanceId) -> None:
        """Let the vCPUs run."""
        self._known(guest).unpause()

    def power_down(self, guest: InstanceId) -> None:
        """Press the power button until the guest notices."""
        self._known(guest).power_down()

    def reset(self, guest: InstanceId) -> None:
        """Press the reset button."""
        self._known(guest).reset()

    def alter(self, spec: GuestSpec) -> Running:
        """Plug devices in and out."""
        known = self._known(spec.instance_id)
        self._plugging.alter(known, spec)
        return known.running

    def start_vnc(self, guest: InstanceId, password: str, *, on_socket: bool) -> Screen:
        """Show the display."""
        return self._screens.show(self._known(guest), password, on_socket=on_socket)

    def stop_vnc(self, guest: InstanceId) -> None:
        """Show the display no more."""
        self._screens.hide(self._known(guest))

    def type_in(self, guest: InstanceId, typed: bytes) -> None:
        """Type on the serial console."""
        type_in(self._known(guest).folder.places.console, typed)

    def kill(self, guest: InstanceId) -> None:
        """End the guest."""
        folder = self._folder(guest)
        known = self._guests.get(guest)
        # That it has left is synced; a second writing would put that at risk.
        if known is not None and known.ending is None and known.record.move is not Move.LEFT:
            with suppress(OSError):
                known.remember(lambda record: replace(record, ending=Ending.KILLED))
        end(folder, known)
        self._guests.pop(guest, None)

    def clear(self, guest: InstanceId) -> None:
        """Remove what is kept of a guest that has ended."""
        folder = self._folder(guest)
        if folder.is_held():
            raise HypervisorFailed(f"Instance {guest} still runs here: it cannot be cleared away.")
        try:
            self._disks.remove(guest)
            folder.remove()
        except OSError as error:
            raise HypervisorFailed(f"Instance {guest} was not cleared away: {error}.") from error

    def save(self, guest: InstanceId, to: str) -> None:
        """Write the guest's memory and end it."""
        if guest not in self._guests and self._memory.find(to):
            return
        self._memory.save(self._known(guest), to)
        self.kill(guest)

    def store(self, guest: InstanceId, to: str) -> None:
        """Copy the disks that a guest left here."""
        folder = self._folder(guest)
        if not folder.exists:
            raise NoSuchVm(f"Nothing is kept of instance {guest} here.")
        if folder.is_held():
            raise HypervisorFailed(f"Instance {guest} still runs here: its disks are in use.")
        self._disks.store_all(guest, to)
        self._disks.store.put(folder.places.console_log, f"{to}.console")

    def prepare_target(self, spec: GuestSpec, peer: str) -> str:
        """Start a QEMU that waits for the guest, with disks of its own."""
        self._check_hands_are_free(spec.instance_id)
        record = Record(spec=replace(spec, keep_disks=False), move=Move.RECEIVING)
        waiting = self._launch(record, lambda guest: self._receiving.open_door(guest, peer))
        return waiting.record.incoming

    def send(self, guest: InstanceId, incoming: str) -> None:
        """Move the guest; what is left of it here is to be killed."""
        self._sending.send(self._known(guest), incoming)

    def cancel_send(self, guest: InstanceId) -> None:
        """Let a send fail."""
        if (known := self._guests.get(guest)) is not None:
            known.call_back()

    def run(self, guest: InstanceId) -> Running:
        """Let a guest that has arrived run."""
        known = self._guests.get(guest)
        if known is None or known.record.move is not Move.RECEIVING:
            return self._known(guest).running
        self._receiving.run(known)
        return known.running

    def counters(self) -> Sequence[Counters]:
        """Ask every guest's monitor, and the kernel."""
        guests = sorted(self._guests.values(), key=lambda guest: guest.id)
        return counters(guests, self._reactor)

    def allow(self, guest: InstanceId, mac: str, ip: str) -> None:
        """Remember the address, and hold the card to it."""
        known = self._guests.get(guest)
        if known is None or mac not in {nic.mac for nic in known.running.nics}:
            return
        try:
            known.learn(mac, ip)
        except OSError as error:
            raise HypervisorFailed(f"The address {ip} was not kept: {error}.") from error
        self._caretaker.allow(guest, {n: nic for n, nic in known.cards.items() if nic.mac == mac})

    def console(self, guest: InstanceId, offset: int, most: int) -> tuple[bytes, int]:
        """Read the console's log."""
        folder = self._folder(guest)
        try:
            with folder.places.console_log.open("rb") as log:
                size = log.seek(0, 2)
                begin = max(0, size + offset) if offset < 0 else min(offset, size)
                log.seek(begin)
                said = log.read(most)
        except FileNotFoundError as error:
            raise NoSuchVm(f"Nothing is kept of instance {guest} here.") from error
        return said, begin + len(said)

    def _check_hands_are_free(self, guest: InstanceId) -> None:
        moves = [one.record.move for one in list(self._guests.values()) if one.id != guest]
        if (count := moves.count(Move.RECEIVING)) >= self._most_moves:
            raise HypervisorFailed(
                f"{count} guests are being received already, as many as maxParallelMigrations "
                "allows: try again when one has arrived."
            )

    def _begin(self, spec: GuestSpec, saved: str | None, ready: Callable[[Guest], None]) -> Running:
        known = self._guests.get(spec.instance_id)
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

    def _launch(self, record: Record, ready: Callable[[Guest], None]) -> Guest:
        guest = self._launcher.launch(record, ready)
        self._guests[guest.id] = guest
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
        known = self._guests.get(spec.instance_id)
        if known is None or known.settled:
            return False
        same = known.record.spec == replace(spec, hints=dict(spec.hints))
        return same and known.record.restoring == saved and known.record.move is None

    def _known(self, guest: InstanceId) -> Guest:
        known = self._guests.get(guest)
        if known is None or known.record.move in _ELSEWHERE:
            raise NoSuchVm(f"There is no guest of instance {guest} here.")
        return known

    def _folder(self, guest: InstanceId) -> GuestFolder:
        return GuestFolder(self._premises.of(guest))

    def _forget(self, guest: Guest) -> None:
        if self._guests.get(guest.id) is guest:
            del self._guests[guest.id]
        self._caretaker.tidy_soon()

    def _tell(self, news: News) -> None:
        self._listener(news)

    def _go_on(self, guest: InstanceId, progress: Progress) -> None:
        self._follower(guest, progress)

    def _later(self, job: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # closed: nobody listens any more
            self._jobs.submit(job)


def _memory(settings: QemuSettings, folder: Path, commands: Commands, on_step: Steps) -> Memory:
    return Memory(
        folder=folder,
        commands=commands,
        squeeze=settings.suspend_handler,
        unsqueeze=settings.resume_handler,
        limit_seconds=settings.migrate_timeout,
        on_step=on_step,
    )
