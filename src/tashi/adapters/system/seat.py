"""A seat that one process of this machine has at a time, for a daemon that keeps nothing on a disk.

It is a name that the kernel gives away (an abstract socket, unix(7)): it needs no folder, and ends
with its process, however that ends. Every network namespace has names of its own. Anybody may take
a name, so who sits there counts only if it runs as our own user or as root: nobody else shall keep
us out.
"""

import logging
import os
import socket
import struct
from contextlib import suppress
from hashlib import sha256

from tashi.domain.errors import Refused

_log = logging.getLogger(__name__)

_CREDENTIALS = struct.Struct("3i")
_ROOT, _NOBODY = 0, -1


class Seat:
    """The seat for `what` of `whom`, held until it is given up."""

    def __init__(self, what: str, whom: str) -> None:
        """Raise Refused when another process sits there; a stranger is warned of and disregarded.

        `what` and `whom` are words, as in *scheduler* and *the cluster manager at merkabah:9882*.
        """
        name = f"\0tashi {what} {sha256(whom.encode()).hexdigest()}"
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.setblocking(False)
        if self._sits_down_at(name):
            return
        pid, uid = _who_sits_at(name)
        if uid in {_ROOT, os.geteuid()}:
            self._sock.close()
            raise Refused(
                f"Another {what} works for {whom} on this machine (process {pid}): stop that one "
                "first."
            )
        if not self._sits_down_at(name):  # who sat there may be gone by now
            _log.warning("Another user's process keeps the %s's seat; it is disregarded.", what)

    def greet(self) -> None:
        """Let who asked who sits here go again; called now and then."""
        with suppress(OSError):
            self._sock.accept()[0].close()

    def give_up(self) -> None:
        """Let another process sit here; harmless when repeated."""
        self._sock.close()

    def _sits_down_at(self, name: str) -> bool:
        try:
            self._sock.bind(name)
            self._sock.listen()
        except OSError:
            return False
        return True


def _who_sits_at(name: str) -> tuple[int, int]:
    """The process and the user that sit there; no numbers of theirs when nobody says."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
            found = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:  # it listens no more, or to too many
            return _NOBODY, _NOBODY
        pid, uid, _ = _CREDENTIALS.unpack(found)
        return pid, uid
