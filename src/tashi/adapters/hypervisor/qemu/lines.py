"""Lines between two machines that guests cross on: who may call, and from where a call is made.

A port that waits for a guest is open to one machine only: the kernel drops whatever comes from
elsewhere before it meets anybody (a filter on the socket itself, socket(7): it needs no root and
no firewall, is inherited by whatever QEMU accepts, and is gone with the socket). The caller binds
itself to the address that it is expected from.
"""

import ctypes
import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Final

from tashi.domain.errors import HypervisorFailed

_REACH_SECONDS: Final = 10.0
_ATTACH_FILTER: Final = 26
_LOCK_FILTER: Final = 44
"""Of asm-generic/socket.h; Python's socket module has neither."""
_LOAD_WORD: Final = 0x20
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_OF_THE_IP_HEADER: Final = 0xFFF0_0000
_WHOLE_PACKET: Final = 0xFFFF_FFFF
_SOURCE_AT: Final = {4: 12, 6: 8}
"""Where the sender stands in the header of an IP packet, by its version."""
_WORD_BYTES: Final = 4

_IDLE_SECONDS: Final = 10
_PROBE_SECONDS: Final = 5
_PROBES: Final = 4
_UNHEARD_MILLISECONDS: Final = 30_000


def listen_for(peer: str, address: str) -> socket.socket:
    """A socket that listens on a free port of our address, for that machine alone.

    Raises HypervisorFailed.
    """
    if not peer:
        raise HypervisorFailed(
            "The cluster manager did not say where the guest will come from: it is too old."
        )
    try:
        listener = socket.create_server((address, 0), family=family_of(address))
    except OSError as error:
        raise HypervisorFailed(
            f"No port of {address} can be had: {error.strerror or error}."
        ) from error
    try:
        _open_only_to(listener, _addresses_of(peer, listener.family))
        tune(listener)
    except BaseException:
        listener.close()
        raise
    return listener


def call(place: tuple[str, int], address: str) -> socket.socket:
    """A line from our address to that place; raises HypervisorFailed when nobody answers."""
    line = socket.socket(family_of(place[0]))
    try:
        line.settimeout(_REACH_SECONDS)
        line.bind((address, 0))
        line.connect(place)
        tune(line)
    except OSError as error:
        line.close()
        raise HypervisorFailed(
            f"{place[0]}:{place[1]} is not reached: {error.strerror or error}."
        ) from error
    return line


def family_of(address: str) -> socket.AddressFamily:
    """The kind of an address that is written in numbers."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tune(line: socket.socket) -> None:
    """Let small words go at once, and the line break when the other machine is gone.

    QEMU sees to the first where it connects by itself, but not on a line that it is handed: there
    the last words of a move, for which the guest stands still, would wait for each other.
    """
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE_SECONDS)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_SECONDS)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MILLISECONDS)


def _addresses_of(peer: str, family: socket.AddressFamily) -> list[str]:
    try:
        found = socket.getaddrinfo(peer, None, family, socket.SOCK_STREAM)
    except OSError as error:
        raise HypervisorFailed(
            f"Where {peer} is cannot be found out: {error.strerror or error}."
        ) from error
    return sorted({str(place[0]) for *_, place in found})


def _open_only_to(listener: socket.socket, addresses: Iterable[str]) -> None:
    program = b"".join(struct.pack("HBBI", *step) for step in filter_of(addresses))
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HL", len(program) // 8, ctypes.addressof(code))
    listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, described)
    # So that nobody who is handed the socket takes the filter off again.
    listener.setsockopt(socket.SOL_SOCKET, _LOCK_FILTER, 1)


def filter_of(addresses: Iterable[str]) -> list[tuple[int, int, int, int]]:
    """The steps of a packet filter that lets these senders pass: (code, if so, if not, value)."""
    return [step for one in addresses for step in _lets_pass(one)] + [(_RETURN, 0, 0, 0)]


def _lets_pass(address: str) -> Iterator[tuple[int, int, int, int]]:
    sender = ip_address(address)
    words = struct.unpack(f"!{len(sender.packed) // _WORD_BYTES}I", sender.packed)
    at = _OF_THE_IP_HEADER + _SOURCE_AT[sender.version]
    for number, word in enumerate(words):
        yield _LOAD_WORD, 0, 0, at + number * _WORD_BYTES
        # One that differs goes on behind the word that would let it pass.
        yield _JUMP_IF_EQUAL, 0, 2 * (len(words) - 1 - number) + 1, word
    yield _RETURN, 0, 0, _WHOLE_PACKET
