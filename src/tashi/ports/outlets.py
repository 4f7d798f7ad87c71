"""Where events are passed on to from the journal: a log, a table, a receiver somewhere else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tashi.domain.identity import EventNumber


@dataclass(frozen=True, slots=True)
class Place:
    """Behind one event of the journal: the number of its volume, and its own."""

    volume: int
    event: EventNumber


BEGINNING = Place(0, EventNumber(0))
"""Before everything."""


class Outlet(Protocol):
    """Takes events in their order; whatever it has not taken is offered again.

    It knows by itself how far it has got, also after a crash. Belongs to one thread at a time.
    Every method raises a TashiError when it cannot; then it is asked for its place before it is
    offered anything more.
    """

    @property
    def name(self) -> str:
        """How it is spoken of, without secrets."""
        ...

    def place(self, newest: Callable[[], Place]) -> Place:
        """Behind which event it is to go on; `newest` finds the last one that there is."""
        ...

    def hear(self, line: bytes) -> None:
        """Hear a line that is not to be taken: how the cluster stood, or an event taken before."""
        ...

    def take(self, volume: int, lines: Sequence[bytes]) -> None:
        """Take these events of a volume; what is taken when it returns stays taken."""
        ...

    def close(self) -> None:
        """Let go of everything; harmless when repeated."""
        ...
