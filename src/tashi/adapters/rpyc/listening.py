"""Opening the door: where a service listens, whom it lets in, and what to mend when it cannot.

Secure by default: off loopback a service only listens for networks that its
settings name as trusted.
"""

import errno
import logging
import socket
from collections.abc import Sequence
from typing import Final

from tashi.adapters.rpyc import gate
from tashi.adapters.rpyc.limits import Limits
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
) -> EventedServer:
    """Bind the address (host name, port) of a service; it answers once `serve` is called.

    Raises Misconfigured, naming the setting of `[section]` to mend, when the address cannot be
    had, or when it can be reached from elsewhere and no network is trusted.
    """
    limits = limits or Limits()
    trusted = gate.networks(trusted_networks)
    found = _found(address, section)
    exposed = not gate.is_loopback(found[0])
    if exposed and not trusted:
        raise Misconfigured(
            f"{_written(found)} can be reached from other machines, and nothing says whom to "
            "trust: name the cluster's networks in trustedNetworks in [Security]."
        )
    server = _bound(
        handler, found, section, gate.Gate(trusted, limits.connections_per_host), limits
    )
    if exposed:
        here, them = _written(server.address), ", ".join(map(str, trusted))
        log.warning("Listening on %s without encryption; everybody in %s is trusted.", here, them)
    return server


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
    handler: Handler, found: tuple[str, int], section: str, door: gate.Gate, limits: Limits
) -> EventedServer:
    try:
        return EventedServer(handler, found, door, limits)
    except OSError as wrong:
        remedy = REMEDIES.get(wrong.errno or 0, "{trouble}: check host and port in [{section}]")
        why = remedy.format(section=section, trouble=wrong.strerror)
        raise Misconfigured(f"Cannot listen on {_written(found)}: {why}.") from wrong


def _written(found: tuple[str, int]) -> str:
    host, port = found
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
