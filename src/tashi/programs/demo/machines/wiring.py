"""The network devices of pretended machines: a switch, a cable to each, and the guests' VLANs.

On the switch's machine the bridge `switch` joins all cables, and one more that leads out to the
machine that all is pretended on. A host's end of its cable is `eth0`. Guests' VLANs cross the
cables as VXLAN, which kernels have that lack 802.1Q; unknown receivers are reached by multicast.

Here are only the words for `ip -batch`; `lab` has them carried out.
"""

from collections.abc import Iterable
from typing import Final

VLANS: Final = {999: "172.16.99", 1001: "172.16.101"}
"""The set-up guide's two, each with the beginning of its guests' addresses."""

VXLAN_PORT: Final = 4789
_PLAIN_MTU: Final = 1500
_CABLE_MTU: Final = 1550
"""Room for a guest's whole packet with VXLAN's headers around it."""

GROUP: Final = "239.18.0.1"
"""Where all machines hear what is for everybody on a VLAN."""


def switch(address: str) -> list[str]:
    """The switch itself, on which its machine has an address."""
    return [
        # Snooping would need somebody who asks for members.
        "link add name switch type bridge mcast_snooping 0",
        f"link set switch mtu {_CABLE_MTU} up",
        f"addr add {address}/24 dev switch",
    ]


def port(name: str) -> list[str]:
    """The switch's end of a cable that is plugged in."""
    return [f"link set {name} mtu {_CABLE_MTU} master switch up"]


def cable(port_name: str, switch_namespace: str, device: str, namespace: str = "") -> list[str]:
    """A cable from the switch to another namespace, or to where this is carried out."""
    near = f"name {device} mtu {_CABLE_MTU}{f' netns {namespace}' if namespace else ''}"
    return [f"link add {near} type veth peer name {port_name} netns {switch_namespace}"]


def end_of_cable(device: str, address: str) -> list[str]:
    """A machine's own end, with its address."""
    return [f"addr add {address}/24 dev {device}", f"link set {device} up"]


def vlans(uplink: str, addresses: Iterable[str] = ()) -> list[str]:
    """What the set-up guide makes by hand for its VLANs, on top of an uplink.

    With `addresses`, one for each VLAN, the machine itself is on them.
    """
    own = dict(zip(VLANS, addresses, strict=False))
    words = []
    for vlan in VLANS:
        carried = f"id {vlan} dev {uplink} group {GROUP} dstport {VXLAN_PORT}"
        words += [
            f"link add name vmbr.{vlan} type bridge mcast_snooping 0",
            f"link set vmbr.{vlan} mtu {_PLAIN_MTU} up",
            f"link add name vxlan.{vlan} mtu {_PLAIN_MTU} type vxlan {carried}",
            f"link set vxlan.{vlan} master vmbr.{vlan} up",
        ]
        if vlan in own:
            words.append(f"addr add {own[vlan]}/24 dev vmbr.{vlan}")
    return words


def ifup(vlan: int) -> str:
    """The guide's script, which joins a guest's TAP to a VLAN's bridge."""
    return f'#!/bin/sh\nset -e\nip link set "$1" up\nip link set "$1" master vmbr.{vlan}\n'
