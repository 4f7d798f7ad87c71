"""Metrics for Prometheus: a page over HTTP at `/metrics`, in its text format.

The sources are asked at most once in `interval_seconds`, however often the page is read; in
between, readers get what was found last. So being watched costs a daemon a bounded share of its
time. Readers are served one after the other on one thread, so that nobody can open thousands; one
who is slow keeps other readers waiting, and nothing else.

The page has no encryption and asks nobody for a name: where it listens is the admin's word.
"""

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tashi.domain.metrics import Kind, Metric, Reading
from tashi.ports.metrics import Source

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SILENCE_SECONDS: Final = 5.0


class PrometheusMeter(Collector):
    """A `Meter` that shows these metrics to whoever reads its page."""

    def __init__(self, metrics: Iterable[Metric], interval_seconds: float) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._counters: dict[Metric, Counter] = {}
        self._durations: dict[Metric, Histogram] = {}
        for metric in metrics:
            self._declare(metric)
        self._interval = interval_seconds
        self._sources: list[Source] = []
        self._found: Sequence[Reading] = ()
        self._found_at = float("-inf")
        self._registry.register(self)

    def _declare(self, metric: Metric) -> None:
        named = (metric.name, metric.words, metric.labels)
        if metric.kind is Kind.COUNTER:
            self._counters[metric] = Counter(*named, registry=self._registry)
        elif metric.kind is Kind.DURATION:
            self._durations[metric] = Histogram(*named, registry=self._registry, buckets=_BUCKETS)

    def count(self, metric: Metric, *labels: str) -> None:
        """One more of a counter."""
        counter = self._counters[metric]
        (counter.labels(*labels) if labels else counter).inc()

    def took(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Something took so long."""
        histogram = self._durations[metric]
        (histogram.labels(*labels) if labels else histogram).observe(seconds)

    def ask(self, source: Source) -> None:
        """Ask that source as well."""
        self._sources.append(source)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The sources' readings, as Prometheus's library wants them; on the page's thread."""
        now = time.monotonic()
        if now - self._found_at >= self._interval:
            self._found = [one for source in self._sources for one in source()]
            self._found_at = now
        families: dict[Metric, GaugeMetricFamily] = {}
        for reading in self._found:
            metric = reading.metric
            family = families.get(metric)
            if family is None:
                family = GaugeMetricFamily(metric.name, metric.words, labels=metric.labels)
                families[metric] = family
            family.add_metric(reading.labels, reading.value)
        yield from families.values()

    def page(self, host: str, port: int) -> "Page":
        """A page there, at any port with 0; raises OSError like `bind` does."""
        server = _ServerOfIPv6 if ":" in host else _Server
        return Page(make_server(host, port, make_wsgi_app(self._registry), server, _Reader))


class Page:
    """Listens from the start, and is shown once it has begun."""

    def __init__(self, server: WSGIServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = self._server.server_address[:2]
        name = str(host)
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/metrics"

    def begin(self) -> None:
        """Show it."""
        self._thread.start()

    def close(self) -> None:
        """Show it no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(WSGIServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a reader that breaks off is no news."""


class _ServerOfIPv6(_Server):
    address_family = socket.AF_INET6


class _Reader(WSGIRequestHandler):
    timeout = _SILENCE_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Nothing: who reads the page is no news."""
