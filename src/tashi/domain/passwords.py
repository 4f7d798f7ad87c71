"""Passwords as they are kept: as what scrypt (RFC 7914) makes of them with a salt of their own.

The cost is what OWASP's cheat sheet on password storage asks for where 16 MiB are used at a time.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import scrypt
from typing import Final

from tashi.domain.catalogue import User
from tashi.domain.identity import UserId

COST: Final = 1 << 14
BLOCK: Final = 8
ROUNDS: Final = 5
SALT_BYTES: Final = 16
_MOST_MEMORY: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Hashed:
    """What is kept of one password; the numbers are those of scrypt."""

    salt: bytes = field(repr=False)
    hash: bytes = field(repr=False)
    n: int = COST
    r: int = BLOCK
    p: int = ROUNDS

    def is_of(self, password: str) -> bool:
        """Whether that is the password; takes as long for every one."""
        return hmac.compare_digest(_scrypt(password, self.salt, self.n, self.r, self.p), self.hash)


@dataclass(frozen=True, slots=True)
class PasswordLine:
    """What is kept of one user's password, under the number and the name that it belongs to."""

    id: UserId
    name: str
    password: Hashed

    @property
    def user(self) -> User:
        """Whose password it is."""
        return User(self.id, self.name)


def hashed(password: str, salt: bytes) -> Hashed:
    """What to keep of a password; the salt is drawn for it alone."""
    return Hashed(salt, _scrypt(password, salt, COST, BLOCK, ROUNDS))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    content = password.encode(errors="surrogatepass")
    return scrypt(content, salt=salt, n=n, r=r, p=p, maxmem=_MOST_MEMORY)
