"""A guest's QEMU as a process that is not our child.

It is held by a pidfd, never by its bare number: signals cannot hit another process that got the
number later. A process is known for a guest's by its command line, which names the guest's pid
file; it is looked at *after* the pidfd was opened, so that it is the same process.
"""

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final

from tashi.domain.identity import VmId

_PROC: Final = Path("/proc")


class Process:
    """A process that is some guest's QEMU. To be closed."""

    def __init__(self, pid: int, descriptor: int | None = None) -> None:
        """Without a descriptor it is a child of ours that nobody has waited for yet."""
        self.pid = VmId(pid)
        self.descriptor = os.pidfd_open(pid) if descriptor is None else descriptor
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def of(cls, pid_file: Path) -> "Process | None":
        """The QEMU that was told to write this pid file, if it lives."""
        with suppress(OSError, ValueError):  # no such file, or not written yet
            return _open(int(pid_file.read_text()), pid_file)
        return next(all_of(pid_file), None)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; harmless when the process is gone."""
        with self._closing:
            if not self._closed:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.descriptor, number)

    def has_ended(self, within_seconds: float) -> bool:
        """Wait for its end, at most so long; whether it has come."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(within_seconds * 1000))

    def close(self) -> str:
        """Let go of the process. If it was our child and has ended: how, else nothing."""
        with self._closing:
            if self._closed:
                return ""
            self._closed = True
            try:
                return self._wait()
            finally:
                os.close(self.descriptor)

    def _wait(self) -> str:
        try:
            ended = os.waitid(os.P_PIDFD, self.descriptor, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return ""
        if ended is None:
            return ""
        by_itself = ended.si_code == os.CLD_EXITED
        return f"{'exit code' if by_itself else 'signal'} {ended.si_status}"


def root_out(pid_file: Path, within_seconds: float) -> bool:
    """Kill every process with this guest's mark; whether all are gone."""
    found = list(all_of(pid_file))
    for process in found:
        process.signal(signal.Signals.SIGKILL)
    ended = [process.has_ended(within_seconds) for process in found]
    for process in found:
        process.close()
    return all(ended)


def is_there(pid_file: Path) -> bool:
    """Whether a process with this guest's mark lives."""
    for process in all_of(pid_file):
        process.close()
        return True
    return False


def all_of(pid_file: Path) -> Iterator[Process]:
    """Every process with this guest's mark; there is never more than one, but who knows."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            found = _open(int(entry.name), pid_file)
            if found is not None:
                yield found


def folders_marked(info: Path) -> Iterator[Path]:
    """The folders under `info` that living QEMUs have for their guests' own, there or not."""
    return (folder for _, folder in _marked() if folder.parent == info and folder.name.isdecimal())


def former_places(info: Path, scratch: Path) -> set[Path]:
    """Where records of guests are that live, have disks in `scratch`, and are not of `info`."""
    here = os.fsencode(scratch / "tashi-")
    return {
        folder.parent
        for pid, folder in _marked()
        if folder.parent != info and any(here in word for word in _words(pid))
    }


def _marked() -> Iterator[tuple[int, Path]]:
    """Every living QEMU of a guest, and the guest's folder.

    Any user can give a process such a command line; those of others are not believed.
    """
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            pid = int(entry.name)
            for folder in (mark.parent for mark in _marks(pid)):
                if _is_ours(pid, folder.parent) and _is_of_a_node_manager(pid):
                    yield pid, folder


def _open(pid: int, pid_file: Path) -> Process | None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # gone, or never there
        return None
    if not _is_marked(pid, pid_file):
        os.close(descriptor)
        return None
    return Process(pid, descriptor)


def _is_marked(pid: int, pid_file: Path) -> bool:
    return pid_file in _marks(pid) and _is_ours(pid, pid_file.parent.parent)


def _marks(pid: int) -> list[Path]:
    """The pid files that the process was told to write."""
    pairs = pairwise(_words(pid))
    return [Path(os.fsdecode(value)) for key, value in pairs if key == b"-pidfile"]


def _words(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _is_ours(pid: int, info: Path) -> bool:
    """Whether the process means our folder of guests by that name, and no other container's.

    The guest's own folder might be gone.
    """
    try:
        theirs, ours = (_PROC / str(pid) / f"root{info}").stat(), info.stat()
    except OSError:  # it cannot be told: its mark has to do
        return True
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def _is_of_a_node_manager(pid: int) -> bool:
    """Whether our user or root has begun the process."""
    try:
        lines = (_PROC / str(pid) / "status").read_text(errors="replace").splitlines()
        [uid, *_] = next(line for line in lines if line.startswith("Uid:")).split()[1:]
    except (OSError, StopIteration):  # it has ended
        return False
    return int(uid) in {0, os.geteuid()}
