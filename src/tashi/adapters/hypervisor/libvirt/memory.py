"""A guest's memory written to the image store by libvirt, and read back once.

libvirt writes a file of its own kind, with the domain's description in it, and ends the domain when
all is written. So the file is the guest from that moment, also under its partial name: whoever
finds it there with no domain beside it finishes what was begun. Before restored vCPUs run, the file
gets the name of used memory.
"""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import libvirt

from tashi.adapters.hypervisor.libvirt.channel import Connection, Silent
from tashi.adapters.hypervisor.libvirt.doing import LIVING, Doing
from tashi.adapters.hypervisor.libvirt.guest import Guest
from tashi.adapters.hypervisor.libvirt.jobs import carry_out
from tashi.adapters.hypervisor.libvirt.mark import Folders
from tashi.adapters.hypervisor.libvirt.relocation import relocated
from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE, sync
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.record import Record
from tashi.adapters.hypervisor.qemu.saved import SavedMemory
from tashi.domain.errors import HypervisorFailed, UnableToSuspend
from tashi.domain.identity import Attempt

_log = logging.getLogger(__name__)

_COMPLETE: Final = b"LibvirtQemudSave"
"""How libvirt's file begins once all of it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Writes and reads saved memory; a save may take so many seconds."""

    saved: SavedMemory
    limit_seconds: float
    on_step: Steps

    def save(self, guest: Guest, name: str) -> None:
        """Write the guest's memory and end it; it runs on when this raises UnableToSuspend."""
        try:
            self.saved.check_free(name)
            guest.remember(lambda record: replace(record, saving=name))
            self.on_step("writing")
            partial = str(self.saved.partial(name))
            deadline = time.monotonic() + self.limit_seconds
            with guest.undisturbed():
                try:
                    carry_out(
                        guest, lambda domain: domain.save(partial), deadline, self.limit_seconds
                    )
                except Silent:
                    if guest.what_it_does() is not Doing.SAVED:
                        raise
                guest.is_to_end()
            self.on_step("written")
            self.finish(name)
            self.on_step("kept")
        except (HypervisorFailed, OSError) as error:
            self._run_on(guest)
            why = getattr(error, "strerror", None) or error
            raise UnableToSuspend(f"Instance {guest.id} was not suspended: {why}") from error

    def _run_on(self, guest: Guest) -> None:
        """Forget a save that came to nothing: libvirt lets the guest run on by itself.

        Where it is not known what became of it, the next process finds out.
        """
        name = guest.record.saving
        with suppress(HypervisorFailed, OSError):
            lives = name is not None and guest.what_it_does() in LIVING
            if name is not None and (lives or not self.is_written(guest.record)):
                self.saved.drop(name)
                guest.remember(lambda record: replace(record, saving=None))

    def finish(self, name: str) -> None:
        """Give memory that libvirt has completed its name; raises OSError."""
        partial = self.saved.partial(name)
        partial.chmod(PRIVATE_FILE)
        sync(partial)
        self.saved.keep(name)

    def is_written(self, record: Record) -> bool:
        """Whether all of the memory that was being saved is there, under whichever name."""
        if record.saving is None:
            return False
        if self.saved.has(record.saving):
            return True
        try:
            with self.saved.partial(record.saving).open("rb") as written:
                return written.read(len(_COMPLETE)) == _COMPLETE
        except OSError:
            return False

    def give_back(self, name: str) -> None:
        """Mark memory as unused again, for the vCPUs of its guest never ran."""
        try:
            self.saved.give_back(name)
        except OSError as error:
            _log.warning("The memory %s counts as used: %s.", name, error)

    def load(self, connection: Connection, name: str, to: Folders, attempt: Attempt) -> None:
        """Make a domain that stands still of saved memory; raises libvirtError."""
        saved = str(self.saved.place(name))
        described = relocated(connection.saveImageGetXMLDesc(saved), to, attempt)
        self.on_step("reading")
        connection.restoreFlags(saved, described, libvirt.VIR_DOMAIN_SAVE_PAUSED)
        self.on_step("read")
