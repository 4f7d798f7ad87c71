"""Typing on a guest's serial console.

QEMU talks to one program at a time on the console's socket, and puts the rest off. So a line is
open only for as long as it takes QEMU to read what was typed; whatever the guest says meanwhile is
in the log anyway and is thrown away here. Several people may type: each piece goes in whole.
"""

import fcntl
import select
import socket
import struct
import termios
import time
from pathlib import Path
from typing import Final

from tashi.domain.errors import HypervisorFailed

_SECONDS: Final = 10.0
_LOOK_AGAIN_SECONDS: Final = 0.002
_CALL_AGAIN_SECONDS: Final = 0.05
_AT_ONCE: Final = 4096


def type_in(console: Path, typed: bytes) -> None:
    """Have QEMU take up what was typed; raises HypervisorFailed."""
    deadline = time.monotonic() + _SECONDS
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.setblocking(False)
            _connect(line, console, deadline)
            _send(line, typed, deadline)
    except OSError as error:
        raise HypervisorFailed(
            f"The console cannot be typed on: {error.strerror or error}."
        ) from error


def _connect(line: socket.socket, console: Path, deadline: float) -> None:
    """Wait in QEMU's queue of callers, which tells nobody when it is full no more: connect(2)."""
    while True:
        try:
            line.connect(bytes(console))
        except BlockingIOError as full:
            if time.monotonic() >= deadline:
                raise HypervisorFailed(
                    "The guest's QEMU hangs, or another program on its host has the console open."
                ) from full
            select.select([], [], [], _CALL_AGAIN_SECONDS)
        else:
            return


def _send(line: socket.socket, typed: bytes, deadline: float) -> None:
    rest = memoryview(typed)
    while rest or _unread(line):
        left = deadline - time.monotonic()
        if left <= 0:
            raise HypervisorFailed(
                "The guest does not take up what is typed on its console, or another program on "
                "its host has the console open."
            )
        # Where nothing is left to be sent, only QEMU's reading is waited for, which nobody tells.
        wait = left if rest else _LOOK_AGAIN_SECONDS
        readable, writable, _ = select.select([line], [line] if rest else [], [], wait)
        if readable and not line.recv(_AT_ONCE):
            raise HypervisorFailed("QEMU has closed the console.")
        if writable:
            rest = rest[line.send(rest[:_AT_ONCE]) :]


def _unread(line: socket.socket) -> int:
    """How much of what was sent the other end has not read yet: unix(7), SIOCOUTQ."""
    answer: int = struct.unpack("i", fcntl.ioctl(line, termios.TIOCOUTQ, bytes(4)))[0]
    return answer
