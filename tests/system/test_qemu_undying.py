"""Guests that are not as they were left: saved, gone, or with a QEMU that does not die.

Tashi watches processes of its own here; with libvirt it is libvirtd that does, and ends them.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from contracts.machines import POWERS_OFF, Heard, QemuMachine, a_spec
from tashi.adapters.hypervisor.qemu import adoption, ending
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.places import Places
from tashi.adapters.hypervisor.qemu.process import Process
from tashi.adapters.hypervisor.qemu.record import Move
from tashi.domain.errors import HypervisorFailed
from tashi.domain.guest import Ending
from tashi.domain.identity import Attempt, InstanceId
from tashi.ports.hypervisor import Found, Happening

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)
EIGHT = InstanceId(8)


@pytest.mark.parametrize("dies_meanwhile", [False, True])
def test_a_saved_guest_whose_qemu_does_not_die_is_ended_when_that_is_asked_again(
    qemu: Qemu, machine: QemuMachine, heard: Heard, dies_meanwhile: bool
) -> None:
    running = qemu.start(a_spec())
    with undying():
        for _ in range(2):
            with pytest.raises(HypervisorFailed, match="does not die"):
                qemu.save(SEVEN, "7-1")
    if dies_meanwhile:
        machine.crash(running)

    qemu.save(SEVEN, "7-1")
    ended = machine.qemus()
    qemu.restore(a_spec(attempt=Attempt(2), keep_disks=True), "7-1")

    assert ended == []
    assert heard.nothing


def test_a_folder_that_a_stranger_holds_keeps_no_other_guest_from_being_found(
    opened: Callable[..., Qemu], machine: QemuMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_APPEARS_WITHIN_SECONDS", 0.0)
    first = opened()
    running = [first.start(a_spec(7)), first.start(a_spec(8))]
    machine.crash(running[0])
    first.close()

    with GuestFolder(Places(machine.info / "7")).held():
        held, other = opened().adopt()

    assert (held.found, held.running) == (Found.RUNNING, running[0])
    assert "fuser" in held.words
    assert (other.found, other.running) == (Found.RUNNING, running[1])


def test_a_guest_that_does_not_die_is_not_taken_for_dead_though_its_lock_was_removed(
    qemu: Qemu, machine: QemuMachine
) -> None:
    running = qemu.start(a_spec())
    (machine.info / "7" / "lock").unlink()

    with undying(), pytest.raises(HypervisorFailed, match="does not die"):
        qemu.kill(SEVEN)
    with pytest.raises(HypervisorFailed, match="has a guest here already"):
        qemu.start(a_spec(attempt=Attempt(2)))
    alive = machine.qemus()
    qemu.kill(SEVEN)

    assert alive == [running.vm_id]
    assert machine.qemus() == []


def test_a_guest_that_has_left_and_does_not_die_is_found_so(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    first = opened()
    first.start(a_spec())
    first.close()
    folder = GuestFolder(Places(machine.info / "7"))
    record = folder.read()
    assert record is not None
    folder.write(replace(record, move=Move.LEFT))

    with undying():
        [found] = opened().adopt()

    assert found.found is Found.LEFT


def test_a_guest_that_powered_off_and_does_not_die_is_news_when_it_does(
    opened: Callable[..., Qemu], machine: QemuMachine, heard: Heard
) -> None:
    powered_off_unseen(opened(), machine)

    with undying():
        [found] = opened().adopt()
    assert found.running is not None
    machine.crash(found.running)
    news = heard.next()

    assert found.found is Found.RUNNING
    assert "does not die" in found.words
    assert (news.what, news.how) == (Happening.ENDED, Ending.POWERED_OFF)


def test_how_a_guest_ended_is_found_though_it_cannot_be_written_down(
    opened: Callable[..., Qemu], machine: QemuMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    powered_off_unseen(opened(), machine)
    monkeypatch.setattr(GuestFolder, "write", fail)

    [found] = opened().adopt()

    assert (found.found, found.how) == (Found.GONE, Ending.POWERED_OFF)
    assert machine.qemus() == []


def test_a_guest_that_powered_off_unseen_is_found_so(
    opened: Callable[..., Qemu], machine: QemuMachine
) -> None:
    powered_off_unseen(opened(), machine)

    [found] = opened().adopt()

    assert (found.found, found.how) == (Found.GONE, Ending.POWERED_OFF)
    assert machine.qemus() == []


def powered_off_unseen(qemu: Qemu, machine: QemuMachine) -> None:
    """Let a guest power itself off while nobody watches."""
    qemu.start(a_spec(image=POWERS_OFF))
    qemu.pause(SEVEN)
    qemu.close()
    machine.human(SEVEN, "cont", until="SHUTDOWN")


@contextmanager
def undying() -> Iterator[None]:
    """While no QEMU dies of a signal, like one that waits for a disk that is away (state D)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Process, "signal", lambda _self, _number: None)
        patch.setattr(ending, "root_out", lambda _file, _seconds: False)
        for name in ("_POLITE_SECONDS", "_DEADLY_SECONDS"):
            patch.setattr(ending, name, 0.0)
        yield
