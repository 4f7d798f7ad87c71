"""The journal's newest volume, to be written.

Lines are appended, and count once `fdatasync` has returned. The position is that of the last whole
line on the disk and stands nowhere else, so there are no two truths. What can go wrong:

* A crash leaves a torn line, or, when a machine dies, worse behind a hole. From the first line on
  that is no line, the volume is cut; what is cut and was more than one torn line is put aside in a
  file beside it. The events are asked for again, from the cluster manager.
* A write or `fdatasync` fails. Then the volume is opened anew before anything else is written, and
  looked through in the same way.
* A new volume is complete and durable under another name before it gets its own.

A lock keeps a second accounting daemon out of the folder.
"""

import fcntl
import logging
import os
from pathlib import Path
from typing import Final

from tashi.adapters.accounting.bookmark import sync_folder
from tashi.adapters.accounting.reading import volume_name, volumes_in
from tashi.domain.errors import BadRequest, Misconfigured, Refused, StoreFailed
from tashi.domain.identity import EventNumber
from tashi.wire import history

_log = logging.getLogger(__name__)

_NEW: Final = ".new"
_ASIDE: Final = ".cut"
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o640


class FolderWriter:
    """Writes the journal in that folder, which is made if it is not there.

    Raises Refused when another process writes it, Misconfigured when it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd = -1
        self._begun_with = 0
        self._size = 0
        self._next: EventNumber | None = None
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as wrong:
            raise Misconfigured(
                f"The folder {folder} cannot be used ({wrong.strerror}): set journal in "
                "[AccountingService] to one that the accounting daemon may write."
            ) from wrong
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as wrong:
            os.close(self._lock)
            raise Refused(f"Another accounting daemon writes the journal in {folder}.") from wrong

    @property
    def grown(self) -> int:
        """By how many bytes the newest volume has grown since its first line."""
        return self._size - self._begun_with

    def next(self) -> EventNumber | None:
        """The number after that of the last event; None when there is no volume."""
        if self._fd < 0:
            try:
                self._open()
            except OSError as wrong:
                raise self._failed(wrong) from wrong
        return self._next

    def begin(self, first: bytes, at: float) -> None:
        """Begin a new volume, at that time, with its first line."""
        try:
            there = volumes_in(self._folder)
            number = there[-1].number + 1 if there else 1
            path = self._folder / volume_name(number, at)
            self._write_new(path.with_name(path.name + _NEW), first)
            path.with_name(path.name + _NEW).rename(path)
            sync_folder(self._folder)
            self._leave()
            self._open()
        except OSError as wrong:
            self._leave()  # the new volume may be there: no line may follow in the old one then
            raise self._failed(wrong) from wrong

    def append(self, lines: bytes) -> None:
        """Add lines to the newest volume."""
        if not lines:
            return
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fdatasync(self._fd)
        except OSError as wrong:
            self._leave()
            raise self._failed(wrong) from wrong
        self._size += len(lines)
        last = lines[lines.rfind(b"\n", 0, -1) + 1 :]
        self._next = EventNumber(history.number_of(last) + 1)

    def close(self) -> None:
        """Let somebody else write; harmless when repeated."""
        self._leave()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # ---- the newest volume ----------------------------------------------------------------------

    def _open(self) -> None:
        for left in self._folder.glob(f"*{_NEW}"):
            left.unlink()
        there = volumes_in(self._folder)
        if not there:
            self._next = None
            return
        path = self._folder / there[-1].name
        if path.suffix == ".gz":
            raise Misconfigured(
                f"{path} is the journal's newest volume, which is still written to: gunzip it."
            )
        self._fd = os.open(path, _FLAGS)
        try:
            self._look_through(path)
        except BaseException:
            self._leave()
            raise

    def _look_through(self, path: Path) -> None:
        """Find the last whole line, and cut off what stands behind it."""
        with path.open("rb") as file:
            try:
                first = file.readline()
                self._next = history.next_after_first(first)
                self._begun_with = self._size = len(first)
                for line in file:
                    self._take(line)
            except BadRequest as wrong:
                if self._begun_with == 0 or self._next is None:
                    raise Misconfigured(
                        f"{path} is damaged at its beginning ({wrong.message}): restore it from a "
                        "backup, or move it away; a new volume is begun then."
                    ) from wrong
                file.seek(self._size)
                self._cut(path, file.read())

    def _take(self, line: bytes) -> None:
        number = history.number_of(line)
        if not line.endswith(b"\n"):
            raise BadRequest("its end is missing")
        if self._next is not None and number < self._next:
            raise BadRequest(f"event {number} comes after a later one")
        self._size += len(line)
        self._next = EventNumber(number + 1)

    def _cut(self, path: Path, rest: bytes) -> None:
        if b"\n" in rest:
            aside = path.with_name(f"{path.name}{_ASIDE}")
            self._write_new(aside, rest)
            _log.warning(
                "%s is damaged from byte %d on. What stood there is put aside in %s, and the "
                "events are asked for again.",
                *(path, self._size, aside),
            )
        else:
            _log.warning("The last line of %s was torn, and is cut off.", path)
        os.ftruncate(self._fd, self._size)
        os.fsync(self._fd)

    def _write_new(self, path: Path, content: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)

    def _leave(self) -> None:
        self._begun_with = self._size = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _failed(self, wrong: OSError) -> StoreFailed:
        return StoreFailed(
            f"The journal in {self._folder} could not be written ({wrong.strerror or wrong})."
        )
