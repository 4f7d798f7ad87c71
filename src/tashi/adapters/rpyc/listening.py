"""Opening the door: where a service listens, whom it lets in, and what to mend when it cannot.

Secure by default: off loopback a service only listens with certificates, or for networks that its
settings name as trusted.
"""

import errno
import logging
import os
import socket
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tashi.adapters.rpyc import gate
from tashi.adapters.rpyc.limits import Limits
from tashi.adapters.rpyc.local import LocalServer
from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.server import EventedServer
from tashi.domain.errors import Misconfigured
from tashi.ports.peers import Handler

LAST_PORT: Final = 65535
REMEDIES: Final = {
    errno.EADDRINUSE: "another program uses that port: stop it, or set another port in [{section}]",
    errno.EACCES: "ports below 1024 are for root: set a higher port in [{section}]",
    errno.EADDRNOTAVAIL: "this machine has no such address: set another host in [{section}]",
}

log = logging.getLogger("tashi.rpyc")


def listen(
    handler: Handler,
    address: tuple[str, int],
    *,
    section: str,
    trusted_networks: Sequence[str] = (),
    limits: Limits | None = None,
    papers: Papers | None = None,
) -> EventedServer:
    """Bind the address (host name, port) of a service; it answers once `serve` is called.

    Raises Misconfigured, naming the setting of `[section]` to mend, when the address cannot be
    had, or when it can be reached from elsewhere and no network is trusted. With `papers` no
    network is: whoever comes proves who they are, or proves nothing.
    """
    limits = limits or Limits()
    trusted = gate.networks(trusted_networks)
    found = _found(address, section)
    exposed = papers is None and not gate.is_loopback(found[0])
    if exposed and not trusted:
        raise Misconfigured(
            f"{_written(found)} can be reached from other machines, and nothing says whom to "
            "trust: set authAndEncrypt = True, or name the cluster's networks in trustedNetworks "
            "in [Security]."
        )
    server = _bound(
        found,
        section,
        lambda: EventedServer(
            handler,
            found,
            gate.Gate(trusted, limits.connections_per_host),
            limits,
            papers,
        ),
    )
    if exposed:
        here, them = _written(server.address), ", ".join(map(str, trusted))
        log.warning("Listening on %s without encryption; everybody in %s is trusted.", here, them)
    return server


def listen_locally(handler: Handler, path: Path, limits: Limits | None = None) -> LocalServer:
    """Make a socket of this machine at that path; it answers once `serve` is called.

    Everybody on the machine may connect: the kernel says who does. Raises Misconfigured, naming
    the setting to mend, when the path cannot be had, or others could put a socket of theirs there.
    """
    limits = limits or Limits()
    try:
        _check_folder(path.parent)
        return LocalServer(
            handler, (str(path), 0), gate.Gate((), limits.connections_per_host), limits
        )
    except OSError as wrong:
        raise Misconfigured(
            f"Cannot listen on {path}: {wrong.strerror or wrong}; set another localSocket in "
            "[Security]."
        ) from wrong


def _check_folder(folder: Path) -> None:
    """Make the folder of a socket, if only it is missing, and see that it is ours or root's."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o755)
    found = folder.stat()
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Misconfigured(
            f"Others may write in {folder}, and could put a socket of theirs in the place of ours: "
            "set localSocket in [Security] to a path in a folder that only root, or the user who "
            "runs the cluster manager, may write in."
        )


def _found(address: tuple[str, int], section: str) -> tuple[str, int]:
    host, port = address
    if not 0 <= port <= LAST_PORT:
        raise Misconfigured(
            f"Cannot listen on port {port}: set one from 0 to {LAST_PORT} in [{section}]."
        )
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as wrong:
        raise Misconfigured(
            f'Cannot listen on "{host}": nothing knows that name; set another host in [{section}].'
        ) from wrong
    known.sort(key=lambda one: one[0] is not socket.AF_INET)
    return str(known[0][4][0]), port


def _bound(
    found: tuple[str, int], section: str, made: Callable[[], EventedServer]
) -> EventedServer:
    try:
        return made()
    except OSError as wrong:
        remedy = REMEDIES.get(wrong.errno or 0, "{trouble}: check host and port in [{section}]")
        why = remedy.format(section=section, trouble=wrong.strerror)
        raise Misconfigured(f"Cannot listen on {_written(found)}: {why}.") from wrong


def _written(found: tuple[str, int]) -> str:
    host, port = found
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
