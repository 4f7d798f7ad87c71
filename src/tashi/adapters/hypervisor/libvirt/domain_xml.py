"""libvirt's words for a guest, from what it is to be made of: pure, one text of XML.

The machine is the one that the package `qemu` starts: the same devices under the same names, four
ports for what is plugged in later, a display that nobody sees. Every device has its address from
here, so that a guest finds its devices in the same places on every host and after every plugging.

A name that begins with ``ua-`` is one that libvirt lets its users give.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from tashi.adapters.hypervisor.libvirt.mark import Mark
from tashi.adapters.hypervisor.qemu import devices
from tashi.adapters.hypervisor.qemu.command_line import (
    TRANSLATION_CACHE_MIB,
    DiskFile,
    guest_uuid,
)
from tashi.adapters.hypervisor.qemu.devices import Drive, drives
from tashi.adapters.hypervisor.qemu.places import Places
from tashi.domain.engine import HOST_CPU, KVM, Hardware
from tashi.domain.hints import flag
from tashi.domain.identity import InstanceId
from tashi.domain.instance import PORTS, Nic
from tashi.ports.hypervisor import GuestSpec
from tashi.ports.network import PLAIN_MTU, Plug, Tap, card_number, tap_name

AGENT_PORT: Final = "org.qemu.guest_agent.0"
"""libvirt itself talks to an agent behind a port of this name."""

_ALIAS: Final = "ua-"
_KINDS: Final = {KVM: "kvm"}
_EMULATED: Final = "qemu"
_WIDEST_CPU: Final = "max"
_VIDEO_KIB: Final = 8192
_PORTS_SLOT: Final = 2
_FIRST_SLOT: Final = 3
"""Behind the display (1) and the ports."""
_USUAL_BUS: Final = "virtio"
_BUSES: Final = {"ide": "sata", "scsi": "scsi"}
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that decides a domain. `plugs` has one for each network card."""

    emulator: str
    hardware: Hardware
    spec: GuestSpec
    places: Places
    mark: Mark
    disks: Sequence[DiskFile]
    plugs: Sequence[Plug]
    medium: DiskFile | None = None


def domain_name(guest: InstanceId) -> str:
    """What a guest's domain is called on every host."""
    return f"tashi-{guest}"


def alias(name: str) -> str:
    """What libvirt and QEMU call the device of that name."""
    return _ALIAS + name


def name_of(alias_or_other: str) -> str:
    """Our name of a device; empty when it is not of our naming."""
    ours = alias_or_other.startswith(_ALIAS)
    return alias_or_other.removeprefix(_ALIAS) if ours else ""


def netdev(number: int) -> str:
    """What QEMU calls the network side of the card with that number."""
    return f"host{alias(f'net{number}')}"


def forwarding(number: int, port: int) -> str:
    """What has QEMU offer a guest's port on a free one of loopback; libvirt has no words for it."""
    return f"hostfwd_add {netdev(number)} tcp:127.0.0.1:0-:{port}"


def domain_xml(plan: Plan) -> str:
    """The domain that is this guest."""
    spec, hardware = plan.spec, plan.hardware
    domain = _named(spec, _KINDS.get(hardware.accel, _EMULATED), plan.mark)
    _child(domain, "vcpu", str(spec.cores), placement="static")
    system = SubElement(domain, "os")
    _child(system, "type", "hvm", arch="x86_64", machine=hardware.machine)
    domain.append(_features(plan))
    domain.append(_cpu(hardware.cpu))
    _child(domain, "clock", offset="utc")
    domain.append(_devices(plan))
    return _text(domain)


def headstone_xml(spec: GuestSpec, mark: Mark) -> str:
    """What libvirt is to keep of the guest when it has ended: how, but nothing that could run.

    Whoever starts it by hand gets a machine without disks.
    """
    domain = _named(spec, _EMULATED, mark)
    system = SubElement(domain, "os")
    _child(system, "type", "hvm", arch="x86_64", machine="q35")
    return _text(domain)


def disk_targets(spec: GuestSpec) -> dict[str, str]:
    """Our names of a guest's disks, by those that libvirt wants for them."""
    bus = _bus(spec)
    return {
        _target(_USUAL_BUS, len(_LETTERS) + drive.port) if drive.port else _target(bus, number): (
            drive.name
        )
        for number, drive in enumerate(drives(spec))
    }


