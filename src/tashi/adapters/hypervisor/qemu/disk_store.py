"""Disks that wait in the image store, under `suspend/`, while their instance does not run.

A copy gets its final name only when it is complete and on the disk, so whatever has that name is
whole. Copies are made by cp, which shares blocks where the file system can and leaves holes.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE, sync
from tashi.domain.errors import CommandFailed, HypervisorFailed
from tashi.ports.commands import Commands, Leash

_log = getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_REBASE_SECONDS: Final = 60.0
_BLOCK: Final = 512
"""What the kernel counts the blocks of a file in."""


@dataclass(frozen=True, slots=True)
class DiskStore:
    """The folder `suspend/`. A copy takes as long as it takes, unless its leash is pulled."""

    folder: Path
    commands: Commands

    def put(self, source: Path, name: str, leash: Leash, look: Callable[[int], None]) -> None:
        """Copy a disk into the store; now and then, `look` how many bytes are there.

        Raises HypervisorFailed, also when the leash is pulled; then that name is not there.
        """
        final = self.folder / name
        partial = final.with_name(f".{name}.partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._copy(source, partial, leash, look)
            sync(partial)
            partial.rename(final)
            sync(self.folder)
        except (CommandFailed, OSError) as error:
            _remove(partial)
            why = _why(leash, error)
            raise HypervisorFailed(f"{source} was not put into the image store: {why}") from error

    def fetch(self, name: str, target: Path, leash: Leash, look: Callable[[int], None]) -> None:
        """Copy a disk out of the store, as `put` copies one into it; raises HypervisorFailed."""
        try:
            self._copy(self.folder / name, target, leash, look)
        except (CommandFailed, OSError) as error:
            why = _why(leash, error)
            raise HypervisorFailed(f"The stored disk {name} cannot be had: {why}") from error

    def remove(self, names: Iterable[str]) -> None:
        """Have no disks of these names in the store; the log says which cannot be removed."""
        for name in names:
            _remove(self.folder / name)

    def size(self, name: str) -> int:
        """How many bytes of a disk are in the store."""
        return size_of(self.folder / name)

    def rebase(self, disk: Path, base: Path, form: str) -> None:
        """Tell a fetched disk where this machine has its image; raises HypervisorFailed."""
        command = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", str(base), "-F", form]
        try:
            self.commands.run([*command, str(disk)], timeout_seconds=_REBASE_SECONDS)
        except CommandFailed as failed:
            raise HypervisorFailed(f"{disk} cannot be based on {base}: {failed}") from failed

    def _copy(self, source: Path, target: Path, leash: Leash, look: Callable[[int], None]) -> None:
        with ThreadPoolExecutor(1, "store") as pool:
            copying = pool.submit(self._copy_for_long, source, target, leash)
            while wait((copying,), _LOOK_SECONDS).not_done:
                look(size_of(target))
            copying.result()

    def _copy_for_long(self, source: Path, target: Path, leash: Leash) -> None:
        _make_anew(target)
        self.commands.follow(_copying(source, target), hear=lambda _: None, leash=leash)


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        _log.warning(
            "%s is of no use and cannot be removed (%s): remove it by hand.", file, error.strerror
        )


def _why(leash: Leash, error: Exception) -> object:
    if leash.pulled:
        return "nobody waits for it any more."
    return f"{error.strerror}." if isinstance(error, OSError) and error.strerror else error


def size_of(file: Path) -> int:
    """How many bytes of the disk a file takes, which is less than its length if it has holes."""
    try:
        return file.stat().st_blocks * _BLOCK
    except FileNotFoundError:
        return 0


def _make_anew(target: Path) -> None:
    """Make the file first, so that nobody else can look into it while it is filled."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))


def _copying(source: Path, target: Path) -> list[str]:
    return ["cp", "--reflink=auto", "--sparse=auto", "--", str(source), str(target)]
