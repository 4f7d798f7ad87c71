"""Finding again the guests that an earlier process of ours started here.

The folders say which guests there may be, libvirt which of them have a domain and, by their
headstones, how the others ended. What was cut short is brought to one of the states that the port
knows: a guest that is completely saved or sent never runs again, any other runs on.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from logging import getLogger
from typing import Final

from tashi.adapters.hypervisor.libvirt.channel import Connection
from tashi.adapters.hypervisor.libvirt.doing import LIVING, Doing, what_it_does
from tashi.adapters.hypervisor.libvirt.domains import marked
from tashi.adapters.hypervisor.libvirt.guest import Guest
from tashi.adapters.hypervisor.libvirt.launch import Launcher, process_of
from tashi.adapters.hypervisor.libvirt.memory import Memory
from tashi.adapters.hypervisor.libvirt.sending import Sending
from tashi.adapters.hypervisor.qemu.adoption import blank, gone, note
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.record import Move, Record, at_home
from tashi.adapters.hypervisor.qemu.remembered import Remembered
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Ending
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Found, FoundGuest

_log = getLogger(__name__)

_HOW: Final = {Doing.POWERED_OFF: Ending.POWERED_OFF, Doing.SAVED: Ending.KILLED}


@dataclass(frozen=True, slots=True)
class Adoption:
    """Looks for guests; `known` holds those that are watched, and gets each one that lives."""

    memory: Memory
    launcher: Launcher
    sending: Sending
    known: dict[InstanceId, Guest]

    def adopt(self) -> list[FoundGuest]:
        """Every guest that has a folder, by id; raises HypervisorFailed without libvirtd."""
        doing = self.launcher.around.link.ask(self._domains)
        folders = [
            GuestFolder(self.launcher.premises.of(key)) for key in sorted(self._keys() | {*doing})
        ]
        return [self._adopt(folder, doing) for folder in folders]

    def _domains(self, connection: Connection) -> dict[InstanceId, Doing]:
        """What the domains do that are our guests, those of guests without a folder only if
        they live.
        """
        found = {}
        folders = set(self._keys())
        for mark, domain in marked(connection, self.launcher.premises.info):
            doing, _ = what_it_does(domain)
            if doing in LIVING or mark.instance_id in folders:
                found[mark.instance_id] = doing
            else:
                self.launcher.headstones.remove(connection, mark.instance_id)
        return found

    def _keys(self) -> set[InstanceId]:
        entries = self.launcher.premises.info.iterdir()
        return {
            InstanceId(int(entry.name))
            for entry in entries
            if entry.name.isdigit() and entry.is_dir()
        }

    def _adopt(self, folder: GuestFolder, all_doing: dict[InstanceId, Doing]) -> FoundGuest:
        key = InstanceId(int(folder.places.folder.name))
        doing = all_doing.get(key, Doing.ENDED)
        _make(folder)
        known = self.known.get(key)
        record = known.record if known is not None else folder.read() or blank(folder)
        if doing not in LIVING and (known is None or record.move is not Move.RECEIVING):
            return self._gone(folder, record, doing)
        guest = known or Guest(folder, record, self.launcher.around)
        try:
            return self._tell(guest, doing)
        except HypervisorFailed as silent:
            guest.settled = True
            return _found(guest, Found.RUNNING, str(silent))
        finally:
            # Not before: what happens until it is settled would be no news, and is looked for then.
            if known is None:
                self.known[key] = guest

    def _tell(self, guest: Guest, doing: Doing) -> FoundGuest:
        record = guest.record
        if record.move is Move.RECEIVING:
            guest.stand_by()
            return self._received(guest, doing)
        if record.move is Move.SENDING:
            if self.sending.end(guest):
                return gone(guest.folder, guest.record)
            doing = guest.what_it_does()
        if record.vm_id is None and doing is Doing.STANDS:
            return _found(guest, Found.NOT_BEGUN)
        if record.saving is not None:
            note(guest, lambda record: replace(record, saving=None))
            self.memory.saved.drop(record.saving)
            guest.unpause()
            doing = Doing.RUNS
        if record.vm_id is None:
            process = process_of(guest)
            note(guest, lambda record: replace(record, vm_id=process))
        guest.settled = True
        guest.frozen = doing is Doing.STANDS
        return _found(guest, Found.FROZEN if guest.frozen else Found.RUNNING)

    def _received(self, guest: Guest, doing: Doing) -> FoundGuest:
        if doing is not Doing.RUNS:
            return _found(guest, Found.RECEIVING)
        # It was let run, but that was not written down any more.
        process = process_of(guest)
        note(guest, lambda record: replace(at_home(record), vm_id=process))
        guest.frozen = False
        return _found(guest, Found.RUNNING)

    def _gone(self, folder: GuestFolder, record: Record, doing: Doing) -> FoundGuest:
        if record.move is Move.RECEIVING:
            return FoundGuest(record.spec.instance_id, record.spec.attempt, Found.RECEIVING)
        if record.move is Move.SENDING and doing is Doing.MOVED:
            left = Remembered(folder, record)
            # Its domain is gone from here, whether that can be written down or not.
            note(left, lambda record: replace(record, move=Move.LEFT), durably=True)
            record = left.record
        elif record.ending is None:
            record = replace(record, ending=self._ending(record, doing))
            with suppress(OSError):
                folder.write(record)
        return gone(folder, record)

    def _ending(self, record: Record, doing: Doing) -> Ending | None:
        if record.saving is not None and self.memory.is_written(record):
            if not self.memory.saved.has(record.saving):
                self.memory.finish(record.saving)
            return Ending.KILLED
        return _HOW.get(doing)


def _make(folder: GuestFolder) -> None:
    """See to it that a guest has its folder, if that can be: it is found all the same."""
    try:
        folder.make()
    except (HypervisorFailed, OSError) as trouble:
        why = getattr(trouble, "strerror", None) or trouble
        _log.warning("%s cannot be used: %s", folder.places.folder, why)


def _found(guest: Guest, found: Found, words: str = "") -> FoundGuest:
    running = None if found in {Found.NOT_BEGUN, Found.RECEIVING} else guest.running
    return FoundGuest(guest.id, guest.record.spec.attempt, found, running, words=words)
