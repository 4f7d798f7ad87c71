"""The users that the machine knows, as `getent passwd` lists them.

The command is run rather than the C library asked in-process, because a directory service behind
it may hang, and a program can be given up on.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tashi.domain.catalogue import User
from tashi.domain.errors import CommandFailed, DirectoryFailed
from tashi.domain.identity import UserId
from tashi.ports.commands import Commands

_TIMEOUT_SECONDS: Final = 10.0
_NAME, _ID = 0, 2
_NUMBER: Final = re.compile(r"[0-9]{1,10}")


class GetentDirectory:
    """Users of `getent passwd`, or of a file of that form."""

    def __init__(self, commands: Commands, file: Path | None = None) -> None:
        self._commands = commands
        self._file = file

    def users(self) -> Iterable[User]:
        """Everybody; lines of another form are passed over."""
        known: dict[UserId, User] = {}
        for user in _read(self._lines()):
            known.setdefault(user.id, user)  # as the system does: the first line of an id counts
        return known.values()

    def _lines(self) -> list[str]:
        try:
            if self._file is not None:
                return self._file.read_text(encoding="utf-8", errors="replace").splitlines()
            arguments = ["getent", "passwd"]
            return self._commands.run(arguments, timeout_seconds=_TIMEOUT_SECONDS).splitlines()
        except OSError as error:
            raise DirectoryFailed(f"{self._file} cannot be read: {error.strerror}.") from error
        except CommandFailed as error:
            raise DirectoryFailed(f"The users cannot be listed: {error}") from error


class NoDirectory:
    """A site that keeps its users in Tashi's own list only."""

    def users(self) -> Iterable[User]:
        """Nobody."""
        return ()


def _read(lines: Iterable[str]) -> Iterator[User]:
    for line in lines:
        fields = line.split(":")
        if len(fields) > _ID and fields[_NAME] and _NUMBER.fullmatch(fields[_ID]):
            yield User(UserId(int(fields[_ID])), fields[_NAME])
