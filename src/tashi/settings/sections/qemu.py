"""QEMU on a host: where it keeps things, how long it may take, and its own networks."""

from pathlib import Path

from tashi.settings import kinds
from tashi.settings.declare import section, setting


@section(
    "Qemu",
    obsolete={
        "pollDelay": "guests are not polled; their ends are seen at once",
        "useMigrateArgument": "disks that are not shared always move with their guest",
        "scratchVg": "scratch disks are files in scratchDir",
        "migrationRetries": "a migration that fails leaves the guest running where it was",
    },
)
class QemuSettings:
    """How guests run under QEMU."""

    qemu_bin: str = setting(
        "qemuBin",
        kinds.program,
        default="qemu-system-x86_64",
        words="The QEMU to run, found on PATH unless it is a path.",
    )
    accel: str = setting(
        "accel",
        kinds.choice("auto", "kvm", "tcg"),
        default="auto",
        words="""Whether guests run on the processor itself (kvm) or are emulated (tcg); auto
        tries whether KVM really runs a guest.""",
    )
    info_dir: Path = setting(
        "infoDir",
        kinds.path,
        default=Path("/var/tmp/VmControlQemu"),  # noqa: S108  Tashi's own; made private to root
        words="""A folder for each guest: its record, sockets and console log. Change it only while
        the host is empty: guests that run are found in no other.""",
    )
    scratch_dir: Path = setting(
        "scratchDir",
        kinds.path,
        default=Path("/var/lib/tashi/scratch"),
        words="""Where the overlays of disks that are not persistent are kept. Not a folder that
        is emptied at boot: stopped instances keep their disks here.""",
    )
    reserved_mem: int = setting(
        "reservedMem",
        kinds.mebibytes_or_none,
        default=512,
        words="MiB of the machine's memory that are not for guests.",
    )
    monitor_timeout: float = setting(
        "monitorTimeout",
        kinds.seconds,
        default=60.0,
        words="Seconds QEMU has to answer before a guest counts as hanging.",
    )
    migrate_timeout: float = setting(
        "migrateTimeout",
        kinds.seconds,
        default=300.0,
        words="Seconds a migration or a suspension may take.",
    )
    max_parallel_migrations: int = setting(
        "maxParallelMigrations",
        kinds.count,
        default=10,
        words="""The most guests that leave a host at the same time, and the most that it receives;
        those that are to leave wait, and those that are to come are refused.""",
    )
    suspend_handler: tuple[str, ...] = setting(
        "suspendHandler",
        kinds.command,
        default=("zstd", "-1"),
        words="""The program that a suspended guest's memory is piped through. Under libvirt it has
        no part: there save_image_format in libvirt's own qemu.conf says how memory is squeezed.""",
    )
    resume_handler: tuple[str, ...] = setting(
        "resumeHandler",
        kinds.command,
        default=("zstd", "-d"),
        words="The program that undoes suspendHandler.",
    )
    vnc_address: str = setting(
        "vncAddress",
        kinds.hostname,
        default="127.0.0.1",
        words="""The address of the host on which startVnc shows displays: anybody who reaches it
        needs the password, of 8 characters at most. With authAndEncrypt a viewer must speak TLS;
        without, it sees and types unencrypted.""",
    )
    stats_interval: float = setting(
        "statsInterval",
        kinds.seconds_or_never,
        default=15.0,
        words="""Seconds between two looks at what guests use, unless [NodeManagerService] has a
        statsInterval of its own; 0 in both: never.""",
    )


@section("UserNetwork")
class UserNetworkSettings:
    """QEMU's own network, for hosts whose network is user in [NodeManager]."""

    forward: tuple[int, ...] = setting(
        "forward",
        kinds.several(kinds.port),
        default=(),
        words="""Ports of every guest that are reached through free ports on the host's loopback;
        --show-nics shows which.""",
    )
