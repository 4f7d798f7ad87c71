"""Descriptions of domains on their way to another node."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters_libvirt.test_domain_xml import CD, MARK, a_plan, plugged_in
from tashi.adapters.hypervisor.libvirt.domain_xml import (
    alias,
    disk_targets,
    domain_xml,
    name_of,
)
from tashi.adapters.hypervisor.libvirt.mark import Folders
from tashi.adapters.hypervisor.libvirt.progress import progress_of
from tashi.adapters.hypervisor.libvirt.relocation import aliases, medium_in, relocated
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Progress
from tashi.domain.identity import Attempt

ELSEWHERE = Folders(
    info=Path("/var/info"), overlays=Path("/big/overlays"), images=Path("/mnt/images")
)


def files_of(described: str) -> list[str]:
    domain = ET.fromstring(described)
    return [
        device.attrib[key]
        for device in domain.find("devices") or ()
        for device in device.iter()
        for key in ("file", "path")
        if key in device.attrib
    ]


def test_files_are_where_the_other_node_has_them() -> None:
    moved = relocated(domain_xml(a_plan(medium=CD)), ELSEWHERE, Attempt(4))

    assert files_of(moved) == [
        "/big/overlays/7.0.qcow2",
        "/mnt/images/data.raw",
        "/mnt/images/cd.iso",
        "/var/info/7/console.sock",
        "/var/info/7/console.log",
    ]


def test_a_domain_comes_back_as_it_was() -> None:
    there = relocated(domain_xml(plugged_in()), ELSEWHERE, Attempt(4))
    back = relocated(there, MARK.folders, MARK.attempt)

    assert ET.canonicalize(back) == ET.canonicalize(domain_xml(plugged_in()))


def test_a_domain_without_a_mark_is_not_taken() -> None:
    with pytest.raises(HypervisorFailed, match="no mark"):
        relocated("<domain><metadata/></domain>", ELSEWHERE, Attempt(1))


def test_devices_are_told_by_their_names() -> None:
    described = domain_xml(plugged_in())

    assert {name_of(one) for one in aliases(described)} == {
        *("disk0", "disk1", "plug1", "net0", "net1", "net10", "cdrom"),
    }
    assert name_of("balloon0") == ""


def test_the_medium_is_told() -> None:
    drive = alias("cdrom")

    assert medium_in(domain_xml(a_plan(medium=CD)), drive) == CD.path
    assert medium_in(domain_xml(a_plan()), drive) is None
    assert medium_in("<domain/>", drive) == ""


def test_disks_have_the_names_that_libvirt_wants() -> None:
    plain = disk_targets(plugged_in().spec)
    scsi = disk_targets(a_plan({"diskInterface": "scsi", "scratchSpace": "1"}).spec)

    assert plain == {"vda": "disk0", "vdb": "disk1", "vdab": "plug1"}
    assert scsi == {"sda": "disk0", "sdb": "disk1", "sdc": "disk2"}


def test_progress_is_what_libvirt_tells() -> None:
    told = {
        "data_total": 300,
        "data_remaining": 100,
        "memory_bps": 40,
        "disk_bps": 2,
        "disk_total": 9,
    }

    assert progress_of(told) == Progress(done=200, total=300, rate=42.0, words="disks and memory")
    assert progress_of({"memory_total": 0}) is None


@given(st.dictionaries(st.sampled_from(["data_remaining", "memory_bps"]), st.integers(0, 1 << 40)))
def test_progress_is_never_less_than_nothing(told: dict[str, int]) -> None:
    progress = progress_of({"data_total": 100, **told})

    assert progress is not None
    assert 0 <= progress.done <= progress.total
