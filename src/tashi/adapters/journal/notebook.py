"""A node's notebook: a folder with one readable file for each guest.

A page is written beside the old one, made durable, and renamed over it, so at any instant there is
a whole page or none; one that is torn out is durably gone. A lock keeps a second node manager out
of the same folder. Beside the pages stands whose guests they are about: under another name, the
node's guests would belong to nobody, and be ended.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from tashi.domain.errors import Misconfigured, Refused, StoreFailed
from tashi.domain.identity import Epoch, InstanceId

_PAGE: Final = ".json"
_NEW: Final = ".new"
_HOST: Final = "host"


class FolderNotebook:
    """Pages of a host under one folder, which is made if need be; `close` gives up the lock.

    Raises Refused when another node manager has the folder, Misconfigured when it cannot be used or
    has pages about guests of a host of another name.
    """

    def __init__(self, folder: Path, host: str) -> None:
        self._folder = folder
        self._host = host
        self._is_named = False
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Misconfigured(
                f"The folder {folder} cannot be used ({error.strerror}): set infoDir to one that "
                "the node manager may write."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise Refused(f"Another node manager uses {folder}: one machine has one.") from error
        try:
            self._check_host()
        except BaseException:
            self.close()
            raise

    def pages(self) -> dict[InstanceId, bytes]:
        """All pages; what a crash left half-written is removed, what is no page is left alone."""
        try:
            # Not with glob, to which a folder that cannot be read is an empty one.
            files = list(self._folder.iterdir())
            for left in (path for path in files if path.suffix == _NEW):
                left.unlink()
            return {
                InstanceId(int(path.stem)): path.read_bytes()
                for path in files
                if path.suffix == _PAGE and path.stem.isdecimal()
            }
        except OSError as error:
            raise _failed(self._folder, error) from error

    def write(self, guest: InstanceId, page: bytes) -> None:
        """Keep this page in place of the guest's old one."""
        if not self._is_named:
            self._replace(_HOST, self._host.encode())
            self._is_named = True
        self._replace(f"{guest}{_PAGE}", page)

    def tear_out(self, guest: InstanceId) -> None:
        """Keep no page of that guest."""
        try:
            (self._folder / f"{guest}{_PAGE}").unlink()
            self._sync_folder()
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed(self._folder, error) from error

    def epoch(self) -> Epoch:
        """The highest epoch kept."""
        path = self._folder / "epoch"
        try:
            return Epoch(int(path.read_text()))
        except FileNotFoundError:
            return Epoch(0)
        except ValueError as error:
            raise Misconfigured(f"{path} holds no number: remove it.") from error
        except OSError as error:
            raise _failed(self._folder, error) from error

    def keep_epoch(self, epoch: Epoch) -> None:
        """Keep an epoch."""
        self._replace("epoch", str(epoch).encode())

    def close(self) -> None:
        """Give up the folder."""
        os.close(self._lock)

    def _check_host(self) -> None:
        former = host_of(self._folder)
        if former is None:
            return
        if former == self._host:
            self._is_named = True
        elif any(path.suffix == _PAGE for path in self._folder.iterdir()):
            raise Misconfigured(
                f"The notes in {self._folder} are about guests of {former}, and hostName is "
                f"{self._host} now: set it back, empty that host (drain), and rename it then."
            )

    def _replace(self, name: str, content: bytes) -> None:
        new = self._folder / f"{name}{_NEW}"
        try:
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._folder / name)
            self._sync_folder()
        except OSError as error:
            raise _failed(self._folder, error) from error

    def _sync_folder(self) -> None:
        # A rename or removal is durable only once the folder is (fsync(2), notes).
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def host_of(folder: Path) -> str | None:
    """Whose guests the pages in that folder are about, if that is known."""
    try:
        return (folder / _HOST).read_text(errors="replace")
    except OSError:  # never named, or as unreadable as its pages, which is said of those
        return None


def _failed(folder: Path, error: OSError) -> StoreFailed:
    return StoreFailed(f"The notes in {folder} could not be read or written: {error.strerror}.")
