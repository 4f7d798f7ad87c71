"""Finding again the guests that an earlier process of ours started here.

The folders say which guests there may be; their locks, which of them have a QEMU; QEMU itself, what
it is doing. Where somebody has removed any of that, as tools that clean `/var/tmp` do, the marks on
command lines tell that a guest lives. What was cut short is brought to one of the states that the
port knows: a guest that powered off while nobody looked is taken down, one whose saving or sending
was broken off runs on, one that is completely saved or sent never runs again.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from logging import getLogger
from typing import Final

from tashi.adapters.hypervisor.qemu.ending import end
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.guest import Guest, Surroundings
from tashi.adapters.hypervisor.qemu.memory import Memory
from tashi.adapters.hypervisor.qemu.places import Places, Premises
from tashi.adapters.hypervisor.qemu.process import Process, folders_marked
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.adapters.hypervisor.qemu.remembered import Remembered
from tashi.adapters.hypervisor.qemu.sayings import last_words
from tashi.adapters.hypervisor.qemu.sending import Sending
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Ending
from tashi.domain.identity import Attempt, InstanceId, Mib
from tashi.ports.hypervisor import Found, FoundGuest, GuestSpec

_log = getLogger(__name__)

_APPEARS_WITHIN_SECONDS: Final = 5.0
_ANSWERS_WITHIN_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.02
_AT_ONCE: Final = 16
_STATES: Final = {
    "running": Found.RUNNING,
    "prelaunch": Found.NOT_BEGUN,
    "inmigrate": Found.NOT_BEGUN,
}


@dataclass(frozen=True, slots=True)
class Adoption:
    """Looks for guests; `known` holds those that are watched, and gets each one that lives."""

    premises: Premises
    memory: Memory
    sending: Sending
    around: Surroundings
    known: dict[InstanceId, Guest]

    def adopt(self) -> list[FoundGuest]:
        """Every guest with a folder or a QEMU; those that do not answer hold up nobody else."""
        info = self.premises.info
        there = {entry for entry in info.iterdir() if entry.name.isdigit() and entry.is_dir()}
        folders = [GuestFolder(Places(one)) for one in there.union(folders_marked(info))]
        with ThreadPoolExecutor(_AT_ONCE, "adoption") as pool:
            found = list(pool.map(self._adopt, folders))
        return sorted(found, key=lambda guest: guest.instance_id)

    def _adopt(self, folder: GuestFolder) -> FoundGuest:
        try:
            return self._find(folder)
        except (HypervisorFailed, OSError) as trouble:
            return self._silent(folder, str(trouble))

    def _find(self, folder: GuestFolder) -> FoundGuest:
        guest = self._guest_of(folder)
        if guest is None:
            return gone(folder, folder.read() or blank(folder))
        if guest.record.move is Move.LEFT:
            return self._take_down(guest)
        if (moved := self._end_move(guest)) is not None:
            return moved
        return self._tell(guest, guest.status(within_seconds=_ANSWERS_WITHIN_SECONDS))

    def _silent(self, folder: GuestFolder, words: str) -> FoundGuest:
        """A guest that lives, as far as anybody can tell, though nothing can be done with it."""
        key = InstanceId(int(folder.places.folder.name))
        _log.warning("Instance %d: %s", key, words)
        guest = self.known.get(key)
        if guest is None:
            there = Remembered(folder, folder.read() or blank(folder))
        elif guest.ended.is_set():
            return gone(folder, guest.record)
        else:
            guest.settled, there = True, guest
        if there.record.move is Move.LEFT:
            return gone(folder, there.record)
        waits = there.record.move is Move.RECEIVING
        return _found(there, Found.RECEIVING if waits else Found.RUNNING, words)

    def _guest_of(self, folder: GuestFolder) -> Guest | None:
        """The guest that lives in the folder, watched from now on if it was not before."""
        key = InstanceId(int(folder.places.folder.name))
        if (known := self.known.get(key)) is not None and not known.ended.is_set():
            return known
        process = _process_of(folder)
        if process is None:
            return None
        guest = Guest(folder, folder.read() or blank(folder), process, self.around)
        self.known[key] = guest
        return guest

    def _end_move(self, guest: Guest) -> FoundGuest | None:
        """What became of a guest that was on its way; ``None`` when it is one like others now."""
        if guest.record.move is Move.SENDING:
            return self._take_down(guest) if self.sending.end(guest) else None
        if guest.record.move is Move.RECEIVING:
            if guest.status(within_seconds=_ANSWERS_WITHIN_SECONDS) != "running":
                guest.stand_by()
                return _found(guest, Found.RECEIVING)
            note(guest, lambda record: replace(record, move=None))
        return None

    def _tell(self, guest: Guest, status: str) -> FoundGuest:
        if status == "shutdown":
            note(guest, lambda record: replace(record, ending=Ending.POWERED_OFF))
            return self._take_down(guest)
        if (saving := guest.record.saving) is not None:
            if self.memory.saved.has(saving):
                note(guest, lambda record: replace(record, ending=Ending.KILLED))
                return self._take_down(guest)
            self.memory.run_on(guest)
            status = guest.status()
        if guest.record.restoring is not None and status != "running":
            return _found(guest, Found.NOT_BEGUN)
        found = _STATES.get(status, Found.FROZEN)
        guest.frozen = found is Found.FROZEN
        guest.settled = found is not Found.NOT_BEGUN
        if guest.ended.is_set():  # before it was settled, perhaps, and then that was no news
            return gone(guest.folder, guest.record)
        words = "" if status in {*_STATES, "paused"} else f"QEMU says: {status}."
        return _found(guest, found, words)

    def _take_down(self, guest: Guest) -> FoundGuest:
        end(guest.folder, guest)
        return gone(guest.folder, guest.record)


def _process_of(folder: GuestFolder) -> Process | None:
    """The guest's QEMU; ``None`` when there is none, for certain.

    Where a process of ours was killed in the very moment of starting a QEMU, it has yet to appear.
    That nobody holds the lock proves nothing where somebody has removed or replaced it.
    """
    deadline = time.monotonic() + _APPEARS_WITHIN_SECONDS
    while folder.is_held():
        if process := Process.of(folder.places.pid_file):
            return process
        if time.monotonic() > deadline:
            raise HypervisorFailed(
                f"{folder.places.lock} is locked, but not by a QEMU: end the process that holds it "
                f"(`fuser {folder.places.lock}` names it)."
            )
        threading.Event().wait(_LOOK_AGAIN_SECONDS)
    return Process.of(folder.places.pid_file)


def note(guest: Remembered, change: Callable[[Record], Record], *, durably: bool = False) -> None:
    """Write down what became of a guest, if that can be: the next process can find it out again."""
    try:
        guest.remember(change, durably=durably)
    except OSError as error:
        why = error.strerror or error
        _log.warning("What became of instance %d is not written down: %s.", guest.id, why)


def _found(guest: Remembered, found: Found, words: str = "") -> FoundGuest:
    running = None if found in {Found.NOT_BEGUN, Found.RECEIVING} else guest.running
    return FoundGuest(guest.id, guest.record.spec.attempt, found, running, words=words)


def gone(folder: GuestFolder, record: Record) -> FoundGuest:
    """A guest of which only the folder is left."""
    if record.move is Move.LEFT:
        return FoundGuest(record.spec.instance_id, record.spec.attempt, Found.LEFT)
    words = "" if record.ending is not None else last_words(folder)
    if record.vm_id is None:
        words = "Its start was cut short."
    how = record.ending or Ending.CRASHED
    spec = record.spec
    return FoundGuest(spec.instance_id, spec.attempt, Found.GONE, None, how, words)


def blank(folder: GuestFolder) -> Record:
    """What is known of a guest whose record is missing or damaged."""
    name = folder.places.folder.name
    spec = GuestSpec(
        instance_id=InstanceId(int(name)),
        attempt=Attempt(0),
        name=name,
        cores=0,
        memory=Mib(0),
        disks=(),
        nics=(),
    )
    return Record(spec=spec)
