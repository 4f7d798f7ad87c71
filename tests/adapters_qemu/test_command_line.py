"""QEMU's command line: whole lines for a few guests, and no value that adds an option."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.adapters.hypervisor.qemu.command_line import (
    DiskFile,
    Plan,
    command_line,
    guest_uuid,
)
from tashi.adapters.hypervisor.qemu.places import Places
from tashi.domain.engine import Hardware
from tashi.domain.identity import Attempt, InstanceId, Mib, NetworkId
from tashi.domain.instance import Disk, Nic
from tashi.ports.hypervisor import GuestSpec
from tashi.ports.network import OwnNetwork, Tap

PLACES = Places(Path("/info/7"))
OVERLAY = DiskFile("/scratch/7.0.qcow2", "qcow2")
ON_KVM = Hardware(machine="pc-q35-7.2", cpu="host", accel="kvm", qemu="7.2.0")
EMULATED = Hardware(machine="pc-q35-7.2", cpu="qemu64", accel="tcg", qemu="7.2.0")
PERSISTENT = DiskFile("/images/data.raw", "raw")


def a_plan(
    hints: dict[str, str] | None = None,
    *,
    name: str = "web",
    incoming: bool = False,
    **more: object,
) -> Plan:
    spec = GuestSpec(
        instance_id=InstanceId(7),
        attempt=Attempt(1),
        name=name,
        cores=2,
        memory=Mib(512),
        disks=(Disk("debian.qcow2"), Disk("data.raw", persistent=True)),
        nics=(Nic(NetworkId(1), "52:54:00:00:00:01"), Nic(NetworkId(999), "52:54:00:00:00:02")),
        hints=hints or {},
    )
    plain: dict[str, object] = {
        "qemu": "qemu-system-x86_64",
        "hardware": ON_KVM,
        "sandbox": True,
        "spec": spec,
        "places": PLACES,
        "disks": (OVERLAY, PERSISTENT),
        "plugs": (OwnNetwork((80,)), Tap(9)),
        "incoming": incoming,
    }
    return Plan(**{**plain, **more})  # type: ignore[arg-type]


def as_text(plan: Plan) -> str:
    """One option a line, as an admin would like to read it."""
    words = [shlex.quote(word) for word in command_line(plan)]
    return " ".join(words).replace(" -", " \\\n  -") + "\n"


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("plain", a_plan()),
        ("emulated", a_plan(hardware=EMULATED, sandbox=False)),
        ("incoming", a_plan(incoming=True)),
        ("papers", a_plan(papers=Path("/etc/tashi/pki/nodemanager"))),
        ("ide", a_plan({"diskInterface": "ide", "nicModel": "e1000", "noAcpi": "True"})),
        ("scsi", a_plan({"diskInterface": "scsi"}, hardware=replace(ON_KVM, cpu="max"))),
        ("overlay-network", a_plan(plugs=(Tap(9, 1450), Tap(10, 1450)))),
    ],
)
def test_the_command_line(name: str, plan: Plan, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.txt", as_text(plan))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_no_name_adds_an_option(name: str) -> None:
    words = command_line(a_plan(name=name))

    value = words[words.index("-name") + 1]
    assert value.startswith("guest=")
    assert value.removeprefix("guest=").replace(",,", "") == name.replace(",", "")
    assert len(words) == len(command_line(a_plan()))


def test_no_path_adds_an_option() -> None:
    odd = DiskFile("/images/a,readonly=on", "raw")

    words = command_line(a_plan(disks=(odd, PERSISTENT)))

    assert any("file.filename=/images/a,,readonly=on" in word for word in words)


def test_an_instance_has_the_same_uuid_everywhere() -> None:
    assert guest_uuid(InstanceId(7)) == guest_uuid(InstanceId(7))
    assert guest_uuid(InstanceId(7)) != guest_uuid(InstanceId(8))
