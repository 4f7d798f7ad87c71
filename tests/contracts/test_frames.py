"""What all ears on devices promise (`tashi.ports.frames`): real ones on real TAPs, and the fake.

That something is *not* heard shows in what is heard next.
"""

import fcntl
import os
import queue
import socket
import struct
from collections.abc import Iterator
from typing import Protocol

import pytest

from fakes.frames import FakeFrames
from namespaces import Namespace
from packets import ack, advertisement, arp
from tashi.adapters.system.frames import PacketFrames
from tashi.ports.frames import Frames, Overheard

REAL = [pytest.mark.system, pytest.mark.timeout(180)]
DEVICE, NOWHERE = "tashi7.0", "tashi9.0"
MAC, OTHER = "52:54:00:00:00:07", "52:54:00:00:00:08"
SECONDS = 60.0


class Ground(Protocol):
    """A machine with one TAP, and the guest behind it."""

    def ears(self) -> Frames:
        """New ears on this machine."""
        ...

    def announce(self, mac: str, ip: str) -> None:
        """Let the guest announce an address."""
        ...

    def give(self, mac: str, ip: str) -> None:
        """Let a DHCP server give the guest an address."""
        ...

    def close(self) -> None:
        """Remove it."""
        ...


class FakeGround:
    """Nothing real."""

    def __init__(self) -> None:
        self._ears = FakeFrames()

    def ears(self) -> Frames:
        return self._ears

    def announce(self, mac: str, ip: str) -> None:
        self._ears.say(DEVICE, mac, ip)

    def give(self, mac: str, ip: str) -> None:
        self._ears.say(DEVICE, mac, ip, given=True)

    def close(self) -> None:
        self._ears.close()


class RealGround:
    """A TAP in a network namespace; the guest writes to it, the network sends out on it."""

    def __init__(self) -> None:
        self._host = Namespace()
        self._guest = self._host.call(_open_tap)
        self._host.ip("link", "set", DEVICE, "up")
        self._network = self._host.call(_on_device)
        self._opened: list[PacketFrames] = []

    def ears(self) -> Frames:
        self._opened.append(PacketFrames())
        return _Inside(self._host, self._opened[-1])

    def announce(self, mac: str, ip: str) -> None:
        raw = bytes.fromhex(mac.replace(":", ""))
        os.write(self._guest, advertisement(raw, ip) if ":" in ip else arp(raw, ip))

    def give(self, mac: str, ip: str) -> None:
        self._network.send(ack(bytes.fromhex(mac.replace(":", "")), ip))

    def close(self) -> None:
        for each in self._opened:
            each.close()
        self._network.close()
        os.close(self._guest)
        self._host.close()


class _Inside:
    """Ears that are put on in the namespace."""

    def __init__(self, host: Namespace, ears: PacketFrames) -> None:
        self._host = host
        self._ears = ears
        self.listen = ears.listen
        self.forget = ears.forget
        self.close = ears.close

    def watch(self, device: str, mac: str) -> None:
        self._host.call(self._ears.watch, device, mac)


def _open_tap() -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", DEVICE.encode(), 0x1002))
    return tap


def _on_device() -> socket.socket:
    line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    line.bind((DEVICE, 0))
    return line


@pytest.fixture(params=[FakeGround, pytest.param(RealGround, marks=REAL)])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    made: Ground = request.param()
    yield made
    made.close()


class Heard:
    """What ears tell."""

    def __init__(self, ears: Frames) -> None:
        self._told: queue.SimpleQueue[Overheard] = queue.SimpleQueue()
        ears.listen(self._told.put)

    def next(self) -> Overheard:
        return self._told.get(timeout=SECONDS)


@pytest.fixture
def ears(ground: Ground) -> Frames:
    return ground.ears()


@pytest.fixture
def heard(ears: Frames) -> Heard:
    return Heard(ears)


def test_an_address_that_a_guest_announces_is_heard(
    ground: Ground, ears: Frames, heard: Heard
) -> None:
    ears.watch(DEVICE, MAC)

    ground.announce(MAC, "192.0.2.7")

    assert heard.next() == Overheard(DEVICE, MAC, "192.0.2.7", given=False)


def test_an_ipv6_address_is_heard(ground: Ground, ears: Frames, heard: Heard) -> None:
    ears.watch(DEVICE, MAC)

    ground.announce(MAC, "2001:db8::7")

    assert heard.next() == Overheard(DEVICE, MAC, "2001:db8::7", given=False)


def test_an_address_that_a_guest_is_given_is_heard(
    ground: Ground, ears: Frames, heard: Heard
) -> None:
    ears.watch(DEVICE, MAC)

    ground.give(MAC, "192.0.2.7")

    assert heard.next() == Overheard(DEVICE, MAC, "192.0.2.7", given=True)


def test_nobody_else_is_heard(ground: Ground, ears: Frames, heard: Heard) -> None:
    ears.watch(DEVICE, MAC)

    ground.announce(OTHER, "192.0.2.8")
    ground.give(OTHER, "192.0.2.8")
    ground.announce(MAC, "192.0.2.7")

    assert heard.next().ip == "192.0.2.7"


def test_a_device_that_is_not_there_is_listened_to_in_vain(
    ground: Ground, ears: Frames, heard: Heard
) -> None:
    ears.watch(NOWHERE, OTHER)
    ears.watch(DEVICE, MAC)

    ground.announce(MAC, "192.0.2.7")
    ears.forget(NOWHERE)
    ears.forget(NOWHERE)

    assert heard.next().device == DEVICE


def test_a_device_can_be_listened_to_for_another_card(
    ground: Ground, ears: Frames, heard: Heard
) -> None:
    ears.watch(DEVICE, MAC)
    ears.watch(DEVICE, OTHER)

    ground.announce(MAC, "192.0.2.7")
    ground.announce(OTHER, "192.0.2.8")

    assert heard.next() == Overheard(DEVICE, OTHER, "192.0.2.8", given=False)


def test_what_is_said_while_nobody_listens_is_not_heard(
    ground: Ground, ears: Frames, heard: Heard
) -> None:
    ears.watch(DEVICE, MAC)
    ears.forget(DEVICE)
    ground.announce(MAC, "192.0.2.7")

    ears.watch(DEVICE, MAC)
    ground.announce(MAC, "192.0.2.9")

    assert heard.next().ip == "192.0.2.9"


def test_a_guest_that_says_much_is_still_heard(ground: Ground, ears: Frames, heard: Heard) -> None:
    ears.watch(DEVICE, MAC)

    for number in range(1, 200):
        ground.announce(MAC, f"192.0.2.{number}")

    assert [heard.next().ip for _ in range(4)] == [f"192.0.2.{number}" for number in range(1, 5)]


def test_closing_twice_is_harmless(ears: Frames) -> None:
    ears.watch(DEVICE, MAC)

    ears.close()
    ears.close()
