"""What a site's servers have, read without any of Tashi: zones as transferred, dhcpd's own file."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import dns.name
import dns.node
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.xfr
import dns.zone

from site_servers import Named, reverse_zone
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry
from tashi.wire.forms import InstanceForm

_HOST: Final = re.compile(r"^host (\S+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_MAC: Final = re.compile(r"hardware ethernet ([0-9a-f:]{17});")
_MARKED: Final = re.compile(r"mac=([0-9a-f:]{17})")
_ADDRESS: Final = re.compile(r"fixed-address ([0-9.]+);")


Row = tuple[str, ...]
"""A name, an address and a card, or an address and a name."""


def entries_of(one: InstanceForm) -> list[SiteEntry]:
    """What is booked for an instance, card by card."""
    return [
        SiteEntry(InstanceId(one.id), listing.name, listing.ip, listing.mac)
        for listing in one.listings
    ]


def in_dns(named: Named) -> set[Row]:
    """Each name with its addresses and the card in its mark."""
    return {
        (name, *_texts(node, "A"), *_MARKED.findall(" ".join(_texts(node, "TXT"))))
        for name, node in _zone(named, named.domain)
        if name not in {"@", "ns"}
    }


def in_reverse(named: Named) -> set[Row]:
    """Each address with the names that it leads to."""
    return {
        (f"{network}.{'.'.join(reversed(name.split('.')))}", *_texts(node, "PTR"))
        for network in named.networks
        for name, node in _zone(named, reverse_zone(network))
        if name != "@"
    }


def asked(named: Named, entries: Sequence[SiteEntry]) -> list[tuple[list[str], list[str]]]:
    """The addresses of each name, and the names of each address, as `dig` shows them."""
    return [
        (named.ask(f"{one.name}.{named.domain}", "A"), named.name_of(one.ip)) for one in entries
    ]


def in_dhcpd(leases: Path) -> set[Row]:
    """The hosts in dhcpd's file: what comes later goes before what came earlier."""
    found: dict[str, Row] = {}
    for name, words in _HOST.findall(leases.read_text()):
        found.pop(name, None)
        if "deleted;" not in words:
            found[name] = (name, *_ADDRESS.findall(words), *_MAC.findall(words))
    return set(found.values())


def unlike(where: str, found: set[Row], booked: set[Row]) -> list[str]:
    """How what was found differs from what is booked, a sentence each."""
    return [
        *(f"{where} has {one}, which is not booked." for one in found - booked),
        *(f"{where} lacks {one}." for one in booked - found),
    ]


def _zone(named: Named, zone: str) -> Iterator[tuple[str, dns.node.Node]]:
    found = dns.zone.Zone(zone)
    query, _ = dns.xfr.make_query(found, keyring=named.key.for_signing())
    dns.query.inbound_xfr(named.address, found, query, port=named.port)
    return ((str(name), node) for name, node in found.nodes.items())


def _texts(node: dns.node.Node, kind: str) -> list[str]:
    found = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.from_text(kind))
    return [one.to_text(origin=dns.name.root, relativize=False) for one in found or ()]
