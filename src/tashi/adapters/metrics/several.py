"""One meter made of several."""

from collections.abc import Sequence

from tashi.domain.metrics import Metric
from tashi.ports.metrics import Meter, Source


class SeveralMeters:
    """Tells each of its meters, of which there may be none."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters = tuple(meters)

    def count(self, metric: Metric, *labels: str) -> None:
        """One more of a counter."""
        for meter in self._meters:
            meter.count(metric, *labels)

    def took(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Something took so long."""
        for meter in self._meters:
            meter.took(metric, seconds, *labels)

    def ask(self, source: Source) -> None:
        """Ask that source as well."""
        for meter in self._meters:
            meter.ask(source)
