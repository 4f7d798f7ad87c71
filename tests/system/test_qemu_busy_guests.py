"""Guests that change their memory as fast as they can: they arrive, or stay and run on.

How QEMU slows them down is asked of it over its monitor here; libvirt has words of its own for it.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import boot_sectors
from contracts.machines import PEER, QemuMachine, a_spec, found_verdict
from tashi.adapters.hypervisor.qemu import sending
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.moves import may_stand
from tashi.domain.engine import KVM
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Found

if TYPE_CHECKING:
    from tashi.domain.guest import Progress

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
MIB = 1 << 20
SLOWLY: dict[str, Any] = {"max-bandwidth": 32 * MIB}
BUSY_SECONDS = 20.0
BUSY = a_spec(image="busy.img")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def here(stack: ExitStack, tmp_path: Path) -> QemuMachine:
    machine = QemuMachine.made(found_verdict(tmp_path))
    stack.callback(machine.close)
    boot_sectors.dirty(machine.images / "busy.img")
    return machine


@pytest.fixture
def there(stack: ExitStack, here: QemuMachine) -> QemuMachine:
    machine = here.neighbour()
    stack.callback(machine.close)
    return machine


def opened(stack: ExitStack, machine: QemuMachine, **different: object) -> Qemu:
    qemu = machine.open(**different)  # type: ignore[arg-type]
    stack.callback(qemu.close)
    return qemu


def start(source: Qemu) -> None:
    """Start the guest, and wait until it is busy."""
    source.start(BUSY)
    deadline = time.monotonic() + BUSY_SECONDS
    while b"B" not in source.console(SEVEN, 0, 100)[0]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def found(qemu: Qemu) -> Found:
    [one] = qemu.adopt()
    return one.found


def test_a_busy_guest_arrives_where_the_network_is_quick(
    stack: ExitStack, here: QemuMachine, there: QemuMachine
) -> None:
    source, target = opened(stack, here), opened(stack, there)
    told: list[Progress] = []
    source.follow(lambda _, progress: told.append(progress))
    start(source)

    source.send(SEVEN, target.prepare_target(BUSY, PEER))
    target.run(SEVEN)

    assert (found(source), found(target)) == (Found.LEFT, Found.RUNNING)
    assert told[-1].done > 26 * MIB
    assert "stood still for" in told[-1].words


def test_a_guest_that_is_quicker_than_the_network_is_slowed_down_and_stays_in_the_end(
    stack: ExitStack, here: QemuMachine, there: QemuMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An emulated guest is gone through once; what is done under KVM can be seen with it as well.
    monkeypatch.setattr(sending, "may_stand", lambda _, passes: may_stand(KVM, passes))

    def narrow(step: str) -> None:
        if step == "copied":
            here.human(SEVEN, "migrate-set-parameters", **SLOWLY)

    source = opened(stack, here, on_step=narrow, migrate_timeout=8.0)
    target = opened(stack, there)
    told: list[Progress] = []
    source.follow(lambda _, progress: told.append(progress))
    start(source)

    with pytest.raises(HypervisorFailed) as caught:
        source.send(SEVEN, target.prepare_target(BUSY, PEER))

    assert "it took too long: " in caught.value.message
    assert "MiB of its memory were left, and it changes " in caught.value.message
    assert any("dirtied at " in one.words and "slowed down by " in one.words for one in told)
    assert all(one.rate < 64 * MIB for one in told)
    assert found(source) is Found.RUNNING


def test_an_emulated_guest_that_is_quicker_than_the_network_stands_until_all_is_there(
    stack: ExitStack, here: QemuMachine, there: QemuMachine
) -> None:
    def narrow(step: str) -> None:
        if step == "copied":
            here.human(SEVEN, "migrate-set-parameters", **SLOWLY)

    source, target = opened(stack, here, on_step=narrow), opened(stack, there)
    start(source)

    source.send(SEVEN, target.prepare_target(BUSY, PEER))
    target.run(SEVEN)

    assert (found(source), found(target)) == (Found.LEFT, Found.RUNNING)
