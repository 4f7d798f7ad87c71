"""libvirt's event loop: one thread of this process, for as long as somebody has a connection.

libvirt wants to know of its loop before the first connection is opened, and once only.
"""

import threading
from typing import Final

import libvirt

_UNENDING: Final = -1
_LAST_TURNS: Final = 4
"""In which connections that were closed let go of what they had open."""
_TURN_MILLISECONDS: Final = 5
"""What waits for an idle moment would never be done beside a timer that is always due."""


class _Loop:
    """The thread, and how many want it."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._wanted = 0
        self._thread: threading.Thread | None = None
        self._is_known = False
        self._turns_left = 0

    def join(self) -> None:
        """Have the loop turn."""
        with self._changing:
            self._wanted += 1
            if self._thread is None:
                self._make_known()
                self._turns_left = _UNENDING
                self._thread = threading.Thread(target=self._turn, name="libvirt", daemon=True)
                self._thread.start()

    def leave(self) -> None:
        """Need it no more."""
        with self._changing:
            self._wanted -= 1
            if self._wanted == 0 and self._thread is not None:
                self._turns_left = _LAST_TURNS
                libvirt.virEventAddTimeout(_TURN_MILLISECONDS, self._end_soon, None)
                self._thread.join()
                self._thread = None

    def _make_known(self) -> None:
        if not self._is_known:
            libvirt.virEventRegisterDefaultImpl()
            # Else every refusal is printed besides being raised.
            libvirt.registerErrorHandler(lambda _opaque, _error: None, None)
            self._is_known = True

    def _turn(self) -> None:
        while self._turns_left:
            libvirt.virEventRunDefaultImpl()

    def _end_soon(self, timer: int, _opaque: object) -> None:
        self._turns_left -= 1
        if not self._turns_left:
            libvirt.virEventRemoveTimeout(timer)


LOOP: Final = _Loop()
