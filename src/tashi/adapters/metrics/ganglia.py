"""Metrics for Ganglia: what a gmond takes by UDP, in its own packets (XDR, gmond 3.1 and newer).

Each metric is told in two packets: what it is (128), and its value as text (133). What it is, is
told every time, for a gmond that was started anew has forgotten it. Ganglia's metrics have no
labels, so their words become part of the name; durations are not told, for they are no one number.

gmond names the host after the sender's address, whatever the packet says.
"""

import logging
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from tashi.domain.metrics import Kind, Metric, Reading
from tashi.ports.metrics import Source

_log = logging.getLogger(__name__)

_WHAT_IT_IS: Final = 128
_VALUE: Final = 133
_BOTH_WAYS: Final = 3
"""The slope of what goes up and down."""
_GROUP: Final = ("GROUP", "tashi")


class GangliaPublisher:
    """A `Meter` that tells a gmond at (host name, port) at regular times, once it has begun.

    `dmax` is the seconds after which gmond forgets a metric that nobody tells any more; a gmond
    that cannot be reached is left alone for `retry` seconds.
    """

    def __init__(self, address: tuple[str, int], dmax: float, retry: float) -> None:
        self._address = address
        self._dmax = round(dmax)
        self._retry = retry
        self._not_before = float("-inf")
        self._sources: list[Source] = []
        self._counted: Counter[tuple[Metric, tuple[str, ...]]] = Counter()
        self._host = socket.gethostname()
        self._ended = threading.Event()
        self._thread = threading.Thread(name="ganglia", daemon=True)

    def begin(self, interval_seconds: float) -> None:
        """Tell gmond now, and again after each interval, on a thread of its own."""
        self._thread = threading.Thread(
            target=self._tell_until_the_end, args=(interval_seconds,), name="ganglia", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Tell nothing more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def count(self, metric: Metric, *labels: str) -> None:
        """One more of a counter."""
        self._counted[metric, labels] += 1

    def took(self, metric: Metric, seconds: float, *labels: str) -> None:
        """Nothing: Ganglia has no way to say it."""

    def ask(self, source: Source) -> None:
        """Ask that source as well."""
        self._sources.append(source)

    def _tell_until_the_end(self, interval_seconds: float) -> None:
        while not self._ended.is_set():
            self._publish()
            self._ended.wait(interval_seconds)

    def _publish(self) -> None:
        if time.monotonic() < self._not_before:
            return
        try:
            self._send(self._readings())
        except OSError as error:
            self._not_before = time.monotonic() + self._retry
            _log.warning(
                "gmond at %s:%d cannot be told (%s); next try in %g s.",
                *self._address,
                error.strerror or error,
                self._retry,
            )

    def _readings(self) -> Iterator[Reading]:
        for source in self._sources:
            yield from source()
        for (metric, labels), number in self._counted.copy().items():
            yield Reading(metric, number, labels)

    def _send(self, readings: Iterable[Reading]) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            *self._address, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as line:
            line.connect(address)
            for reading in readings:
                for packet in packets(reading, self._host, self._dmax):
                    line.send(packet)


def name_of(reading: Reading) -> str:
    """The name of a reading among Ganglia's: `tashi_hosts_Normal_yes`."""
    words = "_".join((reading.metric.name, *reading.labels))
    return "".join(letter if letter.isalnum() or letter in "_.-" else "_" for letter in words)


def packets(reading: Reading, host: str, dmax: int) -> tuple[bytes, bytes]:
    """What gmond is sent for one reading."""
    name = name_of(reading)
    head = _text(host) + _text(name) + _number(0)
    growing = reading.metric.kind is Kind.COUNTER
    what = b"".join(
        (
            _number(_WHAT_IT_IS),
            head,
            _text("double"),
            _text(name),
            _text(""),
            _number(1 if growing else _BOTH_WAYS),
            _number(dmax),
            _number(dmax),
            _number(1),
            *map(_text, _GROUP),
        )
    )
    value = _number(_VALUE) + head + _text("%s") + _text(f"{reading.value:g}")
    return what, value


def _number(value: int) -> bytes:
    return struct.pack(">I", value)


def _text(text: str) -> bytes:
    """XDR's string (RFC 4506, section 4.11): its length, its bytes, zeros up to a multiple of 4."""
    content = text.encode()
    return _number(len(content)) + content + bytes(-len(content) % 4)
