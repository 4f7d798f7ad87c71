"""SQLite's file, which somebody may remove while it is in use.

SQLite itself goes on in a file without a name: what is committed there is lost with the process.
So before each commit, and while nothing is committed, its owner looks whether it still has its
name. If not, everything is copied into a fresh file, out of the connection that still has the old
one. If another file has the name, an owner may stand behind it: then nothing is written.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from tashi.adapters.store.growing import sync_folder
from tashi.adapters.store.sql import faults
from tashi.adapters.store.sql.address import Address
from tashi.domain.errors import StoreFailed

_log = logging.getLogger(__name__)

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o600
_BESIDE: Final = ("-wal", "-shm")
"""What SQLite has beside a file; those of another file must not be taken for this one's."""


class NamedFile:
    """The file of that address, as it is now."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._path = address.path
        self._known = address.path.lstat()

    def see_to(self, ready: Callable[[], Connection], leave: Callable[[], None]) -> None:
        """Have the file there again if it was removed; raises StoreFailed when it cannot be.

        `ready` gives the connection that has it, `leave` closes that one.
        """
        try:
            there = self._path.lstat()
        except FileNotFoundError:
            self._write_anew(ready(), leave)
            return
        except OSError as wrong:
            raise StoreFailed(f"{self._path} cannot be seen ({wrong.strerror}).") from wrong
        if not os.path.samestat(there, self._known):
            raise StoreFailed(
                f"Somebody put another file in the place of {self._path}, so nothing is written: "
                "stop what else writes it, have the right one there, and start this cluster "
                "manager again."
            )

    def _write_anew(self, connection: Connection, leave: Callable[[], None]) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            _copy(connection, fresh)
            leave()
            for ending in _BESIDE:
                self._path.with_name(f"{self._path.name}{ending}").unlink(missing_ok=True)
            fresh.rename(self._path)
            sync_folder(self._path.parent)
            self._known = self._path.lstat()
        except faults.AWAY as wrong:
            raise StoreFailed(
                f"{self._path} was removed, and cannot be written anew "
                f"({faults.why(wrong, self._address)})."
            ) from wrong
        _log.warning("%s was removed: all that is kept is written anew.", self._path)


def _copy(connection: Connection, fresh: Path) -> None:
    """Have everything that the connection reads in that new file, durable."""
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, _FLAGS, _PRIVATE)
    try:
        driver: Any = connection.connection.driver_connection
        driver.execute("VACUUM INTO ?", (str(fresh),))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
