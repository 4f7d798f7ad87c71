"""The network devices of this machine, read and changed through netlink.

What Tashi makes is marked in its alias, and bears that mark from the moment it has its name: it is
made under another name, then marked and renamed in one message, so whoever is killed in between
leaves a device that the next one knows and removes. Nothing without a mark is ever removed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import ENODEV, EPERM
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

from tashi.domain.errors import HypervisorFailed

MARK: Final = "made by tashi"
"""The alias of a device that is ours."""

_TRIES: Final = 50
_MAKING: Final = "tashi-making"
_NO_HOST_IN_IT: Final = {
    "attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]})]  # none, says if_link.h
}
_ANYBODY: Final = "00:00:00:00:00:00"
_LINK_SCOPE: Final = 253
_TAGS: Final = {"vlan": "IFLA_VLAN_ID", "vxlan": "IFLA_VXLAN_ID"}


@dataclass(frozen=True, slots=True)
class Link:
    """A network device. `number` is a VLAN's or VXLAN's, `under` and `master` are indices."""

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    under: int | None
    master: int | None
    number: int | None
    is_ours: bool


Steps = Callable[[str], None]
"""Is told each step, for tests that end the program there."""


class Refused(Exception):
    """The kernel refused a change; `code` is its errno."""

    def __init__(self, code: int) -> None:
        super().__init__(os.strerror(code))
        self.code = code


class Links:
    """The kernel's devices, in the network namespace of the thread that opened this."""

    def __init__(self, kernel: IPRoute, on_step: Steps = lambda _: None) -> None:
        self.kernel = kernel
        self.on_step = on_step

    def all(self) -> list[Link]:
        """Every device there is now."""
        return [_read(one) for one in self._listed(self.kernel.link)]

    def find(self, name: str) -> Link | None:
        """The device of that name."""
        try:
            return _read(next(iter(self.kernel.link("get", ifname=name))))
        except NetlinkError:
            return None

    def make(self, name: str, kind: str, *, for_guests: bool = True, **properties: Any) -> Link:
        """A new device that is ours; `for_guests` alone, the host has no address in it.

        Raises Refused.
        """
        if (half_made := self.find(_MAKING)) is not None:
            self.remove(half_made)
        with _refusals():
            self.kernel.link("add", ifname=_MAKING, kind=kind, **properties)
        made = self.find(_MAKING)
        assert made is not None
        self.on_step("making")
        try:
            if for_guests:
                self.change(made, IFLA_AF_SPEC=_NO_HOST_IN_IT)
            self.change(made, ifname=name, IFLA_IFALIAS=MARK)
            self.change(made, state="up")
        except Refused:
            self.remove(made)
            raise
        made = self.find(name)
        assert made is not None
        self.on_step(f"made {name}")
        return made

    def change(self, link: Link, **properties: Any) -> None:
        """Change a device; raises Refused."""
        with _refusals():
            self.kernel.link("set", index=link.index, **properties)

    def plug(self, tap: str, bridge: Link, mac: str, mtu: int) -> None:
        """Join a TAP to a bridge, with that address and longest packet; raises Refused."""
        link = self.find(tap)
        if link is None:
            raise HypervisorFailed(f"The TAP {tap} went away while it was joined to its network.")
        self.change(link, IFLA_AF_SPEC=_NO_HOST_IN_IT)
        self.change(link, address=mac, mtu=mtu, master=bridge.index, state="up")

    def remove(self, link: Link) -> None:
        """Remove a device; harmless when it is gone. Raises Refused."""
        try:
            self.kernel.link("del", index=link.index)
        except NetlinkError as error:
            if error.code != ENODEV:
                raise Refused(error.code) from error

    def addresses_of(self, link: Link) -> list[Any]:
        """What the kernel tells of its addresses that reach further than its cable."""
        told = self._listed(self.kernel.addr, index=link.index)
        return [one for one in told if one["scope"] < _LINK_SCOPE]

    def routes_by(self, link: Link) -> list[Any]:
        """What the kernel tells of the routes that lead to it."""
        return [one for one in self._listed(self.kernel.route) if one.get("oif") == link.index]

    def addresses(self, link: Link) -> list[str]:
        """Its addresses, but those that reach no further than its cable."""
        return [one.get("local") or one.get("address") for one in self.addresses_of(link)]

    def own_addresses(self) -> set[str]:
        """Every address of this machine."""
        told = self._listed(self.kernel.addr)
        return {one.get("local") or one.get("address") for one in told}

    def send_to_all(self, vxlan: Link, peers: set[str]) -> None:
        """Let a VXLAN send what is for everybody to exactly these hosts; raises Refused."""
        now = {
            entry.get("dst")
            for entry in self._listed(self.kernel.fdb, ifindex=vxlan.index)
            if entry.get("lladdr") == _ANYBODY
        }
        with _refusals():
            for peer in sorted(peers - now):
                self.kernel.fdb("append", ifindex=vxlan.index, lladdr=_ANYBODY, dst=peer)
            for peer in sorted(now - peers - {None}):
                self.kernel.fdb("del", ifindex=vxlan.index, lladdr=_ANYBODY, dst=peer)

    def _listed(self, ask: Callable[..., Any], **what: Any) -> list[Any]:
        """All that there is of a kind, at one moment: what changed meanwhile is asked again."""
        for _ in range(_TRIES):
            with suppress(NetlinkDumpInterrupted):
                return list(ask("dump", **what))
        return list(ask("dump", **what))


@contextmanager
def opened_links(on_step: Steps = lambda _: None) -> Iterator[Links]:
    """The devices of this thread's network namespace; raises HypervisorFailed."""
    try:
        with IPRoute() as kernel:
            yield Links(kernel, on_step)
    except (NetlinkError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise HypervisorFailed(
            f"The kernel does not tell of its network devices: {why}."
        ) from error
    except Refused as refused:
        remedy = " The node manager must be root." if refused.code == EPERM else ""
        raise HypervisorFailed(
            f"The kernel did not let a network device be changed: {refused}.{remedy}"
        ) from refused


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise Refused(error.code) from error


def _read(message: Any) -> Link:
    about = message.get("linkinfo")
    kind = (about.get("kind") if about else None) or ""
    details = about.get("data") if about and kind in _TAGS else None
    return Link(
        index=message["index"],
        name=message.get("ifname"),
        kind=kind,
        mac=message.get("address") or "",
        mtu=message.get("mtu") or 0,
        under=message.get("link"),
        master=message.get("master"),
        number=details.get_attr(_TAGS[kind]) if details else None,
        is_ours=message.get("ifalias") == MARK or message.get("ifname") == _MAKING,
    )
