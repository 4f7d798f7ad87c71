"""Tashi's own passwords in a file that only its owner may read, as /etc/shadow is.

The file is small and written anew as a whole with each change: a new one beside it, durable, takes
its place. It is read again when it is another: a copy that was brought in counts at once.
"""

import logging
import os
import threading
from pathlib import Path
from typing import Final

import msgspec

from tashi.adapters.users.hashing import Hashed, hashed
from tashi.domain.catalogue import User
from tashi.domain.errors import PasswordsFailed

_log = logging.getLogger(__name__)

_NOBODYS: Final = hashed("nobody has this password")


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int
    name: str
    password: Hashed


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    passwords: tuple[_Line, ...] = ()


class PasswordFile:
    """Keeps the port `PasswordTable`; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened before it is needed; a file that is missing is an empty one."""
        self._path = path
        self._changing = threading.Lock()
        self._read: tuple[object, dict[str, _Line]] = (None, {})

    def has(self, user: User) -> bool:
        """Whether that user has a password."""
        return self._line_of(user) is not None

    def proves(self, user: User | None, password: str) -> bool:
        """Whether that is the user's password; takes as long for nobody as for somebody."""
        line = self._line_of(user) if user is not None else None
        if line is None:
            _NOBODYS.is_of(password)
            return False
        return line.password.is_of(password)

    def set(self, user: User, password: str) -> None:
        """Let that be the user's password, durably."""
        line = _Line(user.id, user.name, hashed(password))
        with self._changing:
            others = {name: one for name, one in self._lines().items() if one.id != user.id}
            self._write(others | {user.name: line})

    def forget(self, user: User) -> None:
        """Let the user have no password, durably."""
        with self._changing:
            lines = self._lines()
            others = {name: one for name, one in lines.items() if one.id != user.id}
            if others != lines:
                self._write(others)

    def _line_of(self, user: User) -> _Line | None:
        line = self._lines().get(user.name)
        return line if line is not None and line.id == user.id else None

    def _lines(self) -> dict[str, _Line]:
        """The lines by name, from memory unless the file is another by now."""
        try:
            found = self._path.stat()
            stamp = found.st_ino, found.st_mtime_ns, found.st_size
            known, lines = self._read
            if stamp != known:
                written = msgspec.json.decode(self._path.read_bytes(), type=_File)
                lines = {line.name: line for line in written.passwords}
                self._read = stamp, lines
                self._warn_of(found.st_mode)
        except FileNotFoundError:
            return {}
        except OSError as wrong:
            raise PasswordsFailed(
                f"The passwords in {self._path} cannot be read: {wrong.strerror}."
            ) from wrong
        except msgspec.DecodeError as wrong:
            raise PasswordsFailed(
                f"The passwords in {self._path} cannot be understood: {wrong}."
            ) from wrong
        return lines

    def _warn_of(self, mode: int) -> None:
        if mode & 0o077:
            _log.warning("Others may read %s, where passwords are kept: chmod 600 it.", self._path)

    def _write(self, lines: dict[str, _Line]) -> None:
        content = msgspec.json.encode(_File(tuple(lines.values())))
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.unlink(missing_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            beside.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as wrong:
            raise PasswordsFailed(
                f"The passwords in {self._path} cannot be written: {wrong.strerror}; see "
                "passwordTable in [Security]."
            ) from wrong
