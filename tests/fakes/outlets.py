"""An outlet in memory, which can be made to fail."""

from collections.abc import Callable, Sequence

from tashi.domain.errors import StoreFailed
from tashi.ports.outlets import BEGINNING, Place
from tashi.wire import history


class MemoryOutlet:
    """Keeps the port `Outlet`; takes `most` events at once and fails after, as long as that is set.

    With `from_now`, it begins behind the newest event.
    """

    def __init__(self, name: str = "outlet", *, from_now: bool = False) -> None:
        self.taken: list[int] = []
        self.heard: list[bytes] = []
        self.batches: list[int] = []
        self.fails_after: int | None = None
        self.while_taking: Callable[[], None] = lambda: None
        self._name = name
        self._from_now = from_now
        self._place: Place | None = None

    @property
    def name(self) -> str:
        return self._name

    def place(self, newest: Callable[[], Place]) -> Place:
        if self._place is None:
            self._place = newest() if self._from_now else BEGINNING
        return self._place

    def hear(self, line: bytes) -> None:
        self.heard.append(line)

    def take(self, volume: int, lines: Sequence[bytes]) -> None:
        self.batches.append(len(lines))
        self.while_taking()
        for line in lines:
            if self.fails_after == 0:
                raise StoreFailed("It is full.")
            if self.fails_after is not None:
                self.fails_after -= 1
            number = history.number_of(line)
            self.taken.append(number)
            self._place = Place(volume, number)

    def close(self) -> None:
        """Nothing is held."""
