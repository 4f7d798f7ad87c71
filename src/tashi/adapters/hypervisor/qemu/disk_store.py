"""Disks that wait in the image store, under `suspend/`, while their instance does not run.

A copy gets its final name only when it is complete and on the disk, so whatever has that name is
whole. Copies are made by cp, which shares blocks where the file system can and leaves holes.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE, sync
from tashi.domain.errors import CommandFailed, HypervisorFailed
from tashi.ports.commands import Commands


@dataclass(frozen=True, slots=True)
class DiskStore:
    """The folder `suspend/`; each copy may take so many seconds."""

    folder: Path
    commands: Commands
    limit_seconds: float

    def put(self, source: Path, name: str) -> None:
        """Copy a disk into the store; raises HypervisorFailed, and then that name is not there."""
        final = self.folder / name
        partial = final.with_name(f".{name}.partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._copy(source, partial)
            sync(partial)
            partial.rename(final)
            sync(self.folder)
        except (CommandFailed, OSError) as error:
            partial.unlink(missing_ok=True)
            raise HypervisorFailed(f"{source} was not put into the image store: {error}") from error

    def fetch(self, name: str, target: Path) -> None:
        """Copy a disk out of the store; raises HypervisorFailed."""
        try:
            self._copy(self.folder / name, target)
        except (CommandFailed, OSError) as error:
            raise HypervisorFailed(f"The stored disk {name} cannot be had: {error}") from error

    def rebase(self, disk: Path, base: Path, form: str) -> None:
        """Tell a fetched disk where this machine has its image; raises HypervisorFailed."""
        command = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", str(base), "-F", form]
        try:
            self.commands.run([*command, str(disk)], timeout_seconds=self.limit_seconds)
        except CommandFailed as failed:
            raise HypervisorFailed(f"{disk} cannot be based on {base}: {failed}") from failed

    def _copy(self, source: Path, target: Path) -> None:
        target.unlink(missing_ok=True)
        # Made first, so that nobody else can look into it while it is filled.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
        command = ["cp", "--reflink=auto", "--sparse=auto", "--", str(source), str(target)]
        self.commands.run(command, timeout_seconds=self.limit_seconds)
