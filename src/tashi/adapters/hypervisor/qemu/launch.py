"""Beginning a guest: disks, network, QEMU, first words with its monitor, and the vCPUs run.

Each step can be the last one before this process is killed. What is then found again is told by the
folder: its lock says whether there is a QEMU, its record what was intended. A start that fails on
its own undoes all it did.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from signal import Signals
from typing import Final

from tashi.adapters.hypervisor.qemu import devices, forwards
from tashi.adapters.hypervisor.qemu.command_line import Plan, command_line
from tashi.adapters.hypervisor.qemu.disks import Disks, MadeDisks
from tashi.adapters.hypervisor.qemu.engine import Known, read_version
from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE, GuestFolder
from tashi.adapters.hypervisor.qemu.guest import Guest, Surroundings
from tashi.adapters.hypervisor.qemu.papers import to_serve_with
from tashi.adapters.hypervisor.qemu.places import Places, Premises
from tashi.adapters.hypervisor.qemu.process import Process, root_out
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.adapters.hypervisor.qemu.sayings import disk_in_use
from tashi.domain.errors import CommandFailed, HypervisorFailed
from tashi.domain.identity import VmId
from tashi.domain.instance import Nic
from tashi.ports.commands import Commands
from tashi.ports.network import Networks, Tap

Steps = Callable[[str], None]
"""Is told each step on the way of a guest, for tests that end the program there.

Of a start: held, disks, wired, intent, spawned, met, ready, loaded, begun; of a target the same but
the last, then called; then heard and goes on by the source's word, or arrived and runs by order. Of
a send: noted, let in, copying, copied, sending, standing, mirrored, continued, completed, left,
told. Of a save: writing, written, kept; of memory that is read, before loaded: reading, read, used.
"""

_DEATH_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """Starts QEMUs on this machine."""

    qemu: str
    known: Known
    sandbox: bool
    premises: Premises
    disks: Disks
    networks: Networks
    commands: Commands
    around: Surroundings
    on_step: Steps
    papers: Path | None

    def launch(
        self,
        record: Record,
        ready: Callable[[Guest], None],
        spawned: Callable[[], None] = lambda: None,
    ) -> Guest:
        """Start a guest; `ready` is called once its QEMU waits to run, or for its memory.

        `spawned` is called while that QEMU still begins. Raises HypervisorFailed or what `ready`
        raises; then nothing is left that was not there.
        """
        spec = record.spec
        self.known.check(spec)
        folder = GuestFolder(self.premises.of(spec.instance_id))
        with _undone_when_it_fails(folder), folder.held() as lock:
            self.on_step("held")
            made = MadeDisks()
            try:
                self.disks.make(spec, made)
                self.disks.fetch_console(spec, folder.places.console_log)
                self.on_step("disks")
                guest = self._spawn(folder, record, made, lock, spawned)
                self.settle(guest, ready)
            except BaseException:
                root_out(folder.places.pid_file, _DEATH_SECONDS)
                made.unmake()
                raise
            return guest

    def settle(self, guest: Guest, ready: Callable[[Guest], None]) -> None:
        """Take a QEMU that waits as far as running, or as far as waiting for its guest.

        One that cannot be taken there is killed.
        """
        try:
            _meet(guest)
            self.on_step("met")
            nics = guest.record.spec.nics
            if forwards.has_forwards(guest.record.command):
                nics = forwards.with_forwards(nics, guest.ask_as_a_human(forwards.QUESTION))
            version = read_version(guest.ask("query-version"))
            guest.remember(lambda record: _met(record, guest.vm_id, nics, version))
            self.on_step("ready")
            ready(guest)
            self.on_step("loaded")
            if guest.record.move is None:
                guest.begin()
                self.on_step("begun")
        except BaseException:
            guest.end(Signals.SIGKILL)
            guest.ended.wait(_DEATH_SECONDS)
            raise

    def _spawn(
        self,
        folder: GuestFolder,
        record: Record,
        made: MadeDisks,
        lock: int,
        spawned: Callable[[], None],
    ) -> Guest:
        hardware = record.spec.hardware or self.known.as_booted_here(record.spec)
        cards = devices.cards(record.spec.nics)
        with self.networks.wire(record.spec.instance_id, cards) as wiring:
            self.on_step("wired")
            plan = Plan(
                qemu=self.qemu,
                hardware=hardware,
                sandbox=self.sandbox,
                spec=record.spec,
                places=folder.places,
                disks=made.files,
                medium=self.disks.medium(record.spec),
                plugs=[wiring[number] for number in cards],
                papers=to_serve_with(self.papers),
                incoming=record.restoring is not None or record.move is Move.RECEIVING,
            )
            record = replace(record, command=command_line(plan), hardware=hardware)
            folder.write(record)
            self.on_step("intent")
            taps = [plug.descriptor for plug in wiring.values() if isinstance(plug, Tap)]
            process = self._run(record, folder.places, (lock, *taps))
            self.on_step("spawned")
            spawned()
            return Guest(folder, record, process, self.around)

    def _run(self, record: Record, places: Places, inherited: tuple[int, ...]) -> Process:
        try:
            pid = self.commands.spawn(record.command, log=str(places.log), inherited=inherited)
        except CommandFailed as failed:
            raise HypervisorFailed(f"QEMU did not start: {failed}") from failed
        return Process(pid)


def _met(record: Record, vm_id: VmId, nics: tuple[Nic, ...], qemu: str) -> Record:
    """The record of a guest whose QEMU has spoken: it may be newer than when we looked at it."""
    hardware = None if record.hardware is None else replace(record.hardware, qemu=qemu)
    return replace(record, vm_id=vm_id, nics=nics, hardware=hardware)


@contextmanager
def _undone_when_it_fails(folder: GuestFolder) -> Iterator[None]:
    """Leave the folder as it was, if it was there at all."""
    try:
        before = folder.read()
        new = folder.make()
        try:
            yield
        except BaseException:
            if folder.is_held():
                raise
            if new:
                folder.remove()
            elif before is not None:
                folder.write(before)
            raise
    except OSError as error:
        raise HypervisorFailed(
            f"{folder.places.folder} cannot be used: {error.strerror or error}."
        ) from error


def _meet(guest: Guest) -> None:
    """Wait for QEMU's first word; when it ended instead, say why."""
    try:
        guest.status()
    except HypervisorFailed as failed:
        if not guest.ended.is_set():
            raise
        raise HypervisorFailed(_why(guest.last_words())) from failed
    places = guest.folder.places
    for path in (places.monitor, places.human_monitor, places.console, places.agent):
        path.chmod(PRIVATE_FILE)


def _why(words: str) -> str:
    """What kept QEMU from starting, in Tashi's words where the cause is a common one."""
    return disk_in_use(words) or f"QEMU did not start. {words}"
