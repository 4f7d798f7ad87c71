"""What every meter promises: it takes whatever is measured, from anywhere, without a word."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tashi.adapters.metrics.ganglia import GangliaPublisher
from tashi.adapters.metrics.prometheus import PrometheusMeter
from tashi.adapters.metrics.several import SeveralMeters
from tashi.domain.metrics import METRICS, Kind, Metric, Reading
from tashi.ports.metrics import Meter, Unwatched

EVERYTHING = tuple(dict.fromkeys(metric for row in METRICS.values() for metric in row))
TURNS = 50


def prometheus() -> Meter:
    return PrometheusMeter(EVERYTHING, 60.0)


def ganglia() -> Meter:
    return GangliaPublisher(("127.0.0.1", 9), 60.0, 60.0)


@pytest.fixture(
    params=[prometheus, ganglia, Unwatched, lambda: SeveralMeters([prometheus(), ganglia()])],
    ids=["prometheus", "ganglia", "unwatched", "several"],
)
def meter(request: pytest.FixtureRequest) -> Meter:
    made: Meter = request.param()
    return made


@pytest.mark.parametrize("metric", EVERYTHING, ids=lambda metric: metric.name)
def test_takes_every_metric_from_several_threads(meter: Meter, metric: Metric) -> None:
    labels = tuple(f"word of {name}" for name in metric.labels)

    def tell(_: int) -> None:
        if metric.kind is Kind.COUNTER:
            meter.count(metric, *labels)
        elif metric.kind is Kind.DURATION:
            meter.took(metric, 0.25, *labels)
        else:
            meter.ask(lambda: [Reading(metric, 1.0, labels)])

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(tell, range(TURNS)))

    assert answers == [None] * TURNS


def test_asks_no_source_before_somebody_looks(meter: Meter) -> None:
    asked: list[None] = []

    def source() -> Iterable[Reading]:
        asked.append(None)
        return ()

    meter.ask(source)

    assert asked == []
