"""All that happened in the cluster, as lines that are kept for good.

A journal is a row of volumes. The first line of each says how the cluster stood, the others are one
event each, in the order of their numbers. Only the newest volume grows, and only one writes in it;
anybody may read, also while it grows. Lines are bytes and end with a line break; what stands in
them is not this port's business, but for the numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tashi.domain.identity import EventNumber


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume by its number; `began` is the time in its name, in seconds since 1970."""

    number: int
    began: float
    name: str


class JournalReader(Protocol):
    """Reads a journal, line by line; safe to use from several threads.

    Raises StoreFailed or Misconfigured when it cannot be read.
    """

    def volumes(self) -> Sequence[Volume]:
        """The volumes that are there, the oldest first."""
        ...

    def lines(self, volume: Volume, offset: int = 0) -> Iterator[tuple[bytes, int]]:
        """The whole lines from that offset on, each with the offset of the next.

        Ends where the volume ends for now; a line that is still being written is not given.
        """
        ...


class JournalWriter(Protocol):
    """Writes a journal; belongs to one thread. What was written is durable when a method returns.

    Raises StoreFailed when that could not be; then some of the lines may be there, whole, and
    `next` says which.
    """

    def next(self) -> EventNumber | None:
        """The number after that of the last event; None when there is no volume.

        What a crash has left torn is cut off.
        """
        ...

    def begin(self, first: bytes, at: float) -> None:
        """Begin a new volume, at that time, with its first line."""
        ...

    def append(self, lines: bytes) -> None:
        """Add lines to the newest volume."""
        ...

    @property
    def grown(self) -> int:
        """By how many bytes the newest volume has grown since its first line."""
        ...

    def close(self) -> None:
        """Let somebody else write. Harmless when repeated."""
        ...