def disk_xml(drive: Drive, file: DiskFile) -> str:
    """A disk that goes into a port of a guest that runs."""
    return _text(_plugged_disk(drive, file))


def card_xml(guest: InstanceId, nic: Nic, plug: Plug) -> str:
    """A network card that goes into a port of a guest that runs."""
    return _text(_plugged_card(guest, nic, plug))


def cdrom_xml(medium: DiskFile | None) -> str:
    """The CD drive with that medium in it, or with none."""
    return _text(_cd_drive(medium))


def _named(spec: GuestSpec, kind: str, mark: Mark) -> Element:
    domain = Element("domain", type=kind)
    _child(domain, "name", domain_name(spec.instance_id))
    _child(domain, "uuid", str(guest_uuid(spec.instance_id)))
    _child(domain, "title", spec.name)
    SubElement(domain, "metadata").append(mark.element())
    _child(domain, "memory", str(spec.memory), unit="MiB")
    return domain


def _features(plan: Plan) -> Element:
    features = Element("features")
    if not flag(plan.spec.hints, "noAcpi"):
        SubElement(features, "acpi")
    SubElement(features, "apic")
    if plan.hardware.accel != KVM:
        cache = SubElement(features, "tcg")
        _child(cache, "tb-cache", str(TRANSLATION_CACHE_MIB), unit="MiB")
    return features


def _cpu(model: str) -> Element:
    # libvirt is not to look whether the host can do it: placement has, and emulation can do all.
    if model == HOST_CPU:
        return Element("cpu", mode="host-passthrough", check="none")
    if model == _WIDEST_CPU:
        return Element("cpu", mode="maximum", check="none")
    cpu = Element("cpu", mode="custom", match="exact", check="none")
    _child(cpu, "model", model, fallback="forbid")
    return cpu


def _devices(plan: Plan) -> Element:
    spec = plan.spec
    found = Element("devices")
    _child(found, "emulator", plan.emulator)
    _child(found, "controller", type="usb", model="none")
    found.extend(_ports())
    slots = count(_FIRST_SLOT)
    if spec.hints.get("diskInterface") == "scsi":
        scsi = _child(found, "controller", type="scsi", index="0", model="virtio-scsi")
        scsi.append(_slot(next(slots)))
    found.extend(_disks(plan, slots))
    found.extend(_cards(plan, slots))
    if devices.has_cd_drive(spec):
        found.append(_cd_drive(plan.medium))
    found.extend(_console(plan.places))
    found.append(_display())
    found.extend(_spare_devices(slots))
    return found


def _ports() -> Iterator[Element]:
    for number in range(1, PORTS + 1):
        port = Element("controller", type="pci", index=str(number), model="pcie-root-port")
        _child(port, "target", chassis=str(number), port=hex(0x10 + number))
        place = _slot(_PORTS_SLOT, function=number - 1)
        if number == 1:
            place.set("multifunction", "on")
        port.append(place)
        yield port


def _disks(plan: Plan, slots: Iterator[int]) -> Iterator[Element]:
    bus = _bus(plan.spec)
    for number, (drive, file) in enumerate(zip(drives(plan.spec), plan.disks, strict=True)):
        if drive.port:
            yield _plugged_disk(drive, file)
            continue
        place = _slot(next(slots)) if bus == _USUAL_BUS else _unit(number)
        yield _disk(drive, file, bus, number, place, bootable=True)


def _disk(
    drive: Drive, file: DiskFile, bus: str, number: int, place: Element, *, bootable: bool = False
) -> Element:
    disk = Element("disk", type="file", device="disk")
    _child(disk, "driver", name="qemu", type=file.format, discard="unmap")
    _child(disk, "source", file=file.path)
    _child(disk, "target", dev=_target(bus, number), bus=bus)
    _child(disk, "alias", name=alias(drive.name))
    if bootable:
        _child(disk, "boot", order=str(number + 1))
    disk.append(place)
    return disk


def _plugged_disk(drive: Drive, file: DiskFile) -> Element:
    return _disk(drive, file, _USUAL_BUS, len(_LETTERS) + drive.port, _in_port(drive.port))


