"""Log-ins that go on for a while when whoever keeps the passwords is away.

Of a password that was right, a salted hash is kept in memory, never the password. It is asked only
while the directory cannot say, for as long as was configured, and forgotten as soon as the
directory says no.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from tashi.adapters.users.scrypted import salted
from tashi.domain.errors import DirectoryFailed
from tashi.domain.passwords import Hashed
from tashi.ports.users import PasswordCheck

_MOST: Final = 10_000


class _Proof(NamedTuple):
    password: Hashed
    until: float


class RememberedLogins:
    """Asks another check, and answers for it for `seconds` after its last yes."""

    def __init__(
        self, check: PasswordCheck, seconds: float, monotonic: Callable[[], float]
    ) -> None:
        self._check = check
        self._seconds = seconds
        self._monotonic = monotonic
        self._proofs: dict[str, _Proof] = {}

    def proves(self, name: str, password: str) -> bool:
        """What the directory says; while it cannot say, whether it has said yes to just that."""
        try:
            right = self._check.proves(name, password)
        except DirectoryFailed:
            if self._is_remembered(name, password):
                return True
            raise
        if right and len(self._proofs) < _MOST:
            until = self._monotonic() + self._seconds
            self._proofs[name] = _Proof(salted(password), until)
        elif not right and self._is_remembered(name, password):
            self._proofs.pop(name, None)
        return right

    def _is_remembered(self, name: str, password: str) -> bool:
        proof = self._proofs.get(name)
        if proof is None or self._monotonic() > proof.until:
            self._proofs.pop(name, None)
            return False
        return proof.password.is_of(password)
