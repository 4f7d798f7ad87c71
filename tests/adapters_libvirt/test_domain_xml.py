"""Domains in libvirt's XML: whole texts for a few guests, which libvirt's own schema accepts."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.adapters.hypervisor.libvirt.domain_xml import (
    Plan,
    card_xml,
    cdrom_xml,
    disk_xml,
    domain_xml,
    headstone_xml,
)
from tashi.adapters.hypervisor.libvirt.mark import NAMESPACE, Folders, Mark
from tashi.adapters.hypervisor.qemu.command_line import DiskFile
from tashi.adapters.hypervisor.qemu.devices import plugged
from tashi.adapters.hypervisor.qemu.places import Places
from tashi.domain.engine import Hardware
from tashi.domain.identity import Attempt, InstanceId, Mib, NetworkId
from tashi.domain.instance import Disk, Nic
from tashi.ports.hypervisor import GuestSpec
from tashi.ports.network import OwnNetwork, Tap

SEVEN = InstanceId(7)
OVERLAY = DiskFile("/scratch/7.0.qcow2", "qcow2")
PERSISTENT = DiskFile("/images/data.raw", "raw")
CD = DiskFile("/images/cd.iso", "raw")
ON_KVM = Hardware(machine="pc-q35-7.2", cpu="host", accel="kvm", qemu="7.2.0")
EMULATED = Hardware(machine="pc-q35-7.2", cpu="qemu64", accel="tcg", qemu="7.2.0")
MARK = Mark(
    SEVEN,
    Attempt(3),
    Folders(info=Path("/info"), overlays=Path("/scratch"), images=Path("/images")),
)
MORE_DISK = Disk("more.qcow2", port=1)
MORE_NIC = Nic(NetworkId(1), "52:54:00:00:00:03", port=2)


def a_plan(hints: dict[str, str] | None = None, *, name: str = "web", **more: object) -> Plan:
    spec = GuestSpec(
        instance_id=SEVEN,
        attempt=Attempt(3),
        name=name,
        cores=2,
        memory=Mib(512),
        disks=(Disk("debian.qcow2"), Disk("data.raw", persistent=True)),
        nics=(Nic(NetworkId(1), "52:54:00:00:00:01"), Nic(NetworkId(999), "52:54:00:00:00:02")),
        hints=hints or {},
    )
    plain: dict[str, object] = {
        "emulator": "/usr/bin/qemu-system-x86_64",
        "hardware": ON_KVM,
        "spec": spec,
        "places": Places(Path("/info/7")),
        "mark": MARK,
        "disks": (OVERLAY, PERSISTENT),
        "plugs": (OwnNetwork((80,)), Tap(9)),
    }
    return Plan(**{**plain, **more})  # type: ignore[arg-type]


def plugged_in() -> Plan:
    plain = a_plan().spec
    spec = replace(plain, disks=(*plain.disks, MORE_DISK), nics=(*plain.nics, MORE_NIC))
    more = DiskFile("/scratch/7.p1.qcow2", "qcow2")
    return a_plan(
        spec=spec, disks=(OVERLAY, PERSISTENT, more), plugs=(OwnNetwork(), Tap(9), Tap(10))
    )


CASES = pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("plain", a_plan()),
        ("emulated", a_plan(hardware=EMULATED, medium=CD)),
        ("ide", a_plan({"diskInterface": "ide", "nicModel": "e1000", "noAcpi": "True"})),
        ("scsi", a_plan({"diskInterface": "scsi"}, hardware=replace(ON_KVM, cpu="max"))),
        ("overlay-network", a_plan(plugs=(Tap(9, 1450), Tap(10, 1450)))),
        ("plugged-in", plugged_in()),
    ],
)


@CASES
def test_the_domain(name: str, plan: Plan, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.xml", domain_xml(plan))


def test_the_headstone(golden: Callable[[str, str], None]) -> None:
    text = headstone_xml(a_plan().spec, MARK)

    golden("headstone.xml", text)
    assert "<disk" not in text


@pytest.mark.system
@CASES
def test_libvirt_accepts_the_domain(name: str, plan: Plan, tmp_path: Path) -> None:
    assert_valid(domain_xml(plan), tmp_path)


@pytest.mark.system
def test_libvirt_accepts_the_headstone(tmp_path: Path) -> None:
    assert_valid(headstone_xml(a_plan().spec, MARK), tmp_path)


def test_devices_that_are_plugged_in(golden: Callable[[str, str], None]) -> None:
    disk = disk_xml(plugged(MORE_DISK), OVERLAY)
    card = card_xml(SEVEN, MORE_NIC, Tap(9, 1450))
    drive = cdrom_xml(CD)

    golden("devices.xml", disk + card + drive + cdrom_xml(None))


def test_a_device_is_plugged_into_the_place_that_it_starts_in() -> None:
    whole = ET.fromstring(domain_xml(plugged_in()))
    alone = ET.fromstring(disk_xml(plugged(MORE_DISK), OVERLAY))

    [starting] = whole.findall(".//disk/alias[@name='ua-plug1']/..")
    assert attributes(starting, "address") == attributes(alone, "address")
    assert attributes(starting, "alias") == attributes(alone, "alias")


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1))
def test_no_name_adds_an_element(name: str) -> None:
    domain = ET.fromstring(domain_xml(a_plan(name=name)))

    assert domain.findtext("title") == name
    assert len(list(domain.iter())) == len(list(ET.fromstring(domain_xml(a_plan())).iter()))


def test_the_mark_says_whose_a_domain_is() -> None:
    metadata = ET.fromstring(domain_xml(a_plan())).find(f"metadata/{{{NAMESPACE}}}guest")

    assert metadata is not None
    assert Mark.read(ET.tostring(metadata, encoding="unicode")) == MARK


@pytest.mark.parametrize("text", ["", "<a/>", "<a", '<guest instance="seven" attempt="1"/>'])
def test_what_is_no_mark_says_nothing(text: str) -> None:
    assert Mark.read(text) is None


def attributes(device: ET.Element, tag: str) -> dict[str, str]:
    found = device.find(tag)
    assert found is not None
    return found.attrib


def assert_valid(text: str, folder: Path) -> None:
    file = folder / "domain.xml"
    file.write_text(text)
    checked = subprocess.run(
        ["virt-xml-validate", file, "domain"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
