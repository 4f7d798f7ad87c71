"""The users that the machine knows, as `getent passwd` lists them.

The command is run rather than the C library asked in-process, because a directory service behind
it may hang, and a program can be given up on.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tashi.domain.catalogue import User
from tashi.domain.errors import CommandFailed, DirectoryFailed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role
from tashi.ports.commands import Commands
from tashi.ports.users import Roll

_TIMEOUT_SECONDS: Final = 10.0
_NAME, _ID, _GROUP = 0, 2, 3
_MEMBERS: Final = 3
_NUMBER: Final = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class _Group:
    """Who is in a group: those who are listed, and those whose own group it is."""

    number: str
    members: frozenset[str]


class GetentDirectory:
    """Users of `getent passwd`, or of a file of that form; `groups` give their members a role."""

    def __init__(
        self,
        commands: Commands,
        file: Path | None = None,
        groups: Sequence[tuple[Role, str]] = (),
    ) -> None:
        """Of several groups that somebody is in, the last one counts."""
        self._commands = commands
        self._file = file
        self._groups = groups

    def read(self) -> Roll:
        """Everybody; lines of another form are passed over."""
        groups = [(role, self._group(name)) for role, name in self._groups]
        known: dict[UserId, User] = {}
        roles: dict[UserId, Role] = {}
        for user, own_group in _read(self._lines()):
            if user.id in known:  # as the system does: the first line of an id counts
                continue
            known[user.id] = user
            for role, group in groups:
                if user.name in group.members or own_group == group.number:
                    roles[user.id] = role
        return Roll(tuple(known.values()), roles)

    def _lines(self) -> list[str]:
        try:
            if self._file is not None:
                return self._file.read_text(encoding="utf-8", errors="replace").splitlines()
            return self._getent("passwd")
        except OSError as error:
            raise DirectoryFailed(f"{self._file} cannot be read: {error.strerror}.") from error
        except CommandFailed as error:
            raise DirectoryFailed(f"The users cannot be listed: {error}") from error

    def _group(self, name: str) -> _Group:
        try:
            line, *_ = self._getent("group", name) or [""]
        except CommandFailed as error:
            raise DirectoryFailed(
                f"The members of the group {name!r} in [GetentOverride] cannot be listed: {error}"
            ) from error
        fields = line.split(":")
        if len(fields) <= _MEMBERS or not _NUMBER.fullmatch(fields[_ID]):
            raise DirectoryFailed(f"getent says nothing that is understood of the group {name!r}.")
        return _Group(fields[_ID], frozenset(filter(None, fields[_MEMBERS].split(","))))

    def _getent(self, *asked: str) -> list[str]:
        arguments = ["getent", *asked]
        return self._commands.run(arguments, timeout_seconds=_TIMEOUT_SECONDS).splitlines()


class NoDirectory:
    """A site that keeps its users in Tashi's own list only."""

    def read(self) -> Roll:
        """Nobody."""
        return Roll()


def _read(lines: Iterable[str]) -> Iterator[tuple[User, str]]:
    """Each user, and the number of the group that is the user's own."""
    for line in lines:
        fields = line.split(":")
        if len(fields) > _ID and fields[_NAME] and _NUMBER.fullmatch(fields[_ID]):
            own_group = fields[_GROUP] if len(fields) > _GROUP else ""
            yield User(UserId(int(fields[_ID])), fields[_NAME]), own_group
