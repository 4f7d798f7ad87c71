"""A directory of users that a test keeps."""

from collections.abc import Callable, Iterable

from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed
from tashi.domain.identity import UserId


class FakeDirectory:
    """Has the users that it is given; `is_away` makes it fail, `asked` counts the questions.

    `while_asked` is called in the middle of each question.
    """

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.is_away = False
        self.asked = 0
        self.while_asked: Callable[[], None] = lambda: None

    def users(self) -> Iterable[User]:
        self.asked += 1
        self.while_asked()
        if self.is_away:
            raise DirectoryFailed("The users cannot be listed: getent had not ended after 10 s.")
        return [User(UserId(500 + at), name) for at, name in enumerate(self.names)]
