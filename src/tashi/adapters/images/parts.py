"""A new image while it is made: a hidden file beside its place, which gets its name at the end.

By then everything of it is on the disk, and so is the card that says whose it is. It gets its name
by link(2), which never takes another file's place, or where that was asked for by rename(2), and
only while the folder of images is ours (`hold`). After a crash at any point there is the whole
image or none, and perhaps a hidden file, whose name tells that it belongs to nobody who lives.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from tashi.adapters.images.hold import Hold
from tashi.adapters.images.listing import Card
from tashi.adapters.images.spots import Spot, Spots
from tashi.domain.errors import Refused
from tashi.ports.images import NewImage

_SUFFIX: Final = ".part"
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE: Final = 0o644

OURS: Final = secrets.token_hex(4)
"""Marks the files that this process makes."""


class Part:
    """An open file that is to become an image."""

    def __init__(self, spot: Spot, new: NewImage, hold: Hold) -> None:
        """Raises OSError."""
        self._hold = hold
        self._spot = spot
        self._new = new
        base = f".{spot.base}.{secrets.token_hex(4)}.{OURS}{_SUFFIX}"
        self._file = Spot(spot.folder, base, spot.name)
        self.fd = os.open(base, _NEW, _MODE, dir_fd=spot.folder)
        self._is_named = False

    @property
    def path(self) -> str:
        """Where a program finds it."""
        return self._file.path

    @property
    def name(self) -> str:
        """The name that it is to have."""
        return self._spot.name

    def become_the_image(self) -> None:
        """Give it its name, durably.

        Raises Refused when there is one of that name by now, ReignLost when another has the folder.
        """
        os.fsync(self.fd)
        folder, base = self._spot.folder, self._spot.base
        replace = self._new.replace
        if not replace:
            refuse_if_there(self._spot)
        self._write_card()
        try:
            self._hold.give_name(folder, self._file.base, base, replace=replace)
        except (FileExistsError, IsADirectoryError) as error:
            raise exists(self.name) from error
        self._is_named = True
        os.fsync(folder)

    def close(self) -> None:
        """Let go of it; without its name nothing of it stays."""
        if not self._is_named:
            with suppress(OSError):  # the next start sweeps
                os.unlink(self._file.base, dir_fd=self._spot.folder)
        os.close(self.fd)

    def _write_card(self) -> None:
        """Say whose it is, or by no card that it is nobody's."""
        card = self._spot.card
        if self._new.owner is None:
            with suppress(FileNotFoundError):
                self._hold.remove(self._spot.folder, card)
            return
        draft = f"{self._file.base}.card{_SUFFIX}"
        folder = self._spot.folder
        fd = os.open(draft, _NEW, _MODE, dir_fd=folder)
        try:
            os.write(fd, msgspec.json.encode(Card(self._new.owner)))
            os.fsync(fd)
            self._hold.give_name(folder, draft, card, replace=True)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            raise
        finally:
            os.close(fd)


@contextmanager
def making(spots: Spots, new: NewImage, hold: Hold) -> Iterator[Part]:
    """A part that becomes the image if the block says so; otherwise nothing is left of it.

    Raises Refused at once when the name is taken.
    """
    with spots.making(new.name) as spot:
        if not new.replace:
            refuse_if_there(spot)
        part = Part(spot, new, hold)
        try:
            yield part
        finally:
            part.close()


def refuse_if_there(spot: Spot) -> None:
    """Raise Refused when the place is taken."""
    with suppress(FileNotFoundError):
        spot.lstat()
        raise exists(spot.name)


def exists(name: str) -> Refused:
    """What is said of a name that is taken."""
    return Refused(f"There is an image {name!r} already: choose another name, or delete that one.")


def sweep(spots: Spots) -> list[str]:
    """Remove what processes that are gone left half made; what it was. Raises OSError."""
    swept = []

    def refuse(error: OSError) -> None:
        raise error

    for path, _, bases, folder in os.fwalk(spots.root, onerror=refuse):
        for base in bases:
            if base.startswith(".") and base.endswith(_SUFFIX) and f".{OURS}." not in base:
                os.unlink(base, dir_fd=folder)
                swept.append(f"{path}/{base}")
    return swept
