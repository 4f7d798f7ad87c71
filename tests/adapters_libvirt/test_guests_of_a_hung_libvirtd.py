"""Guests under a libvirtd that hangs, or is killed, in the middle of what it does with them."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic

import pytest

from contracts.libvirt_machines import LibvirtMachine
from contracts.machines import NEWS_SECONDS, Heard, a_spec
from libvirtds import Libvirtd
from tashi.adapters.hypervisor.libvirt import channel
from tashi.adapters.hypervisor.libvirt.hypervisor import Libvirt
from tashi.domain.errors import UnableToSuspend
from tashi.domain.identity import Attempt, InstanceId

pytestmark = [
    pytest.mark.system,
    pytest.mark.qemu,
    pytest.mark.libvirt,
    pytest.mark.timeout(300),
]

SEVEN = InstanceId(7)
SAVED = "seven"


@pytest.fixture
def machine(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LibvirtMachine]:
    """One whose node manager notices silence after two seconds."""
    monkeypatch.setattr(channel, "_PROBE_SECONDS", 1)
    monkeypatch.setattr(channel, "_PROBES", 1)
    made = LibvirtMachine.made()
    made.daemons = [Libvirtd(tmp_path_factory.mktemp("s") / "lv", "host1")]
    made.daemon.start()
    yield made
    made.close()
    made.daemon.stop()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + NEWS_SECONDS
    while not holds():
        assert monotonic() < deadline, "It never came."
        Event().wait(0.02)


def is_heard(opened: Libvirt) -> bool:
    return opened._link._ear is not None and opened._link._ear.is_alive()


def hung_and_gone_on(libvirtd: Libvirtd) -> None:
    libvirtd.send(signal.SIGCONT)


def killed_and_started_again(libvirtd: Libvirtd) -> None:
    libvirtd.kill()
    libvirtd.start()


@pytest.mark.parametrize("what_then", [hung_and_gone_on, killed_and_started_again])
def test_a_save_in_which_libvirtd_falls_silent_is_done_or_undone(
    machine: LibvirtMachine, what_then: Callable[[Libvirtd], None]
) -> None:
    def hang(step: str) -> None:
        if step == "writing":
            machine.daemon.send(signal.SIGSTOP)

    opened = machine.open(on_step=hang)
    opened.listen(Heard())
    running = opened.start(a_spec())

    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(opened.save, SEVEN, SAVED)
        wait_until(lambda: not is_heard(opened))
        what_then(machine.daemon)
        failed = saving.exception(NEWS_SECONDS)

    is_saved = opened._memory.saved.has(SAVED)
    domains = machine.daemon.virsh("list", "--name").stdout.split()
    if failed is None:
        goes_on = opened.restore(a_spec(attempt=Attempt(2)), SAVED)
    else:
        opened.pause(SEVEN)
        opened.unpause(SEVEN)
        goes_on = running
    opened.kill(SEVEN)
    opened.close()
    assert isinstance(failed, UnableToSuspend | None)
    assert (is_saved, domains) == ((True, []) if failed is None else (False, ["tashi-7"]))
    assert (goes_on.vm_id == running.vm_id) is (failed is not None)
