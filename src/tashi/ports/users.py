"""Who the site's people are."""

from collections.abc import Iterable
from typing import Protocol

from tashi.domain.catalogue import User


class Directory(Protocol):
    """A list of users that somebody else keeps."""

    def users(self) -> Iterable[User]:
        """Everybody, each id once; raises DirectoryFailed when it cannot be read."""
        ...
