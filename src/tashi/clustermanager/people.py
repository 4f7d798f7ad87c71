"""Who the users are: Tashi's own list and the site's directory, which is asked now and then.

The directory is asked in the background. Whoever wants to know is told what is known already; only
a user who is not known yet is waited for. A directory that does not answer is no reason to know
nobody: the last list stays in use, with the roles in it.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from logging import getLogger

from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role
from tashi.ports.clock import Clock
from tashi.ports.users import Directory, Roll
from tashi.ports.workers import Workers

_log = getLogger(__name__)

_LANE = "people"
_RETRY_SECONDS = 10.0
_GLANCE_SECONDS = 2.0
_PATIENCE_SECONDS = 8.0
"""Less than the shortest calls have, so that who waits in one hears why in vain."""
_MOMENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Roster:
    """A roll that can be asked; `at` is when it was read, ``None`` for never."""

    users: Mapping[UserId, User] = field(default_factory=dict)
    names: Mapping[str, User] = field(default_factory=dict)
    roles: Mapping[UserId, Role] = field(default_factory=dict)
    local: frozenset[str] = frozenset()
    at: float | None = None

    def mistaken_for(self, user: User) -> User | None:
        """Whoever has that user's number or name, but not both."""
        if self.users.get(user.id) == user:
            return None
        return self.users.get(user.id) or self.names.get(user.name)


class People:
    """The directory's users, about `threshold_seconds` old; for any thread but the ledger's."""

    def __init__(
        self, directory: Directory, clock: Clock, threshold_seconds: float, workers: Workers
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._threshold = threshold_seconds
        self._workers = workers
        self._known = Roster()
        self._asked: Future[None] | None = None
        self._asked_at = 0.0
        self._due = 0.0
        self._away: tuple[float, str] | None = None

    def begin(self) -> None:
        """Have the first list read, so that nobody waits for it later."""
        self._ask()

    def now(self) -> Roster:
        """What is known at this moment; never waits."""
        if self._asked is None or self._clock.monotonic() > self._due:
            self._ask()
        return self._known

    def users(self) -> Mapping[UserId, User]:
        """Everybody in the directory as far as is known, by id; waits a moment for a first list."""
        if self.now().at is None:
            self._wait(_GLANCE_SECONDS)
        return self._known.users

    def including(self, key: UserId) -> Mapping[UserId, User]:
        """Everybody, by id; who is not known yet is asked for, and waited for.

        Raises DirectoryFailed for who is not known while the directory is away or hangs, and for
        everybody while it has never been read: that there is no such user is not known.
        """
        if self.hears_more_of(key):
            self.wait()
        self.check_was_read()
        if key not in self._known.users and (self._away or self._is_being_asked()):
            why = self._away[1] if self._away else "the directory of users does not answer."
            raise DirectoryFailed(f"Whether there is a user {key} is not known: {why}")
        return self._known.users

    def check_was_read(self) -> None:
        """Raise DirectoryFailed while it is not known that anybody does not exist."""
        if self._known.at is None:
            why = self._away[1] if self._away else "its first answer is still waited for."
            raise DirectoryFailed(f"The directory of users has not been read yet: {why}")

    def hears_more_of(self, who: str | UserId) -> bool:
        """Whether it is worth waiting for a list that may have somebody; it is asked for then.

        Somebody is meant by name or by number.
        """
        known = self.now()
        return who not in (known.names if isinstance(who, str) else known.users) and (
            self._is_worth_asking()
        )

    def is_beginning(self) -> bool:
        """Whether the first list is on its way."""
        return self.now().at is None and self._is_being_asked()

    def wait(self) -> None:
        """Wait for a list that is on its way, though not for ever.

        All who wait for one list give up together, so many who wait in turn take no longer.
        """
        self._wait(_PATIENCE_SECONDS)

    def _is_worth_asking(self) -> bool:
        """Whether a new list may say more; if so it is on its way.

        A server that is away is not asked more often for it: nobody shall wait in vain again and
        again.
        """
        read = self._known.at
        if read is not None and self._clock.monotonic() - read <= _MOMENT_SECONDS:
            return False
        if self._away is None:
            self._ask()
        return self._is_being_asked()

    def _is_being_asked(self) -> bool:
        return self._asked is not None and not self._asked.done()

    def _ask(self) -> None:
        if self._asked is None or self._asked.done():
            asked: Future[None] = Future()
            self._asked_at = self._clock.monotonic()
            self._asked = asked
            self._workers.run(_LANE, partial(self._fetch, asked))

    def _wait(self, seconds: float) -> None:
        asked = self._asked
        if asked is not None:
            with suppress(TimeoutError):
                left = self._asked_at + seconds - self._clock.monotonic()
                asked.result(max(0.0, left))

    def _fetch(self, asked: "Future[None]") -> None:
        try:
            self._take(self._directory.read())
        except DirectoryFailed as error:
            self._do_without(error.message)
        finally:
            asked.set_result(None)

    def _take(self, roll: Roll) -> None:
        now = self._clock.monotonic()
        self._known = Roster(
            {user.id: user for user in roll.users},
            {user.name: user for user in reversed(roll.users)},
            dict(roll.roles),
            roll.local,
            now,
        )
        self._due = now + self._threshold
        if self._away is not None:
            _log.info("The directory of users answers again, after %.0f s.", now - self._away[0])
        self._away = None

    def _do_without(self, why: str) -> None:
        """Go on with what is known; said once, and again when the reason is another."""
        now, read = self._clock.monotonic(), self._known.at
        since, said = self._away or (now, "")
        if why != said:
            known = "no list of it" if read is None else f"its list of {now - read:.0f} s ago"
            _log.warning("The directory of users cannot be read; %s is in use: %s", known, why)
        self._away = (since, why)
        self._due = now + min(self._threshold, _RETRY_SECONDS)
