"""Connections to a libvirtd that are open for whoever asks next: no two calls ever share one.

When a libvirtd falls silent, libvirt's library (seen with 9.0) lets one of the threads go that are
in calls on a connection, has the others wait for ever, and breaks down when libvirtd speaks again.
A thread that is alone on its connection comes back with an error.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tashi.adapters.hypervisor.libvirt.channel import Channel

_MOST_IDLE: Final = 4


class Pool:
    """Lends connections, and opens more when all are lent. To be closed."""

    def __init__(self, opens: Callable[[], Channel]) -> None:
        """`opens` may take long, in the thread of who asked."""
        self._opens = opens
        self._changing = threading.Lock()
        self._idle: list[Channel] = []
        self._is_open = True

    @contextmanager
    def one(self) -> Iterator[Channel]:
        """A connection for oneself; raises what opening one raises."""
        channel = self._taken() or self._opens()
        try:
            yield channel
        finally:
            self._put_back(channel)

    def close(self, within_seconds: float) -> None:
        """Close those that are idle, and each that is lent when it comes back."""
        with self._changing:
            self._is_open = False
            left, self._idle = self._idle, []
        for channel in left:
            channel.give_up()
        for channel in left:
            channel.dropped.wait(within_seconds)

    def _taken(self) -> Channel | None:
        with self._changing:
            while self._idle:
                if (channel := self._idle.pop()).is_alive():
                    return channel
                channel.give_up()
        return None

    def _put_back(self, channel: Channel) -> None:
        with self._changing:
            if self._is_open and len(self._idle) < _MOST_IDLE and channel.is_alive():
                self._idle.append(channel)
            else:
                channel.give_up()
