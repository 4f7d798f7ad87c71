"""Telling whoever watches the cluster from outside what a daemon measures."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from tashi.domain.metrics import Metric, Reading

Source: TypeAlias = Callable[[], Iterable[Reading]]
"""What is so right now. It is called on any thread, now and then, and waits for nothing."""


class Meter(Protocol):
    """Takes what is measured; quick, never raises, and safe to use from several threads."""

    def count(self, metric: Metric, *labels: str) -> None:
        """One more of a counter."""
        ...

    def took(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Something took so long."""
        ...

    def ask(self, source: Source) -> None:
        """Ask that source from now on for its readings, whenever somebody wants to see them."""
        ...


class Unwatched:
    """The meter of a daemon that nobody watches: nothing is kept."""

    def count(self, metric: Metric, *labels: str) -> None:
        """Nothing."""

    def took(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Nothing."""

    def ask(self, source: Source) -> None:
        """Nothing: the source is never asked."""
