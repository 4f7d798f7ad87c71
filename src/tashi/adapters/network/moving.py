"""A host's own addresses and routes, moved from a network card to the bridge that it joins.

All of it is one message to the kernel, which it takes to its end once it has it: first the bridge
has the addresses as well, then the card joins it, then routes and addresses leave the card. So
whoever is killed has moved everything or nothing, at every moment each address is the host's, and
connections live on. Where the card turns out unable to join, another message puts all back.
"""

import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from logging import getLogger
from typing import Any, Final

from pyroute2 import IPBatch

from tashi.adapters.network.links import Link, Links
from tashi.domain.errors import HypervisorFailed

_log = getLogger(__name__)

_BY_THE_KERNEL: Final = 2  # RTPROT_KERNEL: a consequence of an address
_TICKS_IN_A_SECOND: Final = 100  # USER_HZ, in which the kernel says when a route ends
_LOCAL_TABLE: Final = 255
_KEPT: Final = ("priority", "prefsrc", "gateway", "via", "metrics")


def take_over(port: Link, bridge: Link, links: Links) -> None:
    """Make `port` a port of `bridge`, and its addresses the bridge's; raises HypervisorFailed."""
    addresses = links.addresses_of(port)
    routes = [
        route
        for route in links.routes_by(port)
        if route["proto"] != _BY_THE_KERNEL and route.get("table") != _LOCAL_TABLE
    ]
    with _at_once() as batch:
        batch.link("set", index=bridge.index, state="up")
        _add(batch, addresses, bridge)
        batch.link("set", index=port.index, master=bridge.index, state="up")
        _move(batch, routes, addresses, (port, bridge))
    links.on_step("moved")
    joined = links.find(port.name)
    if joined is None or joined.master != bridge.index:
        with _at_once() as batch:
            _add(batch, addresses, port)
            _move(batch, routes, addresses, (bridge, port))
        raise HypervisorFailed(f"{port.name} cannot become a port of {bridge.name}.")
    moved = {one.get("address") for one in links.addresses_of(bridge)}
    wanted = {one.get("address") for one in addresses}
    if links.addresses_of(port) or not wanted <= moved:
        raise HypervisorFailed(
            f"The kernel did not let the addresses of {port.name} move to {bridge.name}."
        )
    if wanted:
        _log.warning("%s has the addresses of %s now.", bridge.name, port.name)


def _add(batch: IPBatch, addresses: Iterable[Any], to: Link) -> None:
    for address in addresses:
        batch.addr("replace", index=to.index, **_address(address), **_lifetime(address))


def _move(
    batch: IPBatch, routes: Iterable[Any], addresses: Sequence[Any], way: tuple[Link, Link]
) -> None:
    source, target = way
    for route in routes:
        batch.route("replace", oif=target.index, **_route(route))
    for address in reversed(addresses):
        batch.addr("del", index=source.index, **_address(address))


@contextmanager
def _at_once() -> Iterator[IPBatch]:
    """Collects requests, and sends all of them as one message."""
    batch = IPBatch()
    try:
        yield batch
        if requests := bytes(batch.batch):
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
                kernel.bind((0, 0))
                kernel.send(requests)
    finally:
        batch.close()


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
    lifetime = told.get("cacheinfo")
    if lifetime and lifetime["rta_expires"] > 0:  # told by a router, which tells the bridge next
        seconds = lifetime["rta_expires"] // _TICKS_IN_A_SECOND
        found["expires"] = seconds.to_bytes(4, sys.byteorder)
    return {**found, "dst": told.get("dst") or "", "table": told.get("table")}
