"""What joins a bridge to the other hosts: the uplink itself, a VLAN on it, or a VXLAN beside it."""

from errno import EEXIST, EOPNOTSUPP
from ipaddress import ip_address
from typing import Any, Final

from tashi.adapters.network.links import Link, Links, Refused
from tashi.adapters.network.moving import take_over
from tashi.adapters.network.tap import LONGEST_NAME
from tashi.domain.errors import HypervisorFailed, Misconfigured
from tashi.domain.identity import NetworkId
from tashi.settings.sections.bridges import BridgesSettings

_VLAN: Final = "vlan"
_HIGHEST: Final = {"vlan": 4094, "vxlan": 2**24 - 1}
_INSIDE: Final = {"tun", "veth"}
"""Kinds of devices that lead to guests or containers of the host's."""

_OVERHEAD: Final = {4: 50, 6: 70}
"""Bytes that VXLAN puts before a packet, by the IP version that carries it (RFC 7348)."""


class Uplinks:
    """Makes bridges and joins them to the uplink; one at a time, says the caller."""

    def __init__(self, settings: BridgesSettings) -> None:
        """Raises Misconfigured."""
        self._settings = settings
        self._uplink = _checked(settings)

    def bridge(self, network: NetworkId, links: Links) -> tuple[Link, int]:
        """The bridge of a network, joined to the other hosts, and how long its packets may be.

        Raises HypervisorFailed or Refused.
        """
        settings = self._settings
        untagged = network == settings.untagged
        if not untagged and network > _HIGHEST[settings.uplink_kind]:
            raise HypervisorFailed(
                f"Network {network} cannot be told apart by {settings.uplink_kind}: its number is "
                f"above {_HIGHEST[settings.uplink_kind]}."
            )
        name = "vmbr" if untagged else f"vmbr.{network}"
        there = links.all()
        by_name = {link.name: link for link in there}
        bridge = by_name.get(name)
        if bridge is not None and bridge.kind != "bridge":
            raise HypervisorFailed(f"The network device {name} is there, but it is no bridge.")
        card = by_name.get(self._uplink)
        if card is None:
            raise HypervisorFailed(
                f"This host has no network card {self._uplink}: uplink in [Bridges] must name the "
                "one that leads to the other hosts."
            )
        port = None if bridge is None else self._foreign_way_out(bridge, there)
        if port is None:
            port = self._port(network, card, there, links)
        if bridge is None:
            bridge = self._made(name, port, links)
        if port.master is None or (bridge.is_ours and links.addresses(port)):
            take_over(port, bridge, links)
        elif port.master != bridge.index:
            other = next(link.name for link in there if link.index == port.master)
            raise HypervisorFailed(
                f"{port.name} is a port of {other} already, so {name} of network {network} cannot "
                "have it."
            )
        return bridge, min(settings.mtu, port.mtu)

    def finish(self, links: Links) -> None:
        """Let bridges of ours have the addresses that came back to their ports meanwhile."""
        there = links.all()
        for bridge in there:
            if bridge.kind == "bridge" and bridge.is_ours:
                port = self._foreign_way_out(bridge, there)
                if port is not None and links.addresses(port):
                    take_over(port, bridge, links)

    def _made(self, name: str, port: Link, links: Links) -> Link:
        """A new bridge that looks like the port which is to join it."""
        for_guests = port.name != self._uplink and not links.addresses(port)
        return _make(
            links,
            name,
            "bridge",
            for_guests=for_guests,
            br_forward_delay=0,
            address=port.mac,
            mtu=port.mtu,
        )

    def unused(self, links: Links) -> list[Link]:
        """What is ours and of no use to any guest, to the host itself, or to somebody unknown."""
        there = links.all()
        used = {
            link.index
            for link in there
            if link.kind == "bridge" and self._is_used(link, there, links)
        }
        return [
            link for link in there if link.is_ours and used.isdisjoint((link.index, link.master))
        ]

    def _is_used(self, bridge: Link, there: list[Link], links: Links) -> bool:
        ports = [link for link in there if link.master == bridge.index]
        users = [link for link in ports if link.kind not in _HIGHEST and link.name != self._uplink]
        return bool(users) or bool(links.addresses(bridge))

    def _foreign_way_out(self, bridge: Link, there: list[Link]) -> Link | None:
        """The port by which somebody else has joined a bridge to other hosts."""
        ports = [link for link in there if link.master == bridge.index]
        if any(port.is_ours for port in ports):
            return None
        ways = (one for one in ports if one.kind not in _INSIDE or one.name == self._uplink)
        return next(ways, None)

    def _port(self, network: NetworkId, card: Link, there: list[Link], links: Links) -> Link:
        if network == self._settings.untagged:
            return card
        if self._settings.uplink_kind == _VLAN:
            return self._vlan(network, card, there, links)
        return self._vxlan(network, card, there, links)

    def _vlan(self, network: NetworkId, card: Link, there: list[Link], links: Links) -> Link:
        for link in there:
            if (link.kind, link.under, link.number) == ("vlan", card.index, network):
                return link
        links.change(card, state="up")
        name = f"{card.name}.{network}"
        if len(name) > LONGEST_NAME:
            name = f"vlan.{network}"
        try:
            return _make(links, name, "vlan", link=card.index, vlan_id=network)
        except Refused as refused:
            if refused.code != EOPNOTSUPP:
                raise
            raise HypervisorFailed(
                f"This host's kernel has no 802.1Q, by which network {network} would be told apart "
                "on the uplink: load its module 8021q, or set uplinkKind = vxlan in [Bridges]."
            ) from refused

    def _vxlan(self, network: NetworkId, card: Link, there: list[Link], links: Links) -> Link:
        settings = self._settings
        name = f"vxlan.{network}"
        carrier = next((link for link in there if link.index == card.master), card)
        version = ip_address(settings.vxlan_group or settings.vxlan_peers[0]).version
        link = next((one for one in there if one.name == name), None)
        if link is None:
            link = _make(
                links,
                name,
                "vxlan",
                vxlan_id=network,
                vxlan_port=settings.vxlan_port,
                vxlan_learning=True,
                mtu=min(settings.mtu, carrier.mtu - _OVERHEAD[version]),
                **self._ends(carrier, version, links),
            )
        elif (link.kind, link.number) != ("vxlan", network):
            raise HypervisorFailed(f"The network device {name} is there, but is not that VXLAN.")
        if settings.vxlan_peers and link.is_ours:
            links.send_to_all(link, set(settings.vxlan_peers) - links.own_addresses())
        return link

    def _ends(self, carrier: Link, version: int, links: Links) -> dict[str, object]:
        """Where a VXLAN sends from, and to whom."""
        own = [ip_address(one) for one in links.addresses(carrier)]
        local = next((str(one) for one in own if one.version == version), None)
        if local is None:
            raise HypervisorFailed(
                f"{carrier.name} has no IPv{version} address, from which VXLAN would send."
            )
        six = "6" if version != 4 else ""  # noqa: PLR2004  IP's own number
        ends: dict[str, object] = {f"vxlan_local{six}": local}
        if self._settings.vxlan_group:
            ends |= {f"vxlan_group{six}": self._settings.vxlan_group, "vxlan_link": carrier.index}
        return ends


