"""What every hypervisor can say of its guests from one moment to the next."""

import threading
from collections.abc import Sequence
from time import monotonic

from contracts.machines import (
    IDLE,
    SPEAKS,
    Heard,
    Machine,
    a_spec,
)
from tashi.domain.guest import Progress
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Disk
from tashi.ports.hypervisor import Counters, Hypervisor

SEVEN = InstanceId(7)
EIGHT = InstanceId(8)


def counted_reads(hypervisor: Hypervisor) -> Sequence[Counters]:
    """The counters once the first guest's firmware has come to reading its disk."""
    deadline = monotonic() + 60
    while not (counters := hypervisor.counters())[0].disks[0].reads:
        assert monotonic() < deadline, f"It never read its disk: {counters[0]}"
        threading.Event().wait(0.02)
    return counters


def test_every_guest_is_counted_for(hypervisor: Hypervisor) -> None:
    first = hypervisor.start(a_spec(7))
    second = hypervisor.start(a_spec(8, disks=(Disk(IDLE), Disk(SPEAKS))))

    [one, other] = counted_reads(hypervisor)

    assert [one.instance_id, other.instance_id] == [SEVEN, EIGHT]
    assert [one.vm_id, other.vm_id] == [first.vm_id, second.vm_id]
    assert [disk.name for disk in other.disks] == ["disk0", "disk1"]
    assert one.disks[0].reads > 0
    assert 0 < one.rss < one.vsize
    assert one.balloon == 32 * 1024 * 1024


def test_counters_go_on(hypervisor: Hypervisor) -> None:
    hypervisor.start(a_spec(image=SPEAKS))
    [before] = hypervisor.counters()

    hypervisor.pause(SEVEN)
    [after] = hypervisor.counters()

    assert after.at > before.at
    assert after.cpu_nanoseconds >= before.cpu_nanoseconds
    assert after.disks[0].read_bytes >= before.disks[0].read_bytes


def test_nothing_is_counted_of_guests_that_are_gone(
    machine: Machine, hypervisor: Hypervisor, heard: Heard
) -> None:
    hypervisor.start(a_spec(7))
    crashing = hypervisor.start(a_spec(8))
    hypervisor.kill(SEVEN)
    machine.crash(crashing)
    heard.next()

    assert list(hypervisor.counters()) == []


def test_how_far_a_save_is_can_be_followed(hypervisor: Hypervisor) -> None:
    told: list[tuple[InstanceId, Progress]] = []
    hypervisor.start(a_spec())

    def note(guest: InstanceId, progress: Progress) -> None:
        told.append((guest, progress))

    hypervisor.follow(note)

    hypervisor.save(SEVEN, "7-1")

    assert {guest for guest, _ in told} <= {SEVEN}
    assert all(0 <= one.done <= one.total for _, one in told)
