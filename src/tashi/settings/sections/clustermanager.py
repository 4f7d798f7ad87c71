"""The cluster manager: the parts it is made of, and how it watches hosts and limits instances."""

from tashi.settings import kinds
from tashi.settings.declare import section, setting
from tashi.settings.sections.parts import (
    ACCOUNTING_ASKS,
    DATABASE,
    DFS,
    ERRORS_ARE_PLAIN,
    FLAT_FILE,
    ONE_SERVICE,
    PUBLISHER,
)


@section("ClusterManager", obsolete={"service": ONE_SERVICE})
class ClusterManagerParts:
    """Which parts make up the cluster manager."""

    data: str = setting(
        "data",
        kinds.implementation(
            FLAT_FILE,
            DATABASE,
            "tashi.clustermanager.data.FromConfig",
            "tashi.clustermanager.data.GetentOverride",
            "tashi.clustermanager.data.LdapOverride",
        ),
        default="tashi.clustermanager.data.GetentOverride",
        words="""Where the books are kept. Pickled is the flat file (a journal; the name is
        history), SQL a database. GetentOverride and LdapOverride take users from the system or
        from LDAP and keep the rest in their baseData; FromConfig takes hosts, networks and users
        from [FromConfig] and keeps the rest in the flat file.""",
    )
    dfs: str = setting(
        "dfs",
        kinds.implementation(DFS),
        default=DFS,
        words="How the image store is reached: as a folder.",
    )
    publisher: str | None = setting(
        "publisher", kinds.implementation(PUBLISHER), default=None, words="Where metrics are sent."
    )
    node_manager_port: int = setting(
        "nodeManagerPort", kinds.port, default=9883, words="The port that node managers listen on."
    )


@section(
    "ClusterManagerService",
    obsolete={
        "convertExceptions": ERRORS_ARE_PLAIN,
        "accountingHost": ACCOUNTING_ASKS,
        "accountingPort": ACCOUNTING_ASKS,
    },
)
class ClusterManagerSettings:
    """How the cluster manager watches hosts and limits instances."""

    host: str = setting(
        "host",
        kinds.hostname,
        default="127.0.0.1",
        words="""The address to listen on; anything but loopback needs authAndEncrypt or
        trustedNetworks in [Security].""",
    )
    port: int = setting("port", kinds.listening_port, default=9882, words="The port to listen on.")
    take_over_after: float = setting(
        "takeOverAfter",
        kinds.seconds,
        default=6.5,
        words="""Where the books are in a database on a server: seconds without a commit of the
        leading cluster manager after which one that stands by takes over; at least 4, and the same
        for all of them. The leader itself answers nobody any more 1.5 s sooner.""",
    )
    expire_host_time: float = setting(
        "expireHostTime",
        kinds.seconds,
        default=30.0,
        words="""Seconds of silence after which a host is asked whether it lives, and counted as
        down if it does not answer; its instances are then orphaned.""",
    )
    allow_decayed: float = setting(
        "allowDecayed",
        kinds.seconds,
        default=30.0,
        words="""Seconds after which what is known of an instance or a host is shown as decayed,
        and its node asked again.""",
    )
    allow_mismatched_versions: bool = setting(
        "allowMismatchedVersions",
        kinds.flag,
        default=False,
        words="Whether node managers of another version may run instances.",
    )
    max_memory: int = setting(
        "maxMemory", kinds.mebibytes, default=8192, words="The most MiB one instance may ask for."
    )
    max_cores: int = setting(
        "maxCores", kinds.cores, default=8, words="The most cores one instance may ask for."
    )
    default_network: int = setting(
        "defaultNetwork",
        kinds.number,
        default=1,
        words="The number of the network for NICs that name none, as in /etc/qemu-ifup.1.",
    )
    allow_duplicate_names: bool = setting(
        "allowDuplicateNames",
        kinds.flag,
        default=False,
        words="Whether two instances may have the same name.",
    )
    event_retention: int = setting(
        "eventRetention",
        kinds.count,
        default=10_000,
        words="""How many of the latest events are kept for those who follow them. Who was away
        for longer than that reads the whole state once and goes on from there.""",
    )
    activate_timeout: float = setting(
        "activateTimeout",
        kinds.seconds,
        default=60.0,
        words="Seconds a node has to start an instance before it is told again.",
    )
    monitor_timeout: float = setting(
        "monitorTimeout",
        kinds.seconds,
        default=60.0,
        words="""Seconds a node has to pause, unpause or kill a guest before it is told again (to
        kill: at most 30).""",
    )
    migrate_timeout: float = setting(
        "migrateTimeout",
        kinds.seconds,
        default=300.0,
        words="""Seconds nodes have to suspend, resume or migrate a guest before they are told
        again. Not less than migrateTimeout in [Qemu].""",
    )
    cpu_overcommit: float = setting(
        "cpuOvercommit",
        kinds.ratio,
        default=1.0,
        words="How many cores may be promised on a host for each that it has.",
    )
    memory_overcommit: float = setting(
        "memoryOvercommit",
        kinds.ratio,
        default=1.0,
        words="How much memory may be promised on a host for each MiB that it has.",
    )
