"""What a daemon measures, shown and told to whom the settings say.

Libraries are imported only where they are used: most daemons are watched by nobody.
"""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tashi import __version__
from tashi.adapters.metrics.several import SeveralMeters
from tashi.domain import metrics
from tashi.domain.errors import Misconfigured
from tashi.domain.metrics import Reading
from tashi.ports.metrics import Meter, Unwatched
from tashi.programs.loglines import publish_lines
from tashi.settings.load import Settings
from tashi.settings.sections.metrics import GangliaSettings, MetricsSettings

if TYPE_CHECKING:
    from tashi.adapters.metrics.ganglia import GangliaPublisher
    from tashi.adapters.metrics.prometheus import Page, PrometheusMeter

_log = logging.getLogger(__name__)


class Metering:
    """The meter of one daemon, and those who read it; `publisher` names Ganglia's, or nothing.

    Raises Misconfigured when its page cannot be shown where the settings say.
    """

    def __init__(self, daemon: str, settings: Settings, publisher: str | None) -> None:
        ours = settings.of(MetricsSettings)
        self._interval = ours.interval
        self._page: Page | None = None
        self._ganglia: GangliaPublisher | None = None
        meters: list[Meter] = []
        if (shown := _shown(daemon, ours)) is not None:
            meter, self._page = shown
            meters.append(meter)
        if publisher is not None:
            self._ganglia = _ganglia_of(settings.of(GangliaSettings))
            meters.append(self._ganglia)
        self.meter: Meter = SeveralMeters(meters) if meters else Unwatched()
        self.meter.ask(_build)
        publish_lines(self.meter)

    def begin(self) -> None:
        """Let everybody see, now that every source is known."""
        if self._page is not None:
            _log.info("Metrics are shown at %s.", self._page.url)
            self._page.begin()
        if self._ganglia is not None:
            self._ganglia.begin(self._interval)

    def stop(self) -> None:
        """Let nobody see any more."""
        if self._page is not None:
            self._page.close()
        if self._ganglia is not None:
            self._ganglia.close()


def _shown(daemon: str, ours: MetricsSettings) -> "tuple[PrometheusMeter, Page] | None":
    key, port = {
        "clustermanager": ("clusterManagerPort", ours.cluster_manager_port),
        "nodemanager": ("nodeManagerPort", ours.node_manager_port),
        "scheduler": ("schedulerPort", ours.scheduler_port),
        "accounting": ("accountingPort", ours.accounting_port),
    }[daemon]
    if port is None:
        return None
    from tashi.adapters.metrics.prometheus import PrometheusMeter

    meter = PrometheusMeter(metrics.METRICS[daemon], ours.interval)
    try:
        return meter, meter.page(ours.host, port)
    except OSError as error:
        raise Misconfigured(
            f"The page of metrics cannot be shown at {ours.host}:{port} "
            f"({error.strerror or error}): set host and {key} in [Metrics]."
        ) from error


def _ganglia_of(ours: GangliaSettings) -> "GangliaPublisher":
    from tashi.adapters.metrics.ganglia import GangliaPublisher

    return GangliaPublisher((ours.host, ours.port), ours.dmax, ours.retry)


def _build() -> Iterator[Reading]:
    yield Reading(metrics.BUILD, 1, (__version__,))
