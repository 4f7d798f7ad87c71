"""Time, as the rooms may know it."""

from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for durations, one for what people read."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never runs backwards. All durations are taken here.

        The time in which the machine was suspended counts.
        """
        ...

    def wall(self) -> float:
        """Seconds since 1970, for records and log lines; may jump."""
        ...
