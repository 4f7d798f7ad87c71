"""Ears on network devices: packet sockets, whose filter lets pass only what speaks of addresses.

Each device has a socket of its own. The filter runs in the kernel, so that an idle guest costs
nothing and a busy one no more: it passes ARP and IPv6 neighbour advertisements from the guest's
own MAC, and what DHCP servers answer. A guest that floods its network with those is listened to for
a few moments each second only; what it says in between is dropped by the kernel.
"""

import asyncio
import ctypes
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from logging import getLogger
from typing import Final

from tashi.adapters.system.packets import address_in
from tashi.ports.frames import Hears, Overheard

_log = getLogger(__name__)

_EVERY_PROTOCOL: Final = 3
_ATTACH_FILTER: Final = 26
_TO_GUEST: Final = 4
"""How packet sockets mark what the kernel sends out on a device, which a guest's TAP receives."""

_FRAME_BYTES: Final = 2048
_BUFFER_BYTES: Final = 16 * 1024
_MOST_AT_ONCE: Final = 4
_PAUSE_SECONDS: Final = 0.25

# Classic BPF.
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_LOAD_HALF_AT_X, _HEADER_TO_X = 0x48, 0xB1
_IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x15, 0x45, 0x06

# Where things stand in a frame, and what they are there.
_SOURCE, _KIND, _BODY = 6, 12, 14
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_V4_FRAGMENT, _V4_PROTOCOL, _V6_PROTOCOL, _V6_BODY = _BODY + 6, _BODY + 9, _BODY + 6, _BODY + 40
_UDP, _ICMPV6, _ADVERTISEMENT, _SERVER = 17, 58, 136, 67
_LATER_FRAGMENT: Final = 0x1FFF


@dataclass(frozen=True, slots=True)
class _Do:
    """One instruction of a filter: what to do, with what, and where to go on (empty: next)."""

    code: int
    operand: int
    if_so: str = ""
    if_not: str = ""
    label: str = ""


def filter_for(mac: bytes) -> bytes:
    """The filter that passes what speaks of the address of the guest with that MAC."""
    high, low = struct.unpack("!HI", mac)
    return _assembled(
        [
            _Do(_LOAD_HALF, _KIND),
            _Do(_IF_EQUAL, _ARP, if_so="of the guest"),
            _Do(_IF_EQUAL, _IPV4, if_so="from a server"),
            _Do(_IF_EQUAL, _IPV6, if_not="nothing"),
            _Do(_LOAD_BYTE, _V6_PROTOCOL),
            _Do(_IF_EQUAL, _ICMPV6, if_not="nothing"),
            _Do(_LOAD_BYTE, _V6_BODY),
            _Do(_IF_EQUAL, _ADVERTISEMENT, if_not="nothing"),
            _Do(_LOAD_WORD, _SOURCE + 2, label="of the guest"),
            _Do(_IF_EQUAL, low, if_not="nothing"),
            _Do(_LOAD_HALF, _SOURCE),
            _Do(_IF_EQUAL, high, if_so="pass", if_not="nothing"),
            _Do(_LOAD_BYTE, _V4_PROTOCOL, label="from a server"),
            _Do(_IF_EQUAL, _UDP, if_not="nothing"),
            _Do(_LOAD_HALF, _V4_FRAGMENT),
            _Do(_IF_ANY_BIT, _LATER_FRAGMENT, if_so="nothing"),
            _Do(_HEADER_TO_X, _BODY),
            _Do(_LOAD_HALF_AT_X, _BODY),
            _Do(_IF_EQUAL, _SERVER, if_so="pass", if_not="nothing"),
            _Do(_RETURN, _FRAME_BYTES, label="pass"),
            _Do(_RETURN, 0, label="nothing"),
        ]
    )


def _assembled(steps: Sequence[_Do]) -> bytes:
    places = {step.label: place for place, step in enumerate(steps) if step.label}

    def jump(place: int, label: str) -> int:
        return places[label] - place - 1 if label else 0

    return b"".join(
        struct.pack(
            "HBBI", step.code, jump(place, step.if_so), jump(place, step.if_not), step.operand
        )
        for place, step in enumerate(steps)
    )


class PacketFrames:
    """Frames overheard through packet sockets; a thread of its own reads them. To be closed."""

    def __init__(self) -> None:
        self._hears: Hears = lambda _: None
        self._ears: dict[str, socket.socket] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="frames", daemon=True)
        self._thread.start()

    def listen(self, hears: Hears) -> None:
        """Tell `hears` from now on, in the thread that reads."""
        self._hears = hears

    def watch(self, device: str, mac: str) -> None:
        """Listen for that MAC at the device."""
        self.forget(device)
        try:
            ear = _ear(device, _bytes_of(mac))
        except OSError as error:
            _log.debug("Addresses of %s are not overheard: %s.", device, error.strerror)
            return
        self._ears[device] = ear
        self._loop.call_soon_threadsafe(self._attend, ear, device, mac)

    def forget(self, device: str) -> None:
        """Listen there no more."""
        ear = self._ears.pop(device, None)
        if ear is not None:
            self._loop.call_soon_threadsafe(self._leave, ear)

    def close(self) -> None:
        """Listen nowhere any more; harmless the second time."""
        if self._loop.is_closed():
            return
        self._hears = lambda _: None
        for device in list(self._ears):
            self.forget(device)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ---- in the thread that reads -------------------------------------------------------------

    def _attend(self, ear: socket.socket, device: str, mac: str) -> None:
        if ear.fileno() >= 0:
            self._loop.add_reader(ear, self._read, ear, device, mac)

    def _leave(self, ear: socket.socket) -> None:
        self._loop.remove_reader(ear)
        ear.close()

    def _read(self, ear: socket.socket, device: str, mac: str) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                frame, (_, _, direction, *_) = ear.recvfrom(_FRAME_BYTES)
            except BlockingIOError:
                break
            except OSError as error:  # said once, when the device goes down or away
                _log.debug("%s: %s.", device, error.strerror)
                break
            found = address_in(frame, _bytes_of(mac), to_guest=direction == _TO_GUEST)
            if found is not None:
                self._hears(Overheard(device, mac, found.ip, found.given))
        self._loop.remove_reader(ear)
        self._loop.call_later(_PAUSE_SECONDS, self._attend, ear, device, mac)


def _ear(device: str, mac: bytes) -> socket.socket:
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        # Before it hears anything at all.
        steps = filter_for(mac)
        held = ctypes.create_string_buffer(steps, len(steps))
        length = len(steps) // struct.calcsize("HBBI")
        ear.setsockopt(
            socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", length, ctypes.addressof(held))
        )
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        ear.bind((device, _EVERY_PROTOCOL))
    except BaseException:
        ear.close()
        raise
    return ear


def _bytes_of(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
