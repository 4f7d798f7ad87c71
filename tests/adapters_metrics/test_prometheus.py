"""The page of metrics, read as Prometheus reads it."""

import socket
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tashi.adapters.metrics.prometheus import Page, PrometheusMeter
from tashi.domain import metrics
from tashi.domain.metrics import METRICS, Reading

SAMPLES = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture
def meter() -> PrometheusMeter:
    return PrometheusMeter(METRICS["clustermanager"], 3600.0)


@pytest.fixture
def page(meter: PrometheusMeter) -> Iterator[Page]:
    made = meter.page("127.0.0.1", 0)
    made.begin()
    yield made
    made.close()


def read(page: Page) -> SAMPLES:
    with urlopen(page.url) as answer:  # our own page
        text = answer.read().decode()
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_durations_and_gauges_are_on_the_page(meter: PrometheusMeter, page: Page) -> None:
    meter.count(metrics.FAILED_COMMITS)
    meter.count(metrics.LOG_LINES, "INFO")
    meter.took(metrics.CALLS, 0.2, "createVm", "answered")
    meter.ask(lambda: [Reading(metrics.HOST_UP, 1.0, ("h1",)), Reading(metrics.EPOCH, 3.0)])

    found = read(page)

    assert found["tashi_failed_commits_total", ()] == 1
    assert found["tashi_log_lines_total", ("INFO",)] == 1
    assert found["tashi_call_seconds_count", ("createVm", "answered")] == 1
    assert found["tashi_call_seconds_sum", ("createVm", "answered")] == pytest.approx(0.2)
    assert found["tashi_host_up", ("h1",)] == 1
    assert found["tashi_epoch", ()] == 3


def test_what_has_no_labels_is_there_before_anything_happened(page: Page) -> None:
    found = read(page)

    assert found["tashi_failed_commits_total", ()] == 0
    assert found["tashi_commit_seconds_count", ()] == 0


def test_sources_are_asked_once_in_an_interval(meter: PrometheusMeter, page: Page) -> None:
    asked: list[None] = []

    def source() -> Iterator[Reading]:
        asked.append(None)
        yield Reading(metrics.EPOCH, float(len(asked)))

    meter.ask(source)
    first, second = read(page), read(page)

    assert len(asked) == 1
    assert first["tashi_epoch", ()] == second["tashi_epoch", ()] == 1


def test_a_reader_that_breaks_off_harms_nobody(page: Page) -> None:
    port = int(page.url.rpartition(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as rude:
        rude.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port)) as ruder:
        ruder.sendall(b"\x00\xff nonsense\r\n\r\n")

    assert read(page)


def test_a_page_needs_a_port_of_its_own(meter: PrometheusMeter, page: Page) -> None:
    port = int(page.url.rpartition(":")[2].split("/")[0])

    with pytest.raises(OSError, match="in use"):
        meter.page("127.0.0.1", port)


def test_a_page_may_be_at_an_address_of_ipv6(meter: PrometheusMeter) -> None:
    made = meter.page("::1", 0)
    made.begin()

    found = read(made)

    made.close()
    assert made.url.startswith("http://[::1]:")
    assert found["tashi_failed_commits_total", ()] == 0
