"""Ports of loopback for servers that a test starts a little later.

They lie below the range from which a kernel takes the ports of outgoing connections (see ip(7),
ip_local_port_range), so that no client can sit on one before its server listens; and no port is
given twice by one process.
"""

import itertools
import os
import socket

_FIRST, _LAST = 10000, 32000
_numbers = itertools.cycle(range(_FIRST, _LAST))
for _ in range(os.getpid() * 97 % (_LAST - _FIRST)):
    next(_numbers)  # so that two runs at once hardly meet


def free_port() -> int:
    """A port that nobody listens on now, and that was not given before."""
    return next(filter(_is_free, _numbers))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
