"""What a node remembers of a guest comes back as it was, and nothing else is taken for it."""

import pytest

from tashi.adapters.hypervisor.qemu.record import Record, decode, encode
from tashi.domain.guest import Ending
from tashi.domain.identity import Attempt, InstanceId, Mib, NetworkId, VmId
from tashi.domain.instance import Disk, Forward, Nic
from tashi.ports.hypervisor import GuestSpec

NIC = Nic(NetworkId(1), "52:54:00:00:00:01", forwards=(Forward(80, 40000),))
SPEC = GuestSpec(
    instance_id=InstanceId(7),
    attempt=Attempt(3),
    name="web",
    cores=1,
    memory=Mib(128),
    disks=(Disk("debian.qcow2"),),
    nics=(NIC,),
    hints={"cpumodel": "max"},
    keep_disks=True,
)
RECORD = Record(
    spec=SPEC, command=("qemu", "-S"), vm_id=VmId(99), nics=(NIC,), ending=Ending.POWERED_OFF
)


def test_a_record_comes_back_as_it_was() -> None:
    assert decode(encode(RECORD)) == RECORD


def test_a_record_is_for_people_too() -> None:
    assert b'\n  "vm_id": 99,\n' in encode(RECORD)


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff\xfe", encode(RECORD)[:-40]])
def test_what_is_no_record_is_not_taken_for_one(text: bytes) -> None:
    assert decode(text) is None


def test_a_record_of_another_version_is_not_read() -> None:
    assert decode(encode(RECORD).replace(b'"version": 1', b'"version": 2')) is None