def _make(links: Links, name: str, kind: str, **properties: Any) -> Link:
    try:
        return links.make(name, kind, **properties)
    except Refused as refused:
        if refused.code != EEXIST:
            raise
        raise HypervisorFailed(
            f"{name} cannot be made: another network device has that name, or does the same."
        ) from refused


def _checked(settings: BridgesSettings) -> str:
    """The uplink; raises Misconfigured."""
    if settings.uplink is None:
        raise Misconfigured(
            "network = bridges in [NodeManager] needs uplink in [Bridges]: the network card that "
            "leads to the other hosts, such as eth0."
        )
    peers, group = settings.vxlan_peers, settings.vxlan_group
    if settings.uplink_kind == _VLAN:
        return settings.uplink
    if bool(peers) == bool(group):
        raise Misconfigured(
            "uplinkKind = vxlan in [Bridges] needs either vxlanPeers, the addresses of the hosts, "
            "or vxlanGroup, a multicast address."
        )
    if len({ip_address(one).version for one in peers}) > 1:
        raise Misconfigured("vxlanPeers in [Bridges] must be all IPv4 or all IPv6.")
    if group and not ip_address(group).is_multicast:
        raise Misconfigured(f"vxlanGroup in [Bridges] is {group}, which is no multicast address.")
    return settings.uplink
