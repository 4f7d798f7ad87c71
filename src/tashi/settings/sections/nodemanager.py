"""The node manager: the parts it is made of, and what it says of its machine."""

from pathlib import Path

from tashi.settings import kinds
from tashi.settings.declare import section, setting
from tashi.settings.sections.parts import (
    ACCOUNTING_ASKS,
    DFS,
    ERRORS_ARE_PLAIN,
    ONE_SERVICE,
    PUBLISHER,
)


@section("NodeManager", obsolete={"service": ONE_SERVICE})
class NodeManagerParts:
    """Which parts make up a node manager."""

    dfs: str = setting(
        "dfs",
        kinds.implementation(DFS),
        default=DFS,
        words="How the image store is reached: as a folder.",
    )
    vmm: str = setting(
        "vmm",
        kinds.implementation(
            "tashi.nodemanager.vmcontrol.Qemu",
            "tashi.nodemanager.vmcontrol.Libvirt",
            "tashi.nodemanager.vmcontrol.Simulated",
        ),
        default="tashi.nodemanager.vmcontrol.Qemu",
        words="""What runs the guests: QEMU, libvirt (for sites that run it already), or a
        simulation that runs none (for trials).""",
    )
    network: str = setting(
        "network",
        kinds.choice("script", "bridges", "user"),
        default="script",
        words="""How guests reach a network: script hands a TAP to /etc/qemu-ifup.<network>, bridges
        makes the bridges itself as [Bridges] says, user is QEMU's own network, which needs no
        root.""",
    )
    anti_spoofing: bool | None = setting(
        "antiSpoofing",
        kinds.flag,
        default=None,
        words="""Whether guests on TAPs may send only from their own MAC address, and from their
        own IP address once that is known, and not as DHCP servers; needs nftables. Not set: with
        bridges yes, with script no.""",
    )
    publisher: str | None = setting(
        "publisher", kinds.implementation(PUBLISHER), default=None, words="Where metrics are sent."
    )


@section(
    "NodeManagerService",
    obsolete={
        "convertExceptions": ERRORS_ARE_PLAIN,
        "accountingHost": ACCOUNTING_ASKS,
        "accountingPort": ACCOUNTING_ASKS,
    },
)
class NodeManagerSettings:
    """How a node manager reaches its cluster manager, and what it says of its machine."""

    host: str = setting(
        "host",
        kinds.hostname,
        default="127.0.0.1",
        words="""The address to listen on; anything but loopback needs authAndEncrypt or
        trustedNetworks in [Security].""",
    )
    port: int = setting("port", kinds.listening_port, default=9883, words="The port to listen on.")
    register_host: bool = setting(
        "registerHost",
        kinds.flag,
        default=False,
        words="Whether the host adds itself to the cluster when the books do not know it.",
    )
    register_frequency: float = setting(
        "registerFrequency",
        kinds.seconds,
        default=10.0,
        words="Seconds between two signs of life to the cluster manager.",
    )
    cluster_manager_hosts: tuple[kinds.Place, ...] = setting(
        "clusterManagerHost",
        kinds.places,
        default=(kinds.Place("127.0.0.1"),),
        words="""The machine that runs the cluster manager; where several share their books, all of
        them, with commas between. A port behind one, as in merkabah:9882, goes before
        clusterManagerPort.""",
    )
    cluster_manager_port: int = setting(
        "clusterManagerPort", kinds.port, default=9882, words="The port it listens on."
    )
    stats_interval: float = setting(
        "statsInterval",
        kinds.seconds_or_never,
        default=0.0,
        words="""Seconds between two looks at what guests use, which getInstances --show-stats
        then shows; at 0, statsInterval in [Qemu] counts instead.""",
    )
    host_name: str | None = setting(
        "hostName",
        kinds.hostname,
        default=None,
        words="The host's name; not set, the machine's own.",
    )
    memory: int | None = setting(
        "memory",
        kinds.mebibytes,
        default=None,
        words="MiB of memory for guests; not set, the machine's less reservedMem in [Qemu].",
    )
    cores: int | None = setting(
        "cores", kinds.cores, default=None, words="Cores for guests; not set, all that are online."
    )
    migration_address: str | None = setting(
        "migrationAddress",
        kinds.hostname,
        default=None,
        words="""The address of this machine that guests are sent from and to; not set, the one it
        listens on or, where it listens on all, the one it reaches the cluster manager from.""",
    )
    boot_id_file: Path | None = setting(
        "bootIdFile",
        kinds.path,
        default=None,
        words="""The file whose text changes with every boot; not set, the kernel's. For several
        hosts on one machine.""",
    )

    @property
    def cluster_managers(self) -> tuple[tuple[str, int], ...]:
        """Where each of the cluster managers is called."""
        return tuple(one.address(self.cluster_manager_port) for one in self.cluster_manager_hosts)
