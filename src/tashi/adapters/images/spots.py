"""Places in the image folder, reached from the folder down and never out of it.

Every step is taken from the open folder before it and follows no link (openat(2), O_NOFOLLOW), so
nobody who may change names in the folder can lead a step elsewhere between a check and its use.
Links to images are followed in one place, `real_name`, and only to images in the folder.

Programs are given a place as ``/proc/PID/fd/N/NAME``: the same open folder, by name.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tashi.domain.errors import ImagesFailed, NoSuchImage, Refused
from tashi.domain.images import is_hidden

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_THERE: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_FOLDER_MODE: Final = 0o755


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of one image: an open folder, and a name in it; `name` is for people."""

    folder: int
    base: str
    name: str

    @property
    def path(self) -> str:
        """The place for a program that runs while the folder is open."""
        return f"/proc/{os.getpid()}/fd/{self.folder}/{self.base}"

    @property
    def card(self) -> str:
        """The file that says whose the image is."""
        return card_of(self.base)

    def lstat(self) -> os.stat_result:
        """What is there, a link being a link; raises OSError."""
        return os.stat(self.base, dir_fd=self.folder, follow_symlinks=False)

    @contextmanager
    def reading(self) -> Iterator[int]:
        """Its file, open for reading; NoSuchImage when it is none."""
        try:
            fd = os.open(self.base, _FILE, dir_fd=self.folder)
        except OSError as error:
            raise failed(self.name, error) from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise no_such_image(self.name)
            yield fd
        finally:
            os.close(fd)


class Spots:
    """The places below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._above = f"{root}/"

    @contextmanager
    def at(self, name: str) -> Iterator[Spot]:
        """The place of that name, in a folder that is there; raises NoSuchImage or ImagesFailed."""
        *folders, base = _parts(name)
        fd = self._open_root()
        try:
            for folder in folders:
                fd = _entered(fd, folder, name)
            yield Spot(fd, base, name)
        finally:
            os.close(fd)

    def plain(self, name: str) -> os.stat_result | None:
        """What is there, when it is a plain file in the folder itself: most images are.

        One look, for what many instances are created from; None says nothing but to look properly.
        """
        if len(_parts(name)) > 1:
            return None
        try:
            there = os.lstat(f"{self._above}{name}")
        except OSError:
            return None
        return there if stat.S_ISREG(there.st_mode) else None

    @contextmanager
    def making(self, name: str) -> Iterator[Spot]:
        """The place of that name, in a folder that is made if need be, and removed if left empty.

        Raises Refused when the name leads through something that is no folder.
        """
        *folders, base = _parts(name)
        opened: list[int] = [self._open_root()]
        made: list[tuple[int, str]] = []
        try:
            _make_folders(opened, made, folders, name)
            yield Spot(opened[-1], base, name)
        finally:
            for parent, folder in reversed(made):
                with suppress(OSError):  # it is in use
                    os.rmdir(folder, dir_fd=parent)
            for fd in opened:
                os.close(fd)

    def real_name(self, name: str) -> str:
        """The name of the file that an image is, links being followed; NoSuchImage outside."""
        with self.at(name) as spot:
            try:
                is_link = stat.S_ISLNK(spot.lstat().st_mode)
            except OSError as error:
                raise failed(name, error) from error
        return self._followed(name) if is_link else name

    def inside(self, path: str) -> str | None:
        """The place below the folder that a path leads to, links being followed; None outside."""
        root = os.path.realpath(self.root)
        real = os.path.realpath(path)
        return real[len(root) + 1 :] if real.startswith(f"{root}/") else None

    def _followed(self, name: str) -> str:
        real = self.inside(f"{self.root}/{name}")
        if real is None or is_hidden(real):
            raise no_such_image(name)
        return real

    def _open_root(self) -> int:
        try:
            return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ImagesFailed(f"{self.root} cannot be used: {error.strerror}.") from error


def card_of(base: str) -> str:
    """The name of the file that says whose an image is."""
    return f".{base}.tashi"


def no_such_image(name: str) -> NoSuchImage:
    """What is said of an image that is not there."""
    return NoSuchImage(f"There is no disk image {name!r}: getImages lists those there are.")


def failed(name: str, error: OSError) -> NoSuchImage | ImagesFailed:
    """What an error of the system means for an image."""
    if error.errno in _NOT_THERE:
        return no_such_image(name)
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return ImagesFailed(
            f"There is no room left in the image store for {name!r} ({error.strerror}); nothing of "
            "it is kept. Delete images that nobody needs, or make the store larger."
        )
    return ImagesFailed(f"Image {name!r} cannot be used: {error.strerror}.")


def _parts(name: str) -> list[str]:
    parts = name.split("/")
    if "\0" in name or not {"", ".", ".."}.isdisjoint(parts) or is_hidden(name):
        raise no_such_image(name)
    return parts


def _make_folders(
    opened: list[int], made: list[tuple[int, str]], folders: list[str], name: str
) -> None:
    """Open one folder in the other, noting in `made` which of them were not there."""
    try:
        for folder in folders:
            with suppress(FileExistsError):
                os.mkdir(folder, _FOLDER_MODE, dir_fd=opened[-1])
                made.append((opened[-1], folder))
                os.fsync(opened[-1])
            opened.append(os.open(folder, _FOLDER, dir_fd=opened[-1]))
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise Refused(f"{name!r} leads through something that is no folder.") from error
        raise failed(name, error) from error


def _entered(fd: int, folder: str, name: str) -> int:
    """The folder inside the open one, which is closed when that succeeds."""
    try:
        inner = os.open(folder, _FOLDER, dir_fd=fd)
    except OSError as error:
        raise failed(name, error) from error
    os.close(fd)
    return inner
