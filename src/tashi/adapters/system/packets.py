"""What a frame on a guest's device says of the guest's address. Bytes in, an address out.

Frames come from guests, who may send whatever they like; nothing but an address comes of any.
"""

from dataclasses import dataclass
from typing import Final

from dpkt import UnpackError, arp, dhcp, ethernet, icmp6, ip, ip6, udp

from tashi.domain.addresses import readable

_NEIGHBOUR_ADVERTISEMENT: Final = 136
_TARGET: Final = slice(8, 24)
_DHCP_SERVER: Final = 67
_REPLY: Final = 2
_MAC_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class Address:
    """An address, and whether a server gave it rather than that the guest announces it."""

    ip: str
    given: bool


def address_in(frame: bytes, mac: bytes, *, to_guest: bool) -> Address | None:
    """The address that the guest with that MAC has, by a frame that came from it or goes to it."""
    try:
        text = _given(frame, mac) if to_guest else _announced(frame, mac)
    except (UnpackError, ValueError, LookupError, TypeError, AttributeError):
        return None  # it is not what it claims to be; dpkt notices in all these ways
    return None if text is None else Address(text, given=to_guest)


def _announced(frame: bytes, mac: bytes) -> str | None:
    """The address that the guest announces as its own: by ARP, or as an IPv6 neighbour."""
    outer = ethernet.Ethernet(frame)
    if outer.src != mac:
        return None
    inner = outer.data
    if isinstance(inner, arp.ARP):
        return readable(bytes(inner.spa)) if inner.sha == mac else None
    if isinstance(inner, ip6.IP6) and isinstance(inner.data, icmp6.ICMP6):
        is_advertisement = inner.data.type == _NEIGHBOUR_ADVERTISEMENT
        return readable(bytes(inner.data)[_TARGET]) if is_advertisement else None
    return None


def _given(frame: bytes, mac: bytes) -> str | None:
    """The address that a DHCP server lets the guest have."""
    inner = ethernet.Ethernet(frame).data
    if not isinstance(inner, ip.IP) or not isinstance(inner.data, udp.UDP):
        return None
    if inner.data.sport != _DHCP_SERVER:
        return None
    said = dhcp.DHCP(inner.data.data)
    if said.op != _REPLY or bytes(said.chaddr)[:_MAC_BYTES] != mac:
        return None
    kinds = [value for option, value in said.opts if option == dhcp.DHCP_OPT_MSGTYPE]
    is_final = kinds == [bytes([dhcp.DHCPACK])]
    return readable(said.yiaddr.to_bytes(4, "big")) if is_final else None
