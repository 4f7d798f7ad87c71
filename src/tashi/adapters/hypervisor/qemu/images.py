"""What disk images are: their format, and whether a guest may be given them.

An image may name other files (a backing file, a data file) that QEMU would open in its turn. An
image that reaches outside the image store that way is refused, else whoever may write an image may
read any file of the host. So nothing of QEMU's is run to find out: what an image says of itself
is read from its header (`tashi.domain.images`), and so is what it is based on, down to the last.

What a file says of itself is kept for as long as that file stays the same. What it is based on is
followed each time: any of those files may have changed.
"""

import os
import posixpath
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tashi.domain.errors import HypervisorFailed
from tashi.domain.images import (
    SECTOR_BYTES,
    UNKNOWN,
    ImageFacts,
    complaint_about_base,
    names_another_protocol,
    read_facts,
)

_MOST_KEPT: Final = 4096
_DEEPEST: Final = 64
_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""So that a pipe that calls itself an image holds nobody up."""

_Version = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Images:
    """The image store, as a folder, seen with QEMU's eyes."""

    folder: Path
    _known: dict[_Version, ImageFacts] = field(default_factory=dict)

    def path(self, uri: str) -> Path:
        """Where an image is; raises HypervisorFailed when the name leads out of the store."""
        parts = Path(uri.strip("/")).parts
        if not parts or ".." in parts:
            raise HypervisorFailed(f"Disk {uri!r} is not the name of an image.")
        return self.folder.joinpath(*parts)

    def format_of(self, uri: str) -> str:
        """The format of an image, raw or qcow2; raises HypervisorFailed when it is no image."""
        path = self.path(uri)
        try:
            path.stat()
        except OSError as error:
            if not self.folder.is_dir():
                raise HypervisorFailed(
                    f"The image folder {self.folder} is not there on this host: is it mounted?"
                ) from error
            raise HypervisorFailed(f"Disk {uri} cannot be opened: {error.strerror}.") from error
        if not path.is_file():
            raise HypervisorFailed(f"Disk {uri} is not a file.")
        return self._look(uri, path)

    def _look(self, uri: str, path: Path) -> str:
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise HypervisorFailed(f"Disk {uri} is a link that leads outside the image store.")
        top = facts = self._facts(uri, path)
        if not top.is_disk:
            raise HypervisorFailed(f"Disk {uri} {_complaint(top)}")
        for _ in range(_DEEPEST):
            if facts.data_elsewhere:
                raise HypervisorFailed(f"Disk {uri} keeps its data in another file: refused.")
            if facts.backing is None:
                return top.format
            below = self._below(uri, path, facts.backing)
            under = self._facts(uri, below)
            if not under.is_disk:
                raise HypervisorFailed(f"Disk {uri} is based on {below}, which is no disk image.")
            if complaint := complaint_about_base(facts, under):
                raise HypervisorFailed(f"Disk {uri} is refused: {path} {complaint}")
            path, facts = below, under
        raise HypervisorFailed(f"Disk {uri} is based on itself, or on too many: refused.")

    def _below(self, uri: str, path: Path, backing: str) -> Path:
        """The file that an image is based on, which must be in the store."""
        inside = self.folder.resolve()
        if not names_another_protocol(backing) and "\0" not in backing:
            real = Path(posixpath.join(path.parent, backing)).resolve()
            if real.is_relative_to(inside):
                return real
        raise HypervisorFailed(
            f"Disk {uri} is based on {backing!r}, which is outside the image store: refused."
        )

    def _facts(self, uri: str, path: Path) -> ImageFacts:
        try:
            fd = os.open(path, _READING)
            try:
                return self._facts_of(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise HypervisorFailed(
                f"Disk {uri}: {path} cannot be read: {error.strerror}."
            ) from error

    def _facts_of(self, fd: int) -> ImageFacts:
        there = os.fstat(fd)
        if not stat.S_ISREG(there.st_mode):
            return ImageFacts()
        version = (
            *(there.st_dev, there.st_ino, there.st_mtime_ns, there.st_ctime_ns, there.st_size),
        )
        known = self._known.get(version)
        if known is None:
            known = read_facts(lambda offset, length: os.pread(fd, length, offset), there.st_size)
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[version] = known
        return known


def _complaint(facts: ImageFacts) -> str:
    if facts.format == UNKNOWN:
        return f"is no disk image: neither sound qcow2 nor whole sectors of {SECTOR_BYTES} bytes."
    return (
        f"is in the format {facts.format}, which Tashi does not open: make it qcow2 with "
        "`qemu-img convert -O qcow2`."
    )
