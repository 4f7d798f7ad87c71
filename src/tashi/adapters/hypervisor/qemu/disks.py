"""A guest's disks: overlays, persistent images, and the scratch disk of the hint scratchSpace.

A disk that is not persistent is a qcow2 overlay in `scratchDir`, based on the image by its absolute
path; what the guest writes stays there until the guest is cleared away. QEMU's own `snapshot=on` is
never used: its overlay cannot be kept, moved or found again. A persistent disk is the image itself,
and QEMU's locks keep a second writer out.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu.command_line import DiskFile
from tashi.adapters.hypervisor.qemu.devices import Drive, drives
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore
from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE, private_folder
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.domain.errors import CommandFailed, DisksGone, HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.commands import Commands
from tashi.ports.hypervisor import GuestSpec

_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class MadeDisks:
    """A guest's disks in order, and those files that were made just now."""

    files: list[DiskFile] = field(default_factory=list)
    new: list[Path] = field(default_factory=list)

    def unmake(self) -> None:
        """Remove what was made."""
        for path in self.new:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Disks:
    """Makes, keeps and removes the disks of guests on this machine."""

    premises: Premises
    images: Images
    commands: Commands
    store: DiskStore

    def make(self, spec: GuestSpec, made: MadeDisks) -> None:
        """Add the disks of a guest that is about to start to `made`, one after the other.

        Raises HypervisorFailed, also when disks should be kept that are not there.
        """
        private_folder(self.premises.overlays)
        for drive in drives(spec):
            made.files.append(self.make_one(spec, drive, made))

    def remove(self, guest: InstanceId) -> None:
        """Remove the guest's overlays and scratch disk; harmless when there are none."""
        for path in self.premises.overlays.glob(f"{guest}.*.qcow2"):
            path.unlink(missing_ok=True)

    def remove_one(self, guest: InstanceId, drive: Drive) -> None:
        """Remove what the guest wrote to one of its disks."""
        self.premises.disk(guest, drive.part).unlink(missing_ok=True)

    def medium(self, spec: GuestSpec) -> DiskFile | None:
        """The image in the guest's CD drive; raises HypervisorFailed."""
        if not spec.cdrom:
            return None
        form = self.images.format_of(spec.cdrom)
        return DiskFile(str(self.images.path(spec.cdrom)), form)

    def store_all(self, guest: InstanceId, name: str) -> None:
        """Copy the guest's overlays and scratch disk to that name in the image store.

        Raises HypervisorFailed.
        """
        for path in sorted(self.premises.overlays.glob(f"{guest}.*.qcow2")):
            self.store.put(path, f"{name}.disk{_part(path)}.qcow2")

    def fetch_console(self, spec: GuestSpec, log: Path) -> None:
        """Let the console's log of a guest with stored disks go on where it was."""
        if spec.stored:
            with suppress(HypervisorFailed):  # it is missed by nobody's disk
                self.store.fetch(f"{spec.stored}.console", log)

    def make_one(self, spec: GuestSpec, drive: Drive, made: MadeDisks) -> DiskFile:
        """Make one of the guest's disks; raises HypervisorFailed."""
        disk = drive.disk
        target = self.premises.disk(spec.instance_id, drive.part)
        if disk is None:
            if not self._is_kept(target, spec, made):
                gib = spec.hints["scratchSpace"]
                self._create(["-f", "qcow2", str(target), f"{gib}G"], target)
            return DiskFile(str(target), "qcow2")
        base = self.images.path(disk.uri)
        form = self.images.format_of(disk.uri)
        if disk.persistent:
            return DiskFile(str(base), form)
        based_on = ["-f", "qcow2", "-b", str(base.absolute()), "-F", form, str(target)]
        if not self._is_kept(target, spec, made):
            self._create(based_on, target)
        elif spec.stored:
            self.store.rebase(target, base.absolute(), form)
        return DiskFile(str(target), "qcow2")

    def _is_kept(self, target: Path, spec: GuestSpec, made: MadeDisks) -> bool:
        """Whether the guest goes on with a disk: one that is here, or is fetched from the store."""
        if spec.keep_disks:
            if not target.exists():
                raise DisksGone(f"The disk {target} that it left here is gone.")
            return True
        target.unlink(missing_ok=True)
        made.new.append(target)
        if spec.stored:
            self.store.fetch(f"{spec.stored}.disk{_part(target)}.qcow2", target)
        return bool(spec.stored)

    def _create(self, arguments: list[str], target: Path) -> None:
        try:
            self.commands.run(["qemu-img", "create", "-q", *arguments], timeout_seconds=_SECONDS)
            target.chmod(PRIVATE_FILE)
        except CommandFailed as failed:
            raise HypervisorFailed(f"The disk {target} cannot be made: {failed}") from failed


def _part(path: Path) -> str:
    """Which of a guest's disks a file is: what its name has between the instance and qcow2."""
    return path.name.split(".")[1]
