"""A port of loopback that leads into a namespace, so that programs outside reach a server in it.

Sockets belong to the namespace that they were made in, whichever thread uses them; so nothing but
making the connection happens in there.
"""

import selectors
import socket
import threading
from contextlib import suppress
from typing import Self

from namespaces import Namespace

_PIECE = 1 << 16
_SECONDS = 30.0


class Relay:
    """Passes on what is said until it is closed; who cannot be passed on is hung up on."""

    def __init__(self, where: Namespace, port: int) -> None:
        self._where, self._inside = where, port
        self._door = socket.create_server(("127.0.0.1", 0))
        self._bell, self._rope = socket.socketpair()
        self.port: int = self._door.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="relay")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._rope.close()
        self._thread.join()

    def _serve(self) -> None:
        """One thread for all: each end is kept with the other one, until either is closed."""
        with selectors.DefaultSelector() as ends, self._door, self._bell:
            ends.register(self._door, selectors.EVENT_READ)
            ends.register(self._bell, selectors.EVENT_READ)
            while True:
                for key, _ in ends.select():
                    if key.fileobj is self._bell:
                        self._hang_up(ends, [end.data for end in ends.get_map().values()])
                        return
                    if key.fileobj is self._door:
                        self._let_in(ends)
                    elif key.fd in ends.get_map() and not _passes(key):
                        self._hang_up(ends, [key.fileobj, key.data])

    def _let_in(self, ends: selectors.BaseSelector) -> None:
        outside, _ = self._door.accept()
        place = ("127.0.0.1", self._inside)
        try:
            inside = self._where.call(socket.create_connection, place, _SECONDS)
        except OSError:
            outside.close()
            return
        ends.register(outside, selectors.EVENT_READ, inside)
        ends.register(inside, selectors.EVENT_READ, outside)

    @staticmethod
    def _hang_up(ends: selectors.BaseSelector, both: list[object]) -> None:
        for one in both:
            if isinstance(one, socket.socket):
                with suppress(KeyError):
                    ends.unregister(one)
                one.close()


def _passes(key: selectors.SelectorKey) -> bool:
    """Pass on what has come; whether both ends are still there."""
    assert isinstance(key.fileobj, socket.socket)
    try:
        said = key.fileobj.recv(_PIECE)
        key.data.sendall(said)
    except OSError:
        return False
    return bool(said)
