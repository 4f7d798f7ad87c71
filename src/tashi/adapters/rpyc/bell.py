"""Wakes the loop from other threads: it waits for its bell together with its sockets."""

import os
import threading


class Bell:
    """Rung any number of times, heard once; ringing it after it is closed does nothing."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._rung = False
        self._open = True
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor, readable once the bell is rung."""
        return self._fd

    def ring(self) -> None:
        """Wake the loop; costs next to nothing when it is awake already."""
        if self._rung:
            return
        with self._lock:  # so that a closed descriptor's number is never written to
            if self._open:
                self._rung = True
                os.eventfd_write(self._fd, 1)

    def silence(self) -> None:
        """Be ready for the next ring; what was rung for must be looked at after this."""
        os.eventfd_read(self._fd)
        self._rung = False

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            self._open = False
            os.close(self._fd)
