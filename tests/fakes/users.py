"""A directory of users that a test keeps."""

from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed, PasswordsFailed
from tashi.domain.identity import UserId
from tashi.ports.users import Roll


class FakeDirectory:
    """Has the users that it is given; `is_away` makes it fail, `asked` counts the questions.

    `while_asked` is called in the middle of each question.
    """

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.is_away = False
        self.asked = 0
        self.roles, self.local = Roll().roles, Roll().local
        self.while_asked = _nothing

    def read(self) -> Roll:
        self.asked += 1
        self.while_asked()
        if self.is_away:
            raise DirectoryFailed("The users cannot be listed: getent had not ended after 10 s.")
        users = (User(UserId(500 + at), name) for at, name in enumerate(self.names))
        return Roll(tuple(users), self.roles, self.local)


def _nothing() -> None:
    """What happens by default while a directory is asked."""


class FakePasswords:
    """Keeps the port `PasswordTable` in memory; `is_away` makes it fail."""

    def __init__(self) -> None:
        self.kept: dict[User, str] = {}
        self.is_away = False

    def has(self, user: User) -> bool:
        self._check()
        return user in self.kept

    def proves(self, user: User | None, password: str) -> bool:
        self._check()
        return user in self.kept and self.kept[user] == password

    def set(self, user: User, password: str) -> None:
        self.forget(user)
        self.kept[user] = password

    def forget(self, user: User) -> None:
        self._check()
        self.kept = {one: kept for one, kept in self.kept.items() if one.id != user.id}

    def _check(self) -> None:
        if self.is_away:
            raise PasswordsFailed("The passwords cannot be read.")
