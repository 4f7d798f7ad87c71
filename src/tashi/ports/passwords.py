"""Where Tashi keeps what scrypt makes of its own passwords, a line for each user.

These lines are in nothing that others read: no books, no events, no answers.
"""

from collections.abc import Sequence
from typing import Protocol

from tashi.domain.catalogue import User
from tashi.domain.passwords import Hashed, PasswordLine


class PasswordLines(Protocol):
    """The lines, owned by whoever owns the books; safe to use from several threads.

    No two have one number or one name. Each call raises PasswordsFailed when the lines cannot be
    read, or were not changed; of a change it says so when nobody can tell whether it was made.
    """

    def all(self) -> tuple[PasswordLine, ...]:
        """Every line, in no particular order."""
        ...

    def find(self, user: User) -> Hashed | None:
        """What is kept of the password of the user of exactly that number and name, if anything."""
        ...

    def put(self, line: PasswordLine) -> None:
        """Keep the line, durably, in the place of those with its number or its name."""
        ...

    def drop(self, user: User) -> None:
        """Keep nothing for that number any longer, durably."""
        ...

    def begin_with(self, lines: Sequence[PasswordLine]) -> None:
        """Keep all these, durably or not at all; only where there are none is that done."""
        ...
