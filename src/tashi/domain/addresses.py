"""Addresses of guests' network cards: which are worth keeping, and which goes before which. Pure.

An address is *given* when somebody says so who should know, as a DHCP server does. It is
*announced* when the guest itself uses it on its network, or its agent names it: any guest may do so
with any address. So that fills a gap, but does not go before what is known until that has not been
seen for a while. A card has one address here: an IPv4 address goes before an IPv6 one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_address
from typing import Final

from tashi.domain.instance import Nic

STALE_SECONDS: Final = 300.0
"""An address that was not seen for so long no longer goes before another that is announced."""


@dataclass(frozen=True, slots=True)
class Known:
    """The address of a card, and when it was last seen (or first known), on a clock of seconds."""

    ip: str
    seen_at: float


def readable(text: str | bytes) -> str | None:
    """The address in its usual form; ``None`` unless others can reach a guest by it."""
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    unfit = ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local
    return None if unfit or ip == _BROADCAST else str(ip)


def goes_before(known: Known | None, ip: str, *, given: bool, now: float) -> bool:
    """Whether an address that was seen takes the place of what is known of the card."""
    if known is None:
        return True
    if known.ip == ip:
        return False
    older, newer = ip_address(known.ip), ip_address(ip)
    if older.version != newer.version:
        return isinstance(newer, IPv4Address)
    return given or now - known.seen_at >= STALE_SECONDS


def with_gaps_filled(nics: Sequence[Nic], others: Iterable[Nic]) -> tuple[Nic, ...]:
    """The cards, those without an address with the one that `others` know of them."""
    known = {nic.mac: nic.ip for nic in others}
    return tuple(replace(nic, ip=known.get(nic.mac)) if nic.ip is None else nic for nic in nics)


_BROADCAST: Final = IPv4Address("255.255.255.255")
