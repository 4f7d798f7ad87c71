"""Who the users are: Tashi's own list and the site's directory, which is asked now and then.

A directory that does not answer is no reason to know nobody: the last list stays in use.
"""

from logging import getLogger

from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed
from tashi.domain.identity import UserId
from tashi.ports.clock import Clock
from tashi.ports.users import Directory

_log = getLogger(__name__)


class People:
    """The directory's users, at most `threshold_seconds` old."""

    def __init__(self, directory: Directory, clock: Clock, threshold_seconds: float) -> None:
        self._directory = directory
        self._clock = clock
        self._threshold = threshold_seconds
        self._known: dict[UserId, User] = {}
        self._fetched: float | None = None

    def users(self) -> dict[UserId, User]:
        """Everybody in the directory, by id. May wait for it; never call from the ledger."""
        now = self._clock.monotonic()
        if self._fetched is None:
            # Whoever asks meanwhile asks the directory too: nobody may be told that nobody exists.
            self._fetch()
            self._fetched = now
        elif now - self._fetched > self._threshold:
            self._fetched = now
            self._fetch()
        return self._known

    def _fetch(self) -> None:
        try:
            self._known = {user.id: user for user in self._directory.users()}
        except DirectoryFailed as error:
            _log.warning("The users known before are used: %s", error)
