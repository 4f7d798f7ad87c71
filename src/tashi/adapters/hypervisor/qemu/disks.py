"""A guest's disks: overlays, persistent images, and the scratch disk of the hint scratchSpace.

A disk that is not persistent is a qcow2 overlay in `scratchDir`, based on the image by its absolute
path; what the guest writes stays there until the guest is cleared away. QEMU's own `snapshot=on` is
never used: its overlay cannot be kept, moved or found again. A persistent disk is the image itself,
and QEMU's locks keep a second writer out.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu.command_line import DiskFile
from tashi.adapters.hypervisor.qemu.devices import Drive, drives
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore
from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE, private_folder, sync
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.progress import Meter
from tashi.adapters.hypervisor.qemu.recall import Leashes
from tashi.domain.errors import CommandFailed, DisksGone, HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.domain.instance import stored_name
from tashi.ports.commands import Commands
from tashi.ports.hypervisor import Follower, GuestSpec

_SECONDS: Final = 60.0
_NEW: Final = ".new"
"""What the name of a disk ends in until all of it is there."""


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
    tell: Follower = lambda _guest, _progress: None
    leashes: Leashes = field(default_factory=Leashes)

    def make(self, spec: GuestSpec, made: MadeDisks) -> None:
        """Add the disks of a guest that is about to start to `made`, one after the other.

        Raises HypervisorFailed, also when disks should be kept that are not there.
        """
        private_folder(self.premises.overlays)
        for drive in drives(spec):
            made.files.append(self.make_one(spec, drive, made))
        self._remove_all_but(spec)

    def remove(self, guest: InstanceId) -> None:
        """Remove the guest's overlays and scratch disk; harmless when there are none."""
        for path in (*self._left_by(guest), *self.premises.overlays.glob(f"{guest}.*{_NEW}")):
            path.unlink(missing_ok=True)

    def has(self, guest: InstanceId, drive: Drive) -> bool:
        """Whether what the guest wrote to one of its disks is here; then all of it is."""
        return self.premises.disk(guest, drive.part).exists()

    def remove_one(self, guest: InstanceId, drive: Drive) -> None:
        """Remove what the guest wrote to one of its disks."""
        self.premises.disk(guest, drive.part).unlink(missing_ok=True)

    def medium(self, spec: GuestSpec) -> DiskFile | None:
        """The image in the guest's CD drive; raises HypervisorFailed."""
        if not spec.cdrom:
            return None
        form = self.images.format_of(spec.cdrom)
        return DiskFile(str(self.images.path(spec.cdrom)), form)

    def at_rest(self, guest: InstanceId, name: str) -> dict[str, Path]:
        """The guest's overlays and scratch disk, by how each is called when stored as `name`."""
        return {_stored(name, path): path for path in sorted(self._left_by(guest))}

    def fetch_console(self, spec: GuestSpec, log: Path) -> None:
        """Let the console's log of a guest with stored disks go on where it was."""
        if spec.stored:
            with suppress(HypervisorFailed):  # it is missed by nobody's disk
                self._fetch(spec, f"{spec.stored}.console", log)

    def make_one(self, spec: GuestSpec, drive: Drive, made: MadeDisks) -> DiskFile:
        """Make one of the guest's disks; raises HypervisorFailed."""
        disk = drive.disk
        target = self.premises.disk(spec.instance_id, drive.part)
        base = None
        if disk is not None:
            base = DiskFile(str(self.images.path(disk.uri)), self.images.format_of(disk.uri))
            if disk.persistent:
                return base
        if not spec.keep_disks:
            with _made_anew(target, made) as new:
                self._fill(spec, base, target, new)
            if spec.stored:
                sync(target.parent)
        elif not target.exists():
            raise DisksGone(f"The disk {target} that it left here is gone.")
        return DiskFile(str(target), "qcow2")

    def _remove_all_but(self, spec: GuestSpec) -> None:
        """Remove what an earlier guest of the instance wrote to disks that this one has not."""
        kept = {self.premises.disk(spec.instance_id, drive.part) for drive in drives(spec)}
        for path in self._left_by(spec.instance_id):
            if path not in kept:
                path.unlink(missing_ok=True)

    def _left_by(self, guest: InstanceId) -> Iterator[Path]:
        return self.premises.overlays.glob(f"{guest}.*.qcow2")

    def _fill(self, spec: GuestSpec, base: DiskFile | None, target: Path, new: Path) -> None:
        """Make what is to become one of the guest's disks: from the store, or as it was at first.

        A scratch disk is based on nothing.
        """
        if spec.stored:
            self._fetch(spec, _stored(spec.stored, target), new)
            if base is not None:
                self.store.rebase(new, Path(base.path).absolute(), base.format)
            sync(new)  # once the guest runs, what is in the store is spent
        elif base is None:
            self._create([str(new), f"{spec.hints['scratchSpace']}G"], target, new)
        else:
            based_on = ["-b", str(Path(base.path).absolute()), "-F", base.format]
            self._create([*based_on, str(new)], target, new)

    def _fetch(self, spec: GuestSpec, name: str, target: Path) -> None:
        guest, total = spec.instance_id, self.store.size(name)
        meter = Meter(partial(self.tell, guest))
        with self.leashes.held(guest, stored_name(guest, spec.attempt)) as leash:
            self.store.fetch(name, target, leash, lambda copied: meter.copies(copied, total))

    def _create(self, arguments: list[str], target: Path, new: Path) -> None:
        create = ["qemu-img", "create", "-q", "-f", "qcow2", *arguments]
        try:
            self.commands.run(create, timeout_seconds=_SECONDS)
            new.chmod(PRIVATE_FILE)
        except CommandFailed as failed:
            raise HypervisorFailed(f"The disk {target} cannot be made: {failed}") from failed


@contextmanager
def _made_anew(target: Path, made: MadeDisks) -> Iterator[Path]:
    """Make a disk under a passing name, so that one that has its name is whole."""
    new = target.with_name(target.name + _NEW)
    try:
        target.unlink(missing_ok=True)
        yield new
        new.rename(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    made.new.append(target)


def _stored(name: str, path: Path) -> str:
    """How one of a guest's disks is called in the image store; between its dots is which it is."""
    return f"{name}.disk{path.name.split('.')[1]}.qcow2"
