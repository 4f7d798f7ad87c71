"""QEMU's command line, from what a guest is to be made of: pure, one list of arguments.

Everything is given explicitly (`-nodefaults -no-user-config`), in the syntax of QEMU 7.2 and newer.
QEMU splits its arguments at commas; every value passes through `_option`, which doubles them, so
that no value can add an option of its own.

The vCPUs stand still (-S) until QMP says `cont`. A guest that powers itself off leaves its QEMU in
the state "shutdown" (-action), to be seen by whoever looks, also much later.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tashi.adapters.hypervisor.qemu import devices, forwards
from tashi.adapters.hypervisor.qemu.agent import PORT as AGENT_PORT
from tashi.adapters.hypervisor.qemu.devices import Drive, drives
from tashi.adapters.hypervisor.qemu.papers import End, tls_object
from tashi.adapters.hypervisor.qemu.places import Places
from tashi.domain.engine import KVM, Hardware
from tashi.domain.hints import flag
from tashi.domain.identity import InstanceId
from tashi.domain.instance import PORTS, Nic
from tashi.ports.hypervisor import GuestSpec
from tashi.ports.network import Plug, Tap

SANDBOX: Final = (
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
)
"""What QEMU may not do. (With -daemonize it could not be kept from starting programs.)"""

TRANSLATION_CACHE_MIB: Final = 32
"""Plain emulation would take a fixed fraction of the host's memory per guest otherwise."""

_NAMESPACE: Final = uuid.UUID("b1f6b0b3-6a0e-5d8c-9f0e-7a51c0de7a51")
_VIDEO_MIB: Final = 8
_ASKS_PASSWORD: Final = {"password": "on"}
_SCREEN_PAPERS: Final = "screen-papers"
_NIC_DEVICES: Final = {"virtio": "virtio-net-pci"}


