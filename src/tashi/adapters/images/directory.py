"""Images in a folder that every node sees, as `[Vfs] prefix` names it.

The front of this room: `listing` looks, `works` and `receiving` make, `parts` gives names, `hold`
keeps former users out, `spots` leads to every place without ever leaving the folder.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from tashi.adapters.images import locks, parts
from tashi.adapters.images.hold import Hold
from tashi.adapters.images.listing import Listing
from tashi.adapters.images.receiving import FolderIntake
from tashi.adapters.images.spots import Spots, failed, no_such_image
from tashi.adapters.images.works import Works
from tashi.domain.catalogue import Image
from tashi.domain.errors import ImageInUse, ImagesFailed, NoSuchImage, Refused
from tashi.domain.guest import start_of
from tashi.ports.commands import Commands
from tashi.ports.images import Intake, NewImage, Piece, Progress


class ImageFolder:
    """The images below ``PREFIX/images``; memory and disks at rest below ``PREFIX/suspend``.

    From its first look at images on, nobody who looked at them earlier changes any. `confirm`
    raises unless it may have that look.
    """

    def __init__(
        self, prefix: Path, commands: Commands, confirm: Callable[[], None] = lambda: None
    ) -> None:
        self._images = prefix / "images"
        self._suspend = prefix / "suspend"
        self._spots = Spots(self._images)
        self._listing = Listing(self._spots)
        self._hold = Hold(self._images, confirm)
        self._works = Works(self._spots, self._listing, commands, self._hold)

    # ---- looking --------------------------------------------------------------------------------

    def images(self) -> Sequence[Image]:
        """Every image, by name."""
        with self._ours():
            return self._listing.images()

    def has(self, name: str) -> bool:
        """Whether there is a file of that name inside the folder that can be a disk."""
        with self._ours():
            return self._listing.has(name)

    def image(self, name: str) -> Image:
        """That image."""
        with self._ours():
            return self._listing.image(name)

    def same_as(self, name: str) -> Sequence[str]:
        """Every name of the same file."""
        with self._ours():
            return self._listing.same_as(name)

    def backs(self, name: str) -> Sequence[str]:
        """The images that are based on it or are links to it, by a look at all of them."""
        with self._ours():
            self._listing.images()
            return self._listing.backs(name)

    def room(self) -> int:
        """How many bytes can still be written."""
        try:
            free = os.statvfs(self._images)
        except OSError as error:
            raise _failed(self._images, error) from error
        return free.f_bavail * free.f_frsize

    def read(self, name: str, offset: int, length: int) -> Piece:
        """A piece of an image's file as it is in the store."""
        with (
            self._ours(name),
            self._spots.at(self._spots.real_name(name)) as spot,
            spot.reading() as fd,
        ):
            there = os.fstat(fd)
            version = f"{there.st_ino:x}-{there.st_mtime_ns:x}-{there.st_size:x}"
            return Piece(os.pread(fd, length, offset), there.st_size, version)

    # ---- changing -------------------------------------------------------------------------------

    def copy(self, source: str, new: NewImage, progress: Progress) -> None:
        """Copy an image byte by byte."""
        with self._made(new):
            self._works.copy(source, new, progress)

    def clone(self, source: str, new: NewImage, progress: Progress) -> None:
        """Make an image that is based on another."""
        with self._made(new):
            self._works.clone(source, new, progress)

    def rebase(self, source: str, backing: str | None, new: NewImage, progress: Progress) -> None:
        """Make an image of the same content, based on another one or on none."""
        with self._made(new):
            self._works.rebase(source, backing, new, progress)

    def receive(self, new: NewImage, size: int) -> Intake:
        """Begin to take in a new image."""
        with self._ours(new.name):
            return FolderIntake(self._works, new, size)

    def delete(self, name: str) -> None:
        """Remove an image, and the card beside it."""
        with self._ours(name), self._spots.at(name) as spot:
            with suppress(NoSuchImage), spot.reading() as fd:  # a link is removed as what it is
                if locks.is_open(fd):
                    raise ImageInUse(f"Image {name!r} is open in a QEMU: it cannot be deleted.")
            if stat.S_ISDIR(spot.lstat().st_mode):
                raise no_such_image(name)
            self._hold.remove(spot.folder, spot.base)
            with suppress(FileNotFoundError):
                self._hold.remove(spot.folder, spot.card)
            os.fsync(spot.folder)
        self._listing.note_gone(name)

    def sweep(self) -> Sequence[str]:
        """Remove what earlier processes left half made."""
        with self._ours():
            return parts.sweep(self._spots)

    def has_saved(self, name: str) -> bool:
        """Whether memory of that name is complete and unused.

        Raises Refused for a name that leads elsewhere, ImagesFailed.
        """
        _check_saved_name(name)
        self._check_is_there()
        path = self._suspend / name
        try:
            return path.is_file()
        except OSError as error:
            raise _failed(path, error) from error

    def console(self, name: str, offset: int, most: int) -> tuple[bytes, int]:
        """A piece of the console's log that was stored with the disks of that name.

        Raises Refused for a name that leads elsewhere, NoSuchImage, ImagesFailed.
        """
        _check_saved_name(name)
        self._check_is_there()
        path = self._suspend / f"{name}.console"
        try:
            with path.open("rb") as log:
                begin = log.seek(start_of(offset, log.seek(0, os.SEEK_END)))
                with suppress(OSError):  # there is nothing more
                    begin = log.seek(begin, os.SEEK_DATA)  # past what its node had cut
                said = log.read(most)
        except FileNotFoundError as error:
            raise NoSuchImage(f"The image store has no console of {name!r}.") from error
        except OSError as error:
            raise _failed(path, error) from error
        return said, begin + len(said)

    def delete_saved(self, name: str) -> None:
        """Remove saved memory, used or not or in part; harmless if it is not there."""
        _check_saved_name(name)
        self._delete(*(self._suspend / one for one in (name, f"{name}.used", f".{name}.partial")))

    def delete_stored(self, name: str) -> None:
        """Remove the disks stored under that name, whole or not; harmless if there are none."""
        _check_saved_name(name)
        self._delete(
            *(self._suspend / one for one in (f"{name}.console", f".{name}.console.partial"))
        )
        for pattern in (f"{escape(name)}.disk*.qcow2", f".{escape(name)}.disk*.qcow2.partial"):
            self._delete(*self._suspend.glob(pattern))

    def _delete(self, *paths: Path) -> None:
        self._check_is_there()
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise _failed(path, error) from error

    def _check_is_there(self) -> None:
        """Raise ImagesFailed for a store that is away, which says nothing about what it has."""
        try:
            self._images.stat()
        except OSError as error:
            raise _failed(self._images, error) from error

    @contextmanager
    def _ours(self, name: str = "images") -> Iterator[None]:
        """Have the folder, and let an error of the system be told as one of the image store."""
        try:
            self._hold.take()
        except OSError as error:
            raise _failed(self._images, error) from error
        try:
            yield
        except OSError as error:
            raise failed(name, error) from error

    @contextmanager
    def _made(self, new: NewImage) -> Iterator[None]:
        with self._ours(new.name):
            yield
        self._listing.note_made(new.name)


def _check_saved_name(name: str) -> None:
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise Refused(f"{name!r} is no name of saved memory or stored disks.")


def _failed(path: Path, error: OSError) -> ImagesFailed:
    return ImagesFailed(f"{path} cannot be used: {error.strerror}.")
