"""Calling back what takes long with a guest, before it begins or while it is under way."""

from collections.abc import Iterator
from contextlib import contextmanager

from tashi.domain.identity import InstanceId
from tashi.ports.commands import Leash


class Recall:
    """What of a guest's was called back; each thing has a name that no other ever has."""

    def __init__(self) -> None:
        self._called_back: set[str] = set()
        self._under_way = ""

    def note(self, what: str) -> None:
        """That is to fail, also if it has yet to begin."""
        if what:
            self._called_back.add(what)

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """While that is under way, it is what this says of."""
        self._under_way = what
        try:
            yield
        finally:
            self._under_way = ""

    def is_set(self) -> bool:
        """Whether what is under way is to fail."""
        return self._under_way in self._called_back


class Leashes:
    """On which copies of guests' disks hang, so that others need not wait for them."""

    def __init__(self) -> None:
        self._held: dict[InstanceId, Leash] = {}
        self._called_back: dict[InstanceId, str] = {}

    @contextmanager
    def held(self, guest: InstanceId, what: str = "") -> Iterator[Leash]:
        """The leash of what is done with that guest's disks meanwhile: pulled, if it was before."""
        leash = self._held[guest] = Leash()
        if what and self._called_back.get(guest) == what:
            leash.pull()
        try:
            yield leash
        finally:
            del self._held[guest]

    def pull(self, guest: InstanceId, what: str) -> None:
        """Let what is under way for the guest fail, and `what`, if anything, before it begins."""
        if what:
            self._called_back[guest] = what
        if (leash := self._held.get(guest)) is not None:
            leash.pull()
