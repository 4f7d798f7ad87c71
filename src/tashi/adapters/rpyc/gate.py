"""Who may connect: addresses, networks and numbers. Opens nothing and closes nothing.

Without proof of identity an address is all there is to go by, so a server that listens off
loopback must be told which networks to trust, and a peer from elsewhere is turned away before a
byte of it is read.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from tashi.domain.errors import Misconfigured

Network: TypeAlias = IPv4Network | IPv6Network

LOG_EVERY_SECONDS: Final = 60.0
MOST_REMEMBERED: Final = 1024

log = logging.getLogger("tashi.rpyc")


def networks(written: Sequence[str]) -> tuple[Network, ...]:
    """Read the networks of `[Security] trustedNetworks`; Misconfigured names the wrong one."""
    read = []
    for text in written:
        try:
            read.append(ip_network(text))
        except ValueError as wrong:
            raise Misconfigured(
                f"trustedNetworks in [Security] must name networks such as 10.1.0.0/16: {wrong}."
            ) from wrong
    return tuple(read)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach, or be, that address."""
    return _address(host).is_loopback


class Gate:
    """Decides about every new connection and counts those inside, by host."""

    def __init__(self, trusted: Sequence[Network], most_per_host: int) -> None:
        self._trusted = tuple(trusted)
        self._most_per_host = most_per_host
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    def trusts(self, host: str) -> bool:
        """Whether a peer at that address may talk to us at all."""
        address = _address(host)
        return address.is_loopback or any(address in network for network in self._trusted)

    def is_full_for(self, host: str) -> bool:
        """Whether that host has all the connections it may have."""
        return self._inside[host] >= self._most_per_host

    def enter(self, host: str) -> None:
        """Count one more connection from that host."""
        with self._lock:
            self._inside[host] += 1

    def leave(self, host: str) -> None:
        """Count one connection less."""
        with self._lock:
            self._inside[host] -= 1
            if not self._inside[host]:
                del self._inside[host]


class Complaints:
    """Log lines about what is outside, one a minute for each subject, however many it earns."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, to: logging.Logger = log
    ) -> None:
        self._clock = clock
        self._log = to
        self._said: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()
        self._lock = threading.Lock()

    def closed(self, host: str, why: str) -> None:
        """Say that a connection of that host was closed."""
        self.say(host, f"Closed a connection of {host}: {why}")

    def say(self, subject: str, words: str) -> None:
        """Log the words, or count them if the subject had its line already."""
        with self._lock:
            more = self._more(subject)
        if more is not None:
            self._log.warning(
                "%s%s.", words, f" ({more} more since the last such line)" if more else ""
            )

    def _more(self, subject: str) -> int | None:
        """How many lines went unsaid before this one; None if this one goes unsaid too."""
        now = self._clock()
        if subject in self._said and now - self._said[subject] < LOG_EVERY_SECONDS:
            self._unsaid[subject] += 1
            return None
        if len(self._said) >= MOST_REMEMBERED:
            self._said.clear()
            self._unsaid.clear()
        self._said[subject] = now
        return self._unsaid.pop(subject, 0)


def _address(host: str) -> IPv4Address | IPv6Address:
    """An IPv4 peer of an IPv6 socket is the IPv4 peer that it is."""
    address = ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address