def _cards(plan: Plan, slots: Iterator[int]) -> Iterator[Element]:
    model = plan.spec.hints.get("nicModel", "virtio")
    guest = plan.spec.instance_id
    for (number, nic), plug in zip(devices.cards(plan.spec.nics).items(), plan.plugs, strict=True):
        if nic.port:
            yield _plugged_card(guest, nic, plug)
        else:
            yield _card(tap_name(guest, number), number, nic, plug, model, _slot(next(slots)))


def _card(tap: str, number: int, nic: Nic, plug: Plug, model: str, place: Element) -> Element:
    card = Element("interface", type="ethernet" if isinstance(plug, Tap) else "user")
    _child(card, "mac", address=nic.mac)
    if isinstance(plug, Tap):
        _child(card, "target", dev=tap, managed="no")
        if plug.mtu != PLAIN_MTU and model == "virtio":
            _child(card, "mtu", size=str(plug.mtu))
    _child(card, "model", type=model)
    # No network boot, whose firmware alone would double the time to start.
    _child(card, "rom", enabled="no")
    _child(card, "alias", name=alias(f"net{number}"))
    card.append(place)
    return card


def _plugged_card(guest: InstanceId, nic: Nic, plug: Plug) -> Element:
    number = card_number(nic.port)
    return _card(tap_name(guest, number), number, nic, plug, "virtio", _in_port(nic.port))


def _cd_drive(medium: DiskFile | None) -> Element:
    unit = devices.MOST_IDE_DRIVES - 1
    drive = Element("disk", type="file", device="cdrom")
    _child(drive, "driver", name="qemu", type=medium.format if medium else "raw")
    if medium is not None:
        _child(drive, "source", file=medium.path)
    # SCSI disks have names of the same kind: this one is behind all of them.
    _child(drive, "target", dev=_target("sata", len(_LETTERS) + unit), bus="sata")
    SubElement(drive, "readonly")
    _child(drive, "alias", name=alias(devices.CDROM))
    drive.append(_unit(unit))
    return drive


def _console(places: Places) -> Iterator[Element]:
    serial = Element("serial", type="unix")
    _child(serial, "source", mode="bind", path=str(places.console))
    _child(serial, "log", file=str(places.console_log), append="on")
    _child(serial, "target", type="isa-serial", port="0")
    yield serial


def _display() -> Element:
    """A display that nobody sees until VNC is told where to listen, and then with a password."""
    graphics = Element("graphics", type="vnc", passwd="")
    _child(graphics, "listen", type="none")
    return graphics


def _spare_devices(slots: Iterator[int]) -> Iterator[Element]:
    video = Element("video")
    _child(video, "model", type="vga", vram=str(_VIDEO_KIB), heads="1", primary="yes")
    video.append(_slot(1))
    yield video
    generator = Element("rng", model="virtio")
    _child(generator, "backend", "/dev/urandom", model="random")
    generator.append(_slot(next(slots)))
    yield generator
    balloon = Element("memballoon", model="virtio")
    balloon.append(_slot(next(slots)))
    yield balloon
    serial = Element("controller", type="virtio-serial", index="0")
    serial.append(_slot(next(slots)))
    yield serial
    channel = Element("channel", type="unix")
    _child(channel, "source", mode="bind")
    _child(channel, "target", type="virtio", name=AGENT_PORT)
    yield channel


def _slot(slot: int, *, bus: int = 0, function: int = 0) -> Element:
    place = {"domain": "0x0000", "bus": f"{bus:#04x}", "slot": f"{slot:#04x}"}
    return Element("address", {"type": "pci", **place, "function": f"{function:#x}"})


def _in_port(port: int) -> Element:
    return _slot(0, bus=port)


def _unit(unit: int) -> Element:
    return Element("address", type="drive", controller="0", bus="0", target="0", unit=str(unit))


def _bus(spec: GuestSpec) -> str:
    return _BUSES.get(spec.hints.get("diskInterface", ""), _USUAL_BUS)


def _target(bus: str, number: int) -> str:
    """The name that libvirt wants for a disk: vda, vdb, …, vdz, vdaa, …"""
    letters, rest = "", number + 1
    while rest:
        rest, letter = divmod(rest - 1, len(_LETTERS))
        letters = _LETTERS[letter] + letters
    return ("vd" if bus == _USUAL_BUS else "sd") + letters


def _child(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    made = SubElement(parent, tag, attributes)
    made.text = text
    return made


def _text(element: Element) -> str:
    ET.indent(element)
    return ET.tostring(element, encoding="unicode") + "\n"
