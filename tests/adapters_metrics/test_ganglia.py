"""What gmond is sent, byte for byte."""

import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from queue import Queue

import pytest

from tashi.adapters.metrics.ganglia import GangliaPublisher, name_of, packets
from tashi.domain import metrics
from tashi.domain.metrics import Reading

PATIENCE_SECONDS = 30.0


@pytest.fixture
def gmond() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(PATIENCE_SECONDS)
        yield line


def value_in(packet: bytes) -> tuple[str, str]:
    """The name and the value that a packet of the second kind tells."""
    at = 4
    words = []
    for kind in "ssiss":  # host, name, spoofed or not, format, value
        (number,) = struct.unpack_from(">I", packet, at)
        at += 4
        if kind == "s":
            words.append(packet[at : at + number].decode())
            at += number + -number % 4
    _, name, _, value = words
    return name, value


def test_a_reading_is_what_it_is_and_a_value() -> None:
    what, value = packets(Reading(metrics.HOST_UP, 1.0, ("h1",)), "cm", 60)

    assert what == (
        struct.pack(">I", 128)
        + b"\0\0\0\x02cm\0\0"
        + b"\0\0\0\x10tashi_host_up_h1"
        + b"\0\0\0\0"
        + b"\0\0\0\x06double\0\0"
        + b"\0\0\0\x10tashi_host_up_h1"
        + b"\0\0\0\0"
        + struct.pack(">IIII", 3, 60, 60, 1)
        + b"\0\0\0\x05GROUP\0\0\0"
        + b"\0\0\0\x05tashi\0\0\0"
    )
    assert value == (
        struct.pack(">I", 133)
        + b"\0\0\0\x02cm\0\0"
        + b"\0\0\0\x10tashi_host_up_h1"
        + b"\0\0\0\0"
        + b"\0\0\0\x02%s\0\0"
        + b"\0\0\0\x011\0\0\0"
    )


def test_names_have_no_letters_that_ganglias_files_could_not_have() -> None:
    assert name_of(Reading(metrics.HOST_UP, 1.0, ("a/b c",))) == "tashi_host_up_a_b_c"


def test_gauges_and_counters_are_told_at_once_and_again(gmond: socket.socket) -> None:
    publisher = GangliaPublisher(("127.0.0.1", gmond.getsockname()[1]), 60.0, 60.0)
    publisher.ask(lambda: [Reading(metrics.EPOCH, 3.0)])
    publisher.count(metrics.FAILED_COMMITS)
    publisher.begin(0.01)

    told = [gmond.recv(2000) for _ in range(8)]
    publisher.close()

    once = [("tashi_epoch", "3"), ("tashi_failed_commits_total", "1")]
    assert [value_in(packet) for packet in told[1::2]] == once * 2


def test_a_gmond_that_is_not_there_is_left_alone_for_a_while() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    asked: list[None] = []

    def source() -> Iterator[Reading]:
        asked.append(None)
        yield Reading(metrics.EPOCH, 3.0)

    publisher = GangliaPublisher(("127.0.0.1", port), 60.0, 3600.0)
    publisher.ask(source)
    with heard("tashi.adapters.metrics.ganglia") as warned:
        publisher.begin(0.001)
        said = warned.get(timeout=PATIENCE_SECONDS)
        publisher.close()

    assert said == (
        f"gmond at 127.0.0.1:{port} cannot be told (Connection refused); next try in 3600 s."
    )
    assert asked == [None]


@contextmanager
def heard(name: str) -> Iterator["Queue[str]"]:
    """The lines of a logger, as they come."""
    lines: Queue[str] = Queue()
    handler = logging.Handler()
    handler.emit = lambda record: lines.put(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger(name).addHandler(handler)
    yield lines
    logging.getLogger(name).removeHandler(handler)
