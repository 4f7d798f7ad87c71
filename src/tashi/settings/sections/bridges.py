"""Networks that the node manager makes itself: which card leads to the other hosts, and how.

Network <N> is the bridge vmbr.<N>, joined to the VLAN or VXLAN of that number on the uplink. What
is there already is used as it is; what the node manager made, it removes after the last guest.
"""

from tashi.settings import kinds
from tashi.settings.declare import section, setting


@section("Bridges")
class BridgesSettings:
    """The networks that a host makes itself, where network is bridges in [NodeManager]."""

    uplink: str | None = setting(
        "uplink",
        kinds.device,
        default=None,
        words="The network card that leads to the other hosts, such as eth0. Must be set.",
    )
    uplink_kind: str = setting(
        "uplinkKind",
        kinds.choice("vlan", "vxlan"),
        default="vlan",
        words="""How networks are told apart on the uplink: by 802.1Q tags (vlan), which its switch
        must let through, or in UDP packets between the hosts (vxlan).""",
    )
    networks: tuple[int, ...] = setting(
        "networks",
        kinds.several(kinds.count),
        default=(),
        words="The networks that guests may have on this host; not set, any.",
    )
    untagged: int | None = setting(
        "untagged",
        kinds.count,
        default=None,
        words="""The network whose packets travel on the uplink as they are. Its bridge is vmbr,
        which the uplink joins; addresses of the uplink move to it.""",
    )
    mtu: int = setting(
        "mtu",
        kinds.mtu,
        default=1500,
        words="""The longest packet in the guests' networks, in bytes; where the uplink does not
        let as much through, the guests are told less.""",
    )
    vxlan_peers: tuple[str, ...] = setting(
        "vxlanPeers",
        kinds.several(kinds.address),
        default=(),
        words="""The addresses of the hosts that share the networks, for vxlan; this host's own may
        be among them.""",
    )
    vxlan_group: str | None = setting(
        "vxlanGroup",
        kinds.address,
        default=None,
        words="The multicast address by which vxlan finds the other hosts, instead of vxlanPeers.",
    )
    vxlan_port: int = setting(
        "vxlanPort",
        kinds.port,
        default=4789,
        words="The UDP port of vxlan, on every host the same.",
    )
