"""Tashi's own passwords: what scrypt makes of them is kept in lines, wherever these are."""

import os
from typing import Final

from tashi.domain.catalogue import User
from tashi.domain.passwords import SALT_BYTES, Hashed, PasswordLine, hashed
from tashi.ports.passwords import PasswordLines

_NOBODYS: Final = Hashed(salt=bytes(SALT_BYTES), hash=b"")
"""What no password gives, asked for nobody: it takes as long as any other."""


def salted(password: str) -> Hashed:
    """What to keep of a password, with a salt that was drawn for it."""
    return hashed(password, os.urandom(SALT_BYTES))


class ScryptedPasswords:
    """Keeps the port `PasswordTable` over lines; safe to use from several threads."""

    def __init__(self, lines: PasswordLines) -> None:
        self._lines = lines

    def has(self, user: User) -> bool:
        """Whether that user has a password."""
        return self._lines.find(user) is not None

    def proves(self, user: User | None, password: str) -> bool:
        """Whether that is the user's password; takes as long for nobody as for somebody."""
        kept = None if user is None else self._lines.find(user)
        if kept is None:
            _NOBODYS.is_of(password)
            return False
        return kept.is_of(password)

    def set(self, user: User, password: str) -> None:
        """Let that be the user's password, durably."""
        self._lines.put(PasswordLine(user.id, user.name, salted(password)))

    def forget(self, user: User) -> None:
        """Let the user have no password, durably."""
        self._lines.drop(user)
