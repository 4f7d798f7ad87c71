"""A guest that counts in memory and on its disk, whose memory is squeezed on its way elsewhere.

libvirt uses no such programs. What holds for all guests that count is in
contracts/test_hypervisor_real, test_every_state and test_unlucky_moves.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

import boot_sectors
from contracts.count import COUNTER, COUNTS, a_counter, let_count, numbers, said
from contracts.machines import Heard, QemuMachine
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu

pytestmark = pytest.mark.qemu

SQUEEZERS = [(("zstd", "-1"), ("zstd", "-d")), (("gzip",), ("zcat",))]


@pytest.fixture(params=SQUEEZERS, ids=["zstd", "gzip"])
def handlers(request: pytest.FixtureRequest) -> dict[str, tuple[str, ...]]:
    squeeze, unsqueeze = request.param
    return {"suspend_handler": squeeze, "resume_handler": unsqueeze}


@pytest.fixture
def source(here: QemuMachine, heard: Heard, handlers: dict[str, tuple[str, ...]]) -> Iterator[Qemu]:
    with closing(here.open(**handlers)) as qemu:  # type: ignore[arg-type]
        qemu.listen(heard)
        yield qemu


@pytest.fixture
def target(
    there: QemuMachine, heard: Heard, handlers: dict[str, tuple[str, ...]]
) -> Iterator[Qemu]:
    with closing(there.open(**handlers)) as qemu:  # type: ignore[arg-type]
        qemu.listen(heard)
        yield qemu


def test_a_guest_resumed_on_another_host_counts_on(
    here: QemuMachine, source: Qemu, target: Qemu, heard: Heard
) -> None:
    image = here.images / COUNTS
    boot_sectors.count(image)
    pristine = image.read_bytes()
    source.start(a_counter())
    let_count(source)

    source.save(COUNTER, "7-1")
    before = said(source)
    source.store(COUNTER, "7-1")
    source.clear(COUNTER)
    target.restore(a_counter(2, stored="7-1"), "7-1")
    let_count(target)
    target.kill(COUNTER)
    all_numbers = numbers(target)

    assert said(target).startswith(before)
    assert all_numbers == list(range(1, len(all_numbers) + 1))
    assert image.read_bytes() == pristine
    assert heard.nothing
