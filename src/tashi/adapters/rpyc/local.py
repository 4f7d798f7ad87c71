"""The same server on a socket of this machine, where the kernel says who connects.

The socket stands at its path only once it listens, and takes the place of one that a dead daemon
left. Whoever has connected is known by uid, and by the name that the machine's own file of users
has for it: a site whose people come from elsewhere may use a number for somebody else.
"""

import errno
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from rpyc.core.service import VoidService
from rpyc.utils.server import Server

from tashi.adapters.rpyc.server import GRACE_SECONDS, EventedServer, log
from tashi.domain.proofs import KernelsWord
from tashi.ports.peers import Peer

_CREDENTIALS: Final = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid
_ACCOUNTS: Final = Path("/etc/passwd")
_NAME, _NUMBER = 0, 2


class LocalServer(EventedServer):
    """Serves everybody on this machine; its address is (path, 0)."""

    def _bind(self, host: str, port: int) -> None:
        del port
        self._path = Path(host)
        _check_is_free(self._path)
        # Nobody meets a socket that nobody listens on.
        self._waiting = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        self._waiting.unlink(missing_ok=True)
        Server.__init__(self, VoidService, socket_path=str(self._waiting), logger=log)
        self.listener.setblocking(False)
        # Everybody may connect: who it is, the kernel says, and what they may, the rules.
        self._waiting.chmod(0o666)
        self._made = self._waiting.stat()

    def _listen(self) -> None:
        if self.active:
            return
        super()._listen()
        self._waiting.replace(self._path)
        self.host, self.port = str(self._path), 0

    def _peer(self, sock: socket.socket, address: object) -> Peer:
        del address  # callers have none
        said = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(said)
        return Peer(f"uid {uid}", 0, KernelsWord(uid, account(uid)), encrypted=True)

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """End like any server, and leave no socket behind, unless it is another's by now."""
        super().stop(grace_seconds)
        for path in (self._waiting, self._path):
            with suppress(FileNotFoundError):
                if os.path.samestat(path.lstat(), self._made):
                    path.unlink()


def account(uid: int) -> str:
    """The name that this machine's own file of users has for a number; empty for none."""
    try:
        lines = _ACCOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    fields = (line.split(":") for line in lines)
    return next(
        (one[_NAME] for one in fields if len(one) > _NUMBER and one[_NUMBER] == str(uid)), ""
    )


def _check_is_free(path: Path) -> None:
    """Raise OSError where a socket would take something's place that is not just left behind."""
    if not path.exists():
        return
    if not path.is_socket():
        raise OSError(errno.EEXIST, "there is something else")
    with socket.socket(socket.AF_UNIX) as other:
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            return
    raise OSError(errno.EADDRINUSE, "another program listens there")
