"""A guest's folder: its record, and the lock that says whether there is a QEMU.

The lock is taken before a QEMU is started and *inherited* by it: the lock belongs to the open
file, so the kernel keeps it until the last process that has the file open is gone, however any of
them ends. Hence

* while the lock is held there is a QEMU of this guest, or one may yet begin;
* when it can be had there is none, for certain, and none can come but through us.

So two QEMUs for one guest are impossible, and no process id is needed to know that one is gone.

While a guest is being sent, a file beside its record says whether it has left. All of it is on the
disk before the guest stands still, so that the one word for which it stands is written over another
in its place: the disk is waited for, but not the file system's books.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu.places import Places
from tashi.adapters.hypervisor.qemu.record import Move, Record, decode, encode
from tashi.domain.errors import HypervisorFailed, NoSuchVm
from tashi.domain.guest import start_of

_PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600

_HERE: Final = b"here"
_LEFT: Final = b"left"
_BLOCK_BYTES: Final = 4096
"""A few bytes might be kept among the file system's books."""
_OF_A_DEPARTURE: Final = {Move.SENDING, Move.LEFT}


@dataclass(frozen=True, slots=True)
class GuestFolder:
    """What is kept of one guest on this machine."""

    places: Places

    @property
    def exists(self) -> bool:
        """Whether anything is kept."""
        return self.places.folder.is_dir()

    def make(self) -> bool:
        """See to it that there is a folder with an empty console log; whether it is new."""
        new = not self.exists
        private_folder(self.places.folder)
        # QEMU appends to the log and would make it readable for others.
        os.close(_open(self.places.console_log))
        return new

    def read(self) -> Record | None:
        """The record; ``None`` when there is none that can be read."""
        try:
            record = decode(self.places.record.read_bytes())
            return replace(record, move=Move.LEFT) if record and self._has_left() else record
        except OSError:
            return None

    def write(self, record: Record, *, durably: bool = False) -> None:
        """Replace the record, all or nothing; `durably` so that it outlives a power cut."""
        if record.move not in _OF_A_DEPARTURE:
            self.places.departure.unlink(missing_ok=True)
        partial = self.places.record.with_suffix(".new")
        partial.touch(PRIVATE_FILE)
        partial.write_bytes(encode(record))
        if durably:
            sync(partial)
        partial.replace(self.places.record)
        if durably:
            sync(self.places.folder)
            sync(self.places.folder.parent)

    def prepare_departure(self, record: Record) -> None:
        """Have on the disk what `depart` needs, so that it takes as little time as it can."""
        self.places.departure.touch(PRIVATE_FILE)
        self.places.departure.write_bytes(_HERE.ljust(_BLOCK_BYTES, b"\n"))
        sync(self.places.departure)
        self.write(record, durably=True)

    @property
    def is_departure_prepared(self) -> bool:
        """Whether all but the word is there."""
        return self.places.departure.exists()

    def depart(self) -> None:
        """Write down, to outlive a power cut, that the guest has left; it was prepared."""
        descriptor = os.open(self.places.departure, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, _LEFT, 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _has_left(self) -> bool:
        try:
            return self.places.departure.read_bytes().startswith(_LEFT)
        except FileNotFoundError:
            return False

    def said(self, offset: int, most: int) -> tuple[bytes, int]:
        """A part of the console's log, as the port's `console` promises; raises NoSuchVm."""
        try:
            with self.places.console_log.open("rb", buffering=0) as log:
                begin = start_of(offset, log.seek(0, os.SEEK_END))
                begin = log.seek(_past_holes(log.fileno(), begin))
                said = log.read(most)
        except FileNotFoundError as error:
            name = self.places.folder.name
            raise NoSuchVm(f"Nothing is kept of instance {name} here.") from error
        return said, begin + len(said)

    @contextmanager
    def held(self) -> Iterator[int]:
        """Hold the lock, or raise HypervisorFailed; gives the descriptor that a QEMU inherits."""
        descriptor = _open(self.places.lock)
        try:
            if not _lock(descriptor):
                raise HypervisorFailed(f"There is still a QEMU in {self.places.folder}.")
            yield descriptor
        finally:
            os.close(descriptor)

    def is_held(self) -> bool:
        """Whether there is a QEMU of this guest, or one may yet begin."""
        try:
            descriptor = os.open(self.places.lock, os.O_RDWR | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        try:
            return not _lock(descriptor)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the folder with all that is in it; harmless when there is none."""
        if self.exists:
            shutil.rmtree(self.places.folder)


def private_folder(path: Path) -> None:
    """Make a folder, with its parents, that nobody but us may look into.

    Raises HypervisorFailed when somebody else's folder, or a link, is in the way.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
        there = path.lstat()
        if path.is_symlink() or there.st_uid != os.geteuid():
            raise HypervisorFailed(f"{path} is not this node's own folder: remove or rename it.")
        path.chmod(_PRIVATE_FOLDER)
    except OSError as error:
        raise HypervisorFailed(f"The folder {path} cannot be made: {error.strerror}.") from error


def sync(path: Path) -> None:
    """Have what was written to that file or folder outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _past_holes(descriptor: int, begin: int) -> int:
    """Where anything is from there on: `consoles` cuts logs."""
    try:
        return os.lseek(descriptor, begin, os.SEEK_DATA)
    except OSError:  # there is nothing more
        return begin


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
