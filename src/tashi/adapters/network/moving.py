"""A host's own addresses and routes, moved from a network card to the bridge that it joins.

All of it is one message to the kernel, which it takes to the end once it has it: whoever is killed
has moved everything or nothing, and connections that are open live on, because at every moment the
address is the host's. What the kernel refuses is found out afterwards.
"""

import socket
from logging import getLogger
from typing import Any, Final

from pyroute2 import IPBatch

from tashi.adapters.network.links import Link, Links
from tashi.domain.errors import HypervisorFailed

_log = getLogger(__name__)

_BY_THE_KERNEL: Final = 2  # RTPROT_KERNEL: a consequence of an address
_BY_A_ROUTER: Final = 9  # RTPROT_RA: told again to the bridge as soon as that asks
_LOCAL_TABLE: Final = 255
_KEPT: Final = ("priority", "prefsrc", "gateway", "via", "metrics")


def take_over(port: Link, bridge: Link, links: Links) -> None:
    """Make `port` a port of `bridge`, and its addresses the bridge's; raises HypervisorFailed."""
    addresses = links.addresses_of(port)
    routes = [
        route
        for route in links.routes_by(port)
        if route["proto"] not in {_BY_THE_KERNEL, _BY_A_ROUTER}
        and route.get("table") != _LOCAL_TABLE
    ]
    batch = IPBatch()
    try:
        batch.link("set", index=bridge.index, state="up")
        for address in addresses:
            batch.addr("replace", index=bridge.index, **_address(address), **_lifetime(address))
        batch.link("set", index=port.index, master=bridge.index, state="up")
        for route in routes:
            batch.route("replace", oif=bridge.index, **_route(route))
        for address in reversed(addresses):
            batch.addr("del", index=port.index, **_address(address))
        _send(bytes(batch.batch))
    finally:
        batch.close()
    moved = {one.get("address") for one in links.addresses_of(bridge)}
    wanted = {one.get("address") for one in addresses}
    if links.addresses_of(port) or not wanted <= moved:
        raise HypervisorFailed(
            f"The kernel did not let the addresses of {port.name} move to {bridge.name}."
        )
    if wanted:
        _log.warning("%s has the addresses of %s now.", bridge.name, port.name)


def _address(told: Any) -> dict[str, Any]:
    found = {"address": told.get("address"), "prefixlen": told["prefixlen"]}
    found |= {key: told.get(key) for key in ("local", "broadcast") if told.get(key)}
    return {**found, "family": told["family"], "scope": told["scope"]}


def _lifetime(told: Any) -> dict[str, Any]:
    lifetime = told.get("cacheinfo")
    nodad = {"flags": 2} if told["family"] == socket.AF_INET6 else {}  # IFA_F_NODAD: it was ours
    return {
        "preferred": lifetime["ifa_preferred"],
        "valid": lifetime["ifa_valid"],
        **nodad,
    }


def _route(told: Any) -> dict[str, Any]:
    found = {key: told[key] for key in ("family", "dst_len", "tos", "proto", "scope", "type")}
    found |= {key: told.get(key) for key in _KEPT if told.get(key)}
    return {**found, "dst": told.get("dst") or "", "table": told.get("table")}


def _send(messages: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.bind((0, 0))
        kernel.send(messages)
