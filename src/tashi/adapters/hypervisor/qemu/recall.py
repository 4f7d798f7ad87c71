"""Calling back what takes long with a guest, before it begins or while it is under way."""

from collections.abc import Iterator
from contextlib import contextmanager


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
