"""A guest made of its network card alone: what it sends and hears are bytes of Ethernet."""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from namespaces import Namespace
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Nic
from tashi.ports.network import Networks, Tap

EVERYBODY: Final = "ff:ff:ff:ff:ff:ff"
HEARD_WITHIN_SECONDS: Final = 50.0
A_TEST: Final = 0x88B5
"""The type of frames that are nobody's, says IEEE 802."""

_HEADER: Final = bytes(10)
"""Before each frame a TAP says how far its sums were left to the card: all were done."""


class Card:
    """The guest's end of a TAP."""

    def __init__(self, descriptor: int, mac: str, mtu: int) -> None:
        self.descriptor = descriptor
        self.mac = mac
        self.mtu = mtu

    def send(self, frame: bytes) -> None:
        """Put a frame on the network."""
        os.write(self.descriptor, _HEADER + frame)

    def next_of(self, kinds: set[int], *, within_seconds: float = HEARD_WITHIN_SECONDS) -> bytes:
        """The next frame of one of these types."""
        deadline = time.monotonic() + within_seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.descriptor], [], [], left)[0]:
                frame = os.read(self.descriptor, 65536)[len(_HEADER) :]
                if int.from_bytes(frame[12:14]) in kinds:
                    return frame
        raise AssertionError("It heard nothing.")

    def say(self, words: bytes, to: str = EVERYBODY) -> None:
        """Send words to somebody."""
        self.send(ethernet(to, self.mac, A_TEST, words))

    def words(self) -> bytes:
        """The next words that arrive."""
        return self.next_of({A_TEST})[14:].rstrip(b"\0")


def ethernet(to: str, sender: str, kind: int, payload: bytes) -> bytes:
    """A frame of at least the shortest length."""
    head = bytes.fromhex((to + sender).replace(":", "")) + kind.to_bytes(2)
    return (head + payload).ljust(60, b"\0")


@contextmanager
def guest_on(
    host: Namespace, networks: Networks, nic: Nic, key: int = 7, number: int = 0
) -> Iterator[Card]:
    """A guest of that instance with one card, which ends with the context, and is tidied up."""

    def start() -> tuple[int, int]:
        with networks.wire(InstanceId(key), {number: nic}) as wiring:
            plug = wiring[number]
            assert isinstance(plug, Tap)
            return os.dup(plug.descriptor), plug.mtu

    descriptor, mtu = host.call(start)
    try:
        yield Card(descriptor, nic.mac, mtu)
    finally:
        os.close(descriptor)
        host.call(networks.tidy)
