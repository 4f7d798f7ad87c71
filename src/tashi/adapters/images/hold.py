"""Whose the folder of images is: whoever's took it last, and nobody's who had it before.

A cluster manager that was succeeded may be in the middle of a copy, or about to delete an image,
and may have been frozen at any instruction; no look beforehand keeps it from ending that later. So
every change goes through a hidden folder of who makes it: what is to be an image is moved there and
gets its name from there, and what is to go is moved there and removed. Who takes the folder of
images removes the hidden folders of all others before its first look. From then on a move of theirs
finds no place, and what they had moved is gone.

So that nobody takes the folder from a successor, who takes it notes whose hidden folders there are,
has it confirmed that it leads, and then removes those that it noted. Its successor's is among them
only if that one leads already, and then nothing is confirmed.

What lies in another file system, mounted below that folder, cannot be moved so, and is changed
where it is.
"""

import errno
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tashi.domain.errors import ReignLost

_PREFIX: Final = ".held-"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ONLY_TO_BE_READ: Final = {errno.EROFS, errno.EACCES, errno.EPERM}


class Hold:
    """One user's hold on a folder, which lasts until the next one takes it.

    `confirm` raises unless that user may have it.
    """

    def __init__(self, root: Path, confirm: Callable[[], None]) -> None:
        self._root = root
        self._confirm = confirm
        self._place = root / f"{_PREFIX}{secrets.token_hex(8)}"
        self._taking = threading.Lock()
        self._taken = threading.Event()
        self._hindrance: OSError | None = None

    def take(self) -> None:
        """Take the folder from whoever has it, the first time that this is called.

        A folder that is only to be read can be looked at. Raises OSError for one that is away, and
        what `confirm` raises.
        """
        if self._taken.is_set():
            return
        with self._taking:
            if self._taken.is_set():
                return
            try:
                self._place.mkdir(exist_ok=True)
                others = [one for one in self._root.glob(f"{_PREFIX}*") if one != self._place]
            except OSError as error:
                if error.errno not in _ONLY_TO_BE_READ:
                    raise
                self._hindrance, others = error, []
            self._confirm()
            for other in others:
                _remove(other)
            self._taken.set()

    def give_name(self, folder: int, draft: str, base: str, *, replace: bool = False) -> None:
        """Let a file in that open folder have another name, which is not taken or to be replaced.

        Raises ReignLost once somebody else has the folder, FileExistsError, and other OSErrors.
        """
        with self._through(folder, draft) as (place, moved):
            if replace:
                os.rename(moved, base, src_dir_fd=place, dst_dir_fd=folder)
            else:
                os.link(moved, base, src_dir_fd=place, dst_dir_fd=folder)
                os.unlink(moved, dir_fd=place)

    def remove(self, folder: int, base: str) -> None:
        """Remove a file in that open folder; raises ReignLost like `give_name`, and OSError."""
        with self._through(folder, base) as (place, moved):
            os.unlink(moved, dir_fd=place)

    @contextmanager
    def _through(self, folder: int, base: str) -> Iterator[tuple[int, str]]:
        """The open folder where that file is now, and its name there."""
        if self._hindrance is not None:
            raise self._hindrance
        try:
            place = os.open(self._place, _FOLDER)
            try:
                with _moved(folder, base, place) as where:
                    yield where
            finally:
                os.close(place)
        except FileNotFoundError as error:
            if self._place.exists():
                raise
            raise ReignLost(
                "Another cluster manager has the image store now: nothing is changed from here."
            ) from error


@contextmanager
def _moved(folder: int, base: str, place: int) -> Iterator[tuple[int, str]]:
    name = secrets.token_hex(8)
    try:
        os.rename(base, name, src_dir_fd=folder, dst_dir_fd=place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        yield folder, base
        return
    try:
        yield place, name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=place)


def _remove(place: Path) -> None:
    """Remove another's hidden folder, though something may be moved there meanwhile."""
    while place.exists():
        try:
            shutil.rmtree(place)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.ENOENT}:
                raise
