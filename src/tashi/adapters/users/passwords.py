"""Lines of passwords in a file that only its owner may read, as /etc/shadow is.

The file is small and written anew as a whole with each change: a new one beside it, durable, takes
its place. It is read again when it is another: a copy that was brought in counts at once.
"""

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tashi.domain.catalogue import User
from tashi.domain.errors import PasswordsFailed
from tashi.domain.passwords import Hashed, PasswordLine

_log = logging.getLogger(__name__)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    passwords: tuple[PasswordLine, ...] = ()


class PasswordFile:
    """Keeps the port `PasswordLines`; safe to use from several threads."""

    def __init__(self, path: Path, setting: str = "passwordTable in [Security]") -> None:
        """Nothing is opened before it is needed; a file that is missing is an empty one.

        `setting` is where the path was said.
        """
        self.path = path
        self._setting = setting
        self._changing = threading.Lock()
        self._read: tuple[object, dict[str, PasswordLine]] = (None, {})

    def __str__(self) -> str:
        """The file's path, for messages."""
        return str(self.path)

    def all(self) -> tuple[PasswordLine, ...]:
        """Every line."""
        return tuple(self._lines().values())

    def find(self, user: User) -> Hashed | None:
        """What is kept of that user's password."""
        line = self._lines().get(user.name)
        return line.password if line is not None and line.id == user.id else None

    def put(self, line: PasswordLine) -> None:
        """Keep the line in the place of those with its number or its name."""
        with self._changing:
            others = {name: one for name, one in self._lines().items() if one.id != line.id}
            self._write(others | {line.name: line})

    def drop(self, user: User) -> None:
        """Keep nothing for that number."""
        with self._changing:
            lines = self._lines()
            others = {name: one for name, one in lines.items() if one.id != user.id}
            if others != lines:
                self._write(others)

    def begin_with(self, lines: Sequence[PasswordLine]) -> None:
        """Keep all these where there are none."""
        with self._changing:
            if self._lines():
                raise PasswordsFailed(f"There are passwords in {self.path} already.")
            self._write({line.name: line for line in lines})

    def _lines(self) -> dict[str, PasswordLine]:
        """The lines by name, from memory unless the file is another by now."""
        try:
            found = self.path.stat()
            stamp = found.st_ino, found.st_mtime_ns, found.st_size
            known, lines = self._read
            if stamp != known:
                written = msgspec.json.decode(self.path.read_bytes(), type=_File)
                lines = {line.name: line for line in written.passwords}
                self._read = stamp, lines
                self._warn_of(found.st_mode)
        except FileNotFoundError:
            return {}
        except OSError as wrong:
            raise PasswordsFailed(
                f"The passwords in {self.path} cannot be read: {wrong.strerror}."
            ) from wrong
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise PasswordsFailed(
                f"The passwords in {self.path} cannot be understood: {wrong}."
            ) from wrong
        return lines

    def _warn_of(self, mode: int) -> None:
        if mode & 0o077:
            _log.warning("Others may read %s, where passwords are kept: chmod 600 it.", self.path)

    def _write(self, lines: dict[str, PasswordLine]) -> None:
        content = msgspec.json.encode(_File(tuple(lines.values())))
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            beside.unlink(missing_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            beside.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as wrong:
            raise PasswordsFailed(
                f"The passwords in {self.path} cannot be written: {wrong.strerror}; see "
                f"{self._setting}."
            ) from wrong
