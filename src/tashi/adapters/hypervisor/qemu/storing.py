"""Putting what an ended guest left here into the image store: watched, and given up if need be.

Disks may be large and the store slow. So people see how far it is; and whoever is to start the
guest again, or to clear it away, does not wait for a copy that nobody wants any more.
"""

from functools import partial
from pathlib import Path

from tashi.adapters.hypervisor.qemu.disk_store import size_of
from tashi.adapters.hypervisor.qemu.disks import Disks
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.progress import Meter
from tashi.domain.errors import HypervisorFailed, NoSuchVm
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Follower


class Storing:
    """Stores what guests left; `give_up` may be called from any thread."""

    def __init__(self, disks: Disks, tell: Follower, on_step: Steps = lambda _: None) -> None:
        self._disks = disks
        self._tell = tell
        self._on_step = on_step

    def put_all(self, guest: InstanceId, name: str) -> None:
        """Copy the guest's overlays, its scratch disk and its console's log to that name.

        Raises NoSuchVm when nothing is kept of the guest, HypervisorFailed when it could not be
        copied or was given up; then nothing of that name is in the store.
        """
        files = self._files(guest, name)
        meter = Meter(partial(self._tell, guest))
        total, done = sum(map(size_of, files.values())), 0

        def look(copied: int) -> None:
            meter.copies(done + copied, total)

        with self._disks.leashes.held(guest) as leash:
            self._on_step("storing")
            try:
                for to, source in files.items():
                    self._disks.store.put(source, to, leash, look)
                    done += size_of(source)
                    self._on_step("stored-part")
            except HypervisorFailed:
                # Whoever had wanted it may have had that name deleted before a part got it.
                self._disks.store.remove(files)
                raise
            self._on_step("stored")

    def give_up(self, guest: InstanceId, what: str = "") -> None:
        """Let what is copied for the guest fail, and a start that is called so before it begins."""
        self._disks.leashes.pull(guest, what)

    def _files(self, guest: InstanceId, name: str) -> dict[str, Path]:
        folder = GuestFolder(self._disks.premises.of(guest))
        if not folder.exists:
            raise NoSuchVm(f"Nothing is kept of instance {guest} here.")
        console = {f"{name}.console": folder.places.console_log}
        return self._disks.at_rest(guest, name) | console
