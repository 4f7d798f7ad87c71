"""What a QEMU does while something is asked of it is not overtaken by the answer."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from contracts.machines import a_spec
from system.counting import until
from tashi.adapters.hypervisor.qemu import guest as guest_module
from tashi.adapters.hypervisor.qemu.adoption import Adoption
from tashi.adapters.hypervisor.qemu.agent import PORT
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.guest import Guest, Surroundings
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.process import Process
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.hypervisor.qemu.record import Record
from tashi.ports.hypervisor import Found

SECONDS = 60.0
SPEC = a_spec()
CLOSED = {"label": PORT, "filename": "unix", "frontend-open": False}


class Bench:
    """A guest whose QEMU is a process that says nothing."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.qemu = stack.enter_context(subprocess.Popen(["sleep", "infinity"]))
        stack.callback(self.qemu.kill)
        self.reactor = Reactor()
        stack.callback(self.reactor.close)
        self.premises = Premises(folder / "info", folder / "scratch")
        place = GuestFolder(self.premises.of(SPEC.instance_id))
        self.around = Surroundings(
            self.reactor, lambda job: job(), lambda _: None, lambda _: None, SECONDS
        )
        process = Process(self.qemu.pid)
        stack.callback(process.close)
        self.guest = Guest(place, Record(spec=SPEC), process, self.around)

    def is_quiet(self) -> bool:
        """Whether nothing goes on in the reactor by itself, of all that was begun."""

        async def is_quiet() -> bool:
            return not self.reactor._own

        return self.reactor.call(is_quiet())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack, tmp_path)


def test_nobody_presses_the_button_of_a_guest_that_has_crashed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_command: str) -> None:
        bench.qemu.kill()
        assert bench.guest.ended.wait(SECONDS)

    monkeypatch.setattr(guest_module, "_FIRST_PRESS_SECONDS", 0.0)
    monkeypatch.setattr(bench.guest, "ask", crash)

    bench.guest.power_down()

    until(bench.is_quiet, lambda: "Somebody still presses it.")


def test_an_agent_that_comes_while_it_is_looked_for_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(*_command: object, **_limits: object) -> object:
        bench.guest._hear("VSERPORT_CHANGE", {"id": PORT, "open": True})
        return [CLOSED]

    monkeypatch.setattr(bench.guest.monitor, "ask", answer)

    bench.reactor.call(bench.guest._look_for_the_agent())

    assert bench.guest._agent._stop is not None


def test_a_guest_that_ends_while_it_is_found_is_not_found_running(bench: Bench) -> None:
    nobody: Any = None
    known = {SPEC.instance_id: bench.guest}
    adoption = Adoption(bench.premises, nobody, nobody, bench.around, known)

    bench.qemu.kill()
    assert bench.guest.ended.wait(SECONDS)

    assert adoption._tell(bench.guest, "running").found is Found.GONE
