"""Hears at once when anybody removes something from nftables' tables for bridges.

A firewall that is reloaded flushes all rules, also those that are not its own. The kernel tells
whoever wants to know of every change, so nobody has to look now and then. What comes of our own
changes is heard as well: who is told has to see for itself whether anything is missing.
"""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from errno import ENOBUFS
from logging import getLogger
from typing import Final

from tashi.domain.errors import HypervisorFailed

_log = getLogger(__name__)

# linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h, linux/netfilter.h
_NETLINK_NETFILTER: Final = 12
_GROUP_OF_NFTABLES: Final = 7
_SUBSYSTEM: Final = 10
_DELETIONS: Final = frozenset({2, 5, 8, 11, 14})
"""Of tables, chains, rules, sets and their elements."""
_BRIDGE: Final = 7
_HEADER: Final = struct.Struct("=IHHII")
_MOST_BYTES: Final = 1 << 16
_AGAIN_SECONDS: Final = 2.0


class Vigil:
    """Calls `mend` in a thread of its own after every removal; to be closed.

    It listens in the network namespace of the thread that makes it.
    """

    def __init__(self, mend: Callable[[], None]) -> None:
        self._mend = mend
        self._ending, self._end = socket.socketpair()
        self._ear = _ear()
        self._thread = threading.Thread(target=self._listen, name="vigil", daemon=True)
        if self._ear is not None:
            self._thread.start()

    def close(self) -> None:
        """Listen no more; harmless the second time."""
        self._end.close()
        if self._ear is not None:
            self._thread.join()
            self._ear.close()
        self._ending.close()

    def _listen(self) -> None:
        assert self._ear is not None
        is_mended, is_well = True, True
        while True:
            patience = None if is_mended else _AGAIN_SECONDS
            # Whatever goes wrong comes at once again, and would keep the host busy.
            awaited = (self._ear, self._ending) if is_well else (self._ending,)
            ready, _, _ = select.select(awaited, (), (), patience)
            if self._ending in ready:
                return
            try:
                if _tell_of_removals(self._ear) or not is_mended:
                    is_mended = self._see_to_it()
                is_well = True
            except Exception:  # noqa: BLE001  # guests must not stay without rules for it
                _log.exception("What others removed of the rules for guests may not be there yet.")
                is_mended = is_well = False

    def _see_to_it(self) -> bool:
        try:
            self._mend()
        except HypervisorFailed as failed:
            _log.warning("Rules for guests that others removed are not there yet: %s", failed)
            return False
        return True


def _ear() -> socket.socket | None:
    """A socket that the kernel tells of changes, if it does."""
    ear = None
    try:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        ear = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
        ear.bind((0, 1 << (_GROUP_OF_NFTABLES - 1)))
    except OSError as error:
        _log.warning(
            "It would not be noticed if others removed the rules for guests: %s.", error.strerror
        )
        if ear is not None:
            ear.close()
        return None
    return ear


def _tell_of_removals(ear: socket.socket) -> bool:
    """Whether something was removed, by all that there is to be heard now."""
    removed = False
    with suppress(BlockingIOError):
        while True:
            try:
                removed |= any(removals(ear.recv(_MOST_BYTES)))
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise
                removed = True  # more was said than could be kept
    return removed


def removals(message: bytes) -> Iterator[bool]:
    """For each of the kernel's words, whether it is of a removal from a table for bridges."""
    while len(message) > _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(message)
        subsystem, act = kind >> 8, kind & 0xFF
        family = message[_HEADER.size]
        yield subsystem == _SUBSYSTEM and act in _DELETIONS and family == _BRIDGE
        message = message[max((length + 3) & ~3, _HEADER.size) :]
