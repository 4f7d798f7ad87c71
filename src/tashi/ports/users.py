"""Who the site's people are, and whether somebody is who they say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tashi.domain.catalogue import User
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role


@dataclass(frozen=True, slots=True)
class Roll:
    """Everybody a directory has, each id once, and what its groups make of some of them.

    `roles` names operators and administrators only, and only those who are among the `users`.
    `local` names those who were added to the directory here: it keeps no password of theirs.
    """

    users: tuple[User, ...] = ()
    roles: Mapping[UserId, Role] = field(default_factory=dict)
    local: frozenset[str] = frozenset()


class Directory(Protocol):
    """A list of users that somebody else keeps."""

    def read(self) -> Roll:
        """The whole roll; may take a while, but not for ever.

        Raises DirectoryFailed when it cannot be read in full: a part of it would look as if the
        rest had been deleted.
        """
        ...


class PasswordCheck(Protocol):
    """Asks whoever keeps the passwords."""

    def proves(self, name: str, password: str) -> bool:
        """Whether that is the password of the user of exactly that name; an empty one never is.

        May take a while, but not for ever. Raises DirectoryFailed when nobody can say.
        """
        ...


class PasswordTable(Protocol):
    """The passwords that Tashi keeps itself, for users whose directory keeps none.

    A password belongs to a number together with its name: whoever has one of the two later on does
    not inherit it. What is kept does not give a password away.
    """

    def has(self, user: User) -> bool:
        """Whether that user has a password; raises PasswordsFailed when nobody can say."""
        ...

    def proves(self, user: User | None, password: str) -> bool:
        """Whether that is the user's password; takes as long for nobody as for somebody.

        Raises PasswordsFailed when nobody can say.
        """
        ...

    def set(self, user: User, password: str) -> None:
        """Let that be the user's password, durably; raises PasswordsFailed."""
        ...

    def forget(self, user: User) -> None:
        """Let the user have no password, durably; raises PasswordsFailed."""
        ...
