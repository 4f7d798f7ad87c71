"""A guest that counts in memory and on its disk: whatever is done to it, no number is missing.

Neither may a number come twice; and the image in the store stays as it was, to the last byte.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

import boot_sectors
from contracts.machines import Heard, QemuMachine, a_spec
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.domain.identity import Attempt, InstanceId
from tashi.domain.instance import Disk
from tashi.ports.hypervisor import GuestSpec, Hypervisor

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
COUNTS = "count.img"
A_FEW = 10


class Bench:
    """Two machines with one image store, and what the guest has said on either of them."""

    def __init__(self, verdict: Path) -> None:
        self.machine = QemuMachine.made(verdict)
        self.neighbour = self.machine.neighbour()
        self.image = self.machine.images / COUNTS
        boot_sectors.count(self.image)
        self.before = hashlib.sha256(self.image.read_bytes()).hexdigest()
        self.heard = Heard()
        self.opened: list[Qemu] = []

    def open(self, machine: QemuMachine, **different: object) -> Qemu:
        qemu = machine.open(**different)  # type: ignore[arg-type]
        qemu.listen(self.heard)
        self.opened.append(qemu)
        return qemu

    @property
    def image_is_as_it_was(self) -> bool:
        return hashlib.sha256(self.image.read_bytes()).hexdigest() == self.before

    def close(self) -> None:
        for qemu in self.opened:
            qemu.close()
        self.neighbour.close()
        self.machine.close()


@pytest.fixture
def bench(verdict: Path) -> Iterator[Bench]:
    made = Bench(verdict)
    yield made
    made.close()


def said(hypervisor: Hypervisor) -> bytes:
    return hypervisor.console(SEVEN, 0, 1 << 20)[0]


def let_count(hypervisor: Hypervisor, more: int = A_FEW) -> None:
    """Wait until the guest has said so many numbers more."""
    deadline = monotonic() + 60
    wanted = len(boot_sectors.counted(said(hypervisor))) + more
    while len(boot_sectors.counted(said(hypervisor))) < wanted:
        assert monotonic() < deadline, f"It does not count: {said(hypervisor)[-200:]!r}"
        sleep(0.05)


def a_counter(attempt: int = 1, stored: str = "") -> GuestSpec:
    return a_spec(disks=(Disk(COUNTS),), attempt=Attempt(attempt), stored=stored)


@pytest.mark.parametrize(
    ("squeeze", "unsqueeze"), [(("zstd", "-1"), ("zstd", "-d")), (("gzip",), ("zcat",))]
)
def test_a_guest_resumed_on_another_host_counts_on(
    bench: Bench, squeeze: tuple[str, ...], unsqueeze: tuple[str, ...]
) -> None:
    handlers = {"suspend_handler": squeeze, "resume_handler": unsqueeze}
    here, there = bench.open(bench.machine, **handlers), bench.open(bench.neighbour, **handlers)
    here.start(a_counter())
    let_count(here)

    here.save(SEVEN, "7-1")
    before = said(here)
    here.store(SEVEN, "7-1")
    here.clear(SEVEN)
    there.restore(a_counter(2, stored="7-1"), "7-1")
    let_count(there)
    there.kill(SEVEN)
    after = said(there)
    numbers = boot_sectors.counted(after)

    assert after.startswith(before)
    assert numbers == list(range(1, len(numbers) + 1))
    assert bench.image_is_as_it_was
    assert bench.heard.nothing


def test_a_guest_stopped_and_started_on_another_host_counts_on(bench: Bench) -> None:
    here, there = bench.open(bench.machine), bench.open(bench.neighbour)
    here.start(a_counter())
    let_count(here)

    here.power_down(SEVEN)
    bench.heard.next()
    before = boot_sectors.counted(said(here))
    here.store(SEVEN, "7-1")
    here.clear(SEVEN)
    there.start(a_counter(2, stored="7-1"))
    let_count(there)
    there.kill(SEVEN)
    numbers = boot_sectors.counted(said(there))

    assert numbers[: len(before)] == before
    assert numbers == list(range(1, len(numbers) + 1))
    assert bench.image_is_as_it_was


def test_a_persistent_disk_keeps_the_count_in_the_image(bench: Bench) -> None:
    here, there = bench.open(bench.machine), bench.open(bench.neighbour)
    kept = a_spec(disks=(Disk(COUNTS, persistent=True),))
    here.start(kept)
    let_count(here)

    here.power_down(SEVEN)
    bench.heard.next()
    before = boot_sectors.counted(said(here))
    here.store(SEVEN, "7-1")
    here.clear(SEVEN)
    there.start(kept)
    let_count(there)
    there.kill(SEVEN)
    after = boot_sectors.counted(said(there))

    assert [*before, *after] == list(range(1, len(before) + len(after) + 1))
    assert not bench.image_is_as_it_was
    assert list(bench.machine.suspended.glob("*.disk*")) == []
