"""Images in a folder that every node sees, as `[Vfs] prefix` names it.

The facts about an image (format, virtual size, backing) come from `qemu-img info`, asked once for
each version of a file.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Final

import msgspec

from tashi.domain.catalogue import Image
from tashi.domain.errors import CommandFailed, ImagesFailed, Refused
from tashi.ports.commands import Commands

_TIMEOUT_SECONDS: Final = 30.0
_SECTOR_BYTES: Final = 512
_QCOW2_MAGIC: Final = b"QFI\xfb"
_QCOW2_VERSIONS: Final = {2, 3}
_QCOW2_HEADER_BYTES: Final = 72
"""The header of version 2, with which that of version 3 begins: QEMU, docs/interop/qcow2.txt."""
_Version = tuple[int, int]


class _Facts(msgspec.Struct, rename="kebab"):
    format: str = "unknown"
    virtual_size: int = 0
    backing_filename: str | None = None


class ImageFolder:
    """The images below ``PREFIX/images``; memory and disks at rest below ``PREFIX/suspend``."""

    def __init__(self, prefix: Path, commands: Commands) -> None:
        self._images = prefix / "images"
        self._suspend = prefix / "suspend"
        self._commands = commands
        self._known: dict[str, tuple[_Version, _Facts]] = {}
        self._usable: dict[str, tuple[int, int, int, int]] = {}

    def images(self) -> Sequence[Image]:
        """Every image, by name."""
        try:
            files = sorted(self._files())
        except OSError as error:
            raise _failed(self._images, error) from error
        return [self._image(name, size, version) for name, size, version in files]

    def has(self, name: str) -> bool:
        """Whether there is a file of that name inside the folder that can be a disk."""
        path = self._images / name
        try:
            if not path.is_file():
                self._images.stat()  # a store that is away says nothing about what it has
                return False
            return self._is_usable(name, path)
        except OSError as error:
            raise _failed(path, error) from error

    def delete_saved(self, name: str) -> None:
        """Remove saved memory, used or not; harmless if it is not there.

        Raises Refused for a name that leads elsewhere, ImagesFailed when it cannot be removed.
        """
        _check_saved_name(name)
        self._delete(self._suspend / name, self._suspend / f"{name}.used")

    def delete_stored(self, name: str) -> None:
        """Remove the disks stored under that name, whole or not; harmless if there are none.

        Raises Refused for a name that leads elsewhere, ImagesFailed when one cannot be removed.
        """
        _check_saved_name(name)
        pattern = f"{escape(name)}.disk*.qcow2"
        self._delete(*self._suspend.glob(pattern), *self._suspend.glob(f".{pattern}.partial"))

    def _delete(self, *paths: Path) -> None:
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _failed(path, error) from error

    def _files(self) -> Iterator[tuple[str, int, _Version]]:
        """The name, the space taken up and the version of every file."""

        def refuse(error: OSError) -> None:
            raise error

        for folder, _, names in os.walk(self._images, onerror=refuse):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # removed while we looked
                    if path.is_file() and self._holds(path):
                        yield path.relative_to(self._images).as_posix(), *_measures(path)

    def _holds(self, path: Path) -> bool:
        """Whether it is inside the folder also when all links are followed."""
        return path.resolve().is_relative_to(self._images.resolve())

    def _is_usable(self, name: str, path: Path) -> bool:
        """Whether it is inside and can be a disk; looked at again only when it is another file."""
        stat = path.stat()
        there = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if self._usable.get(name) == there:
            return True
        usable = self._holds(path) and _can_be_disk(path)
        if usable:
            self._usable[name] = there
        return usable

    def _image(self, name: str, size: int, version: _Version) -> Image:
        facts = self._facts(name, version)
        return Image(name, size, facts.virtual_size, facts.format, facts.backing_filename)

    def _facts(self, name: str, version: _Version) -> _Facts:
        known = self._known.get(name)
        if known is not None and known[0] == version:
            return known[1]
        path = self._images / name
        arguments = ["qemu-img", "info", "--force-share", "--output=json", str(path)]
        try:
            text = self._commands.run(arguments, timeout_seconds=_TIMEOUT_SECONDS)
            facts = msgspec.json.decode(text, type=_Facts) if _can_be_disk(path) else _Facts()
        except (CommandFailed, OSError, msgspec.DecodeError):
            # A file that is no image is listed as such; using it is refused where it is used.
            # Not remembered: it may be a good one that could not be read just now.
            return _Facts()
        self._known[name] = (version, facts)
        return facts


def _check_saved_name(name: str) -> None:
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise Refused(f"{name!r} is no name of saved memory or stored disks.")


def _can_be_disk(path: Path) -> bool:
    """Whether the file is qcow2, or anything in whole sectors; only QEMU knows whether it is sound.

    This may be asked for every instance that is created, so it reads a few bytes and runs nothing.
    """
    with path.open("rb") as file:
        head = file.read(_QCOW2_HEADER_BYTES)
        size = file.seek(0, os.SEEK_END)
    if head.startswith(_QCOW2_MAGIC):
        version = int.from_bytes(head[4:8])
        return len(head) == _QCOW2_HEADER_BYTES and version in _QCOW2_VERSIONS
    return size > 0 and size % _SECTOR_BYTES == 0


def _measures(path: Path) -> tuple[int, _Version]:
    stat = path.stat()
    # What it takes up: stat(2) counts in blocks of 512 bytes.
    return stat.st_blocks * 512, (stat.st_mtime_ns, stat.st_size)


def _failed(path: Path, error: OSError) -> ImagesFailed:
    return ImagesFailed(f"{path} cannot be used: {error.strerror}.")
