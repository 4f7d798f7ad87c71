"""Who has logged in: tickets, each for one user and for a while.

A ticket is a secret of its holder's, so here is only what is made of it. Tickets are nowhere else:
a cluster manager that is started anew asks for passwords once more. Given out and taken back by one
thread, looked up by any.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256

from immutables import Map

from tashi.domain.catalogue import User
from tashi.domain.identity import UserId
from tashi.domain.proofs import LoggedIn
from tashi.ports.clock import Clock

MOST_TICKETS = 10_000
MOST_OF_ONE = 20


@dataclass(frozen=True, slots=True)
class _Held:
    user: User
    until: float


class Tickets:
    """The tickets that are good."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._held: Map[bytes, _Held] = Map()

    @property
    def seconds(self) -> float:
        """For how long a ticket is good."""
        return self._seconds

    def proof(self, ticket: str) -> LoggedIn | None:
        """What a ticket proves; None for one that is not good, or not any more."""
        held = self._held.get(_mark(ticket))
        if held is None or self._clock.monotonic() >= held.until:
            return None
        return LoggedIn(held.user)

    def give(self, user: User) -> str:
        """Give a new ticket out; of one user's, and of all, the oldest gives way to it."""
        now = self._clock.monotonic()
        good = [(mark, held) for mark, held in self._held.items() if held.until > now]
        good.sort(key=lambda one: one[1].until)
        own = [one for one in good if one[1].user == user]
        ended = [*_beyond(MOST_OF_ONE - 1, own), *_beyond(MOST_TICKETS - 1, good)]
        ticket = secrets.token_urlsafe(32)
        kept = dict(one for one in good if one not in ended)
        self._held = Map(kept | {_mark(ticket): _Held(user, now + self._seconds)})
        return ticket

    def end(self, ticket: str) -> bool:
        """Let a ticket be good no longer; whether it was."""
        mark = _mark(ticket)
        if mark not in self._held:
            return False
        self._held = self._held.delete(mark)
        return True

    def end_all_of(self, key: UserId) -> None:
        """Let no ticket of that user be good any longer."""
        self._held = Map({mark: one for mark, one in self._held.items() if one.user.id != key})


def _beyond(most: int, held: list[tuple[bytes, _Held]]) -> list[tuple[bytes, _Held]]:
    """The oldest of these, so many that only `most` are left."""
    return held[: max(0, len(held) - most)]


def _mark(ticket: str) -> bytes:
    return sha256(ticket.encode(errors="surrogatepass")).digest()