@dataclass(frozen=True, slots=True)
class DiskFile:
    """A file that a guest sees as a disk, and its format."""

    path: str
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that decides a command line. `plugs` has one for each network card.

    With a folder of `papers` the display is shown under TLS.
    """

    qemu: str
    hardware: Hardware
    sandbox: bool
    spec: GuestSpec
    places: Places
    disks: Sequence[DiskFile]
    plugs: Sequence[Plug]
    medium: DiskFile | None = None
    papers: Path | None = None
    incoming: bool = False


def command_line(plan: Plan) -> tuple[str, ...]:
    """The arguments that start this guest, the program first."""
    return (
        plan.qemu,
        *_identity(plan),
        *_machine(plan),
        *_process(plan),
        *_monitors(plan.places),
        *_console(plan.places),
        *_spare_devices(),
        *_disks(plan),
        *_nics(plan),
        *_cd_drive(plan),
        *_display(plan.papers),
        *_agent(plan.places),
        *(("-incoming", "defer") if plan.incoming else ()),
    )


def guest_uuid(guest: InstanceId) -> uuid.UUID:
    """The UUID that a guest sees in its firmware: the same on every host, for one instance."""
    return uuid.uuid5(_NAMESPACE, str(guest))


def _identity(plan: Plan) -> tuple[str, ...]:
    spec = plan.spec
    # fmt: off
    return (
        "-name", _option(guest=spec.name),
        "-uuid", str(guest_uuid(spec.instance_id)),
    )
    # fmt: on


def _machine(plan: Plan) -> tuple[str, ...]:
    spec = plan.spec
    acpi = {"acpi": "off"} if flag(spec.hints, "noAcpi") else {}
    hardware = plan.hardware
    accel = {} if hardware.accel == KVM else {"tb-size": TRANSLATION_CACHE_MIB}
    # fmt: off
    return (
        "-machine", _option(hardware.machine, **acpi),
        "-accel", _option(hardware.accel, **accel),
        "-cpu", _option(hardware.cpu),
        "-smp", _option(cpus=spec.cores),
        "-m", _option(size=f"{spec.memory}M"),
        "-nodefaults",
        "-no-user-config",
        "-display", "none",
        "-boot", "strict=on",
    )
    # fmt: on


def _process(plan: Plan) -> tuple[str, ...]:
    # fmt: off
    return (
        *(SANDBOX if plan.sandbox else ()),
        "-S",
        "-action", "shutdown=pause",
        "-pidfile", str(plan.places.pid_file),
    )
    # fmt: on


def _monitors(places: Places) -> Iterator[str]:
    for name, path in (("manager", places.monitor), ("human", places.human_monitor)):
        yield from ("-chardev", _option("socket", id=name, path=path, server="on", wait="off"))
        yield from ("-mon", _option(chardev=name, mode="control"))


def _console(places: Places) -> Iterator[str]:
    yield "-chardev"
    yield _option(
        "socket",
        id="console",
        path=places.console,
        server="on",
        wait="off",
        logfile=places.console_log,
        logappend="on",
    )
    yield from ("-device", _option("isa-serial", chardev="console"))


def _spare_devices() -> Iterator[str]:
    yield from ("-device", "virtio-rng-pci")
    yield from ("-device", _option("virtio-balloon-pci", id="balloon"))
    for number in range(1, PORTS + 1):
        yield from ("-device", _option("pcie-root-port", id=f"port{number}", chassis=number))


def _disks(plan: Plan) -> Iterator[str]:
    interface = plan.spec.hints.get("diskInterface", "virtio")
    if interface == "scsi":
        yield from ("-device", _option("virtio-scsi-pci", id="scsi"))
    for number, (drive, file) in enumerate(zip(drives(plan.spec), plan.disks, strict=True)):
        yield from ("-blockdev", _blockdev(drive.name, file))
        yield from ("-device", _disk_device(interface, number, drive))


def _blockdev(name: str, disk: DiskFile) -> str:
    properties = {
        "node-name": name,
        "discard": "unmap",
        "file.driver": "file",
        "file.filename": disk.path,
        "file.discard": "unmap",
    }
    return _option(driver=disk.format, **properties)


def _disk_device(interface: str, number: int, drive: Drive) -> str:
    if drive.port:
        return _option(**devices.plugged_disk(drive))
    place = {"drive": drive.name, "bootindex": number + 1}
    match interface:
        case "ide":
            return _option("ide-hd", bus=f"ide.{number}", **place)
        case "scsi":
            return _option("scsi-hd", bus="scsi.0", **place)
        case _:
            return _option("virtio-blk-pci", **place)


def _nics(plan: Plan) -> Iterator[str]:
    model = plan.spec.hints.get("nicModel", "virtio")
    numbered = devices.cards(plan.spec.nics).items()
    for (number, nic), plug in zip(numbered, plan.plugs, strict=True):
        yield from ("-netdev", _netdev(number, plug, plan.spec.name))
        yield from ("-device", _nic_device(model, number, nic, plug))


def _netdev(number: int, plug: Plug, guest_name: str) -> str:
    if isinstance(plug, Tap):
        return _option("tap", id=f"net{number}", fd=plug.descriptor)
    # The host name is for QEMU's own DHCP server to tell.
    return _option("user", id=f"net{number}", hostname=guest_name) + forwards.rules(plug.forward)


def _nic_device(model: str, number: int, nic: Nic, plug: Plug) -> str:
    if nic.port:
        return _option(**devices.plugged_card(nic, plug))
    # Only this card can tell its guest how long packets may be.
    mtu = devices.packets(plug) if model == "virtio" else {}
    return _option(_NIC_DEVICES.get(model, model), **devices.card(number, nic), **mtu)


def _cd_drive(plan: Plan) -> Iterator[str]:
    if not devices.has_cd_drive(plan.spec):
        return
    drive = {"id": devices.CDROM, "bus": f"ide.{devices.MOST_IDE_DRIVES - 1}"}
    if plan.medium is not None:
        file = {"file.driver": "file", "file.filename": plan.medium.path}
        node = {"driver": plan.medium.format, "node-name": devices.CD_MEDIUM, "read-only": "on"}
        yield from ("-blockdev", _option(**node, **file))
        drive["drive"] = devices.CD_MEDIUM
    yield from ("-device", _option("ide-cd", **drive))


def _display(papers: Path | None) -> Iterator[str]:
    """A display that nobody sees until VNC is told where to listen, and then with a password."""
    yield from ("-device", _option("VGA", vgamem_mb=_VIDEO_MIB))
    encrypted = {}
    if papers is not None:
        # Who looks shows the password: few viewers can show a certificate.
        made = tls_object(_SCREEN_PAPERS, papers, End.TARGET, verify=False)
        yield from ("-object", json.dumps(made))
        encrypted = {"tls-creds": _SCREEN_PAPERS}
    yield from ("-vnc", _option("none", **_ASKS_PASSWORD, **encrypted))


def _agent(places: Places) -> Iterator[str]:
    # Behind all that was there before it, whose places on the bus it must not take.
    yield from ("-device", "virtio-serial-pci")
    yield "-chardev"
    yield _option("socket", id=AGENT_PORT, path=places.agent, server="on", wait="off")
    port = {"chardev": AGENT_PORT, "id": AGENT_PORT, "name": "org.qemu.guest_agent.0"}
    yield from ("-device", _option("virtserialport", **port))


def _option(*words: str, **properties: object) -> str:
    """QEMU's `word,key=value,…`, with every comma in a value doubled."""
    pairs = [f"{key}={_escape(str(value))}" for key, value in properties.items()]
    return ",".join([*map(_escape, words), *pairs])


def _escape(value: str) -> str:
    return value.replace(",", ",,")
