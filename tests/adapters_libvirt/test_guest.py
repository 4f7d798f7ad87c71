"""What a domain does while something is asked of it is not overtaken by the answer.

libvirt's driver for tests, inside this process, has the domain.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from contracts.machines import a_spec
from system.counting import until
from tashi.adapters.hypervisor.libvirt import guest as guest_module
from tashi.adapters.hypervisor.libvirt.channel import AGENT_CHANGED, Domain, Silent
from tashi.adapters.hypervisor.libvirt.guest import Guest, Surroundings
from tashi.adapters.hypervisor.libvirt.link import Link, find
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.hypervisor.qemu.record import Record

SECONDS = 60.0
SPEC = a_spec()
DOMAIN = """\
<domain type='test'><name>seven</name><uuid>{uuid}</uuid><memory>1024</memory>\
<os><type>hvm</type></os></domain>
"""


class Bench:
    """A guest in a domain that does nothing; its jobs wait until they are asked for."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.link = Link("test:///default", SECONDS, lambda *_: None, lambda: None)
        stack.callback(self.link.close)
        self.reactor = Reactor()
        stack.callback(self.reactor.close)
        self._jobs: list[Callable[[], None]] = []
        around = Surroundings(
            link=self.link,
            reactor=self.reactor,
            later=self._jobs.append,
            tell=lambda _: None,
            over=lambda _: None,
            gone_on=lambda _guest, _progress: None,
            patience=SECONDS,
        )
        place = GuestFolder(Premises(folder / "info", folder / "scratch").of(SPEC.instance_id))
        self.guest = Guest(place, Record(spec=SPEC), around)
        self.link.ask(lambda connection: connection.createXML(DOMAIN.format(uuid=self.guest.uuid)))
        stack.callback(self.destroy)

    def destroy(self) -> None:
        """End the domain, if it is there."""
        domain = self.link.ask(lambda connection: find(connection, self.guest.uuid))
        if domain is not None:
            domain.destroy()

    def do_jobs(self) -> None:
        """Do what waits, and what that leads to."""
        while self._jobs:
            self._jobs.pop(0)()

    def is_quiet(self) -> bool:
        """Whether nothing goes on in the reactor by itself, of all that was begun."""

        async def is_quiet() -> bool:
            return not self.reactor._own

        return self.reactor.call(is_quiet())

    @property
    def asks_the_agent(self) -> bool:
        """Whether it does, once everything that was posted is done."""

        async def asks() -> bool:
            return self.guest._agent._stop is not None

        return self.reactor.call(asks())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack, tmp_path)


def test_nobody_presses_the_button_of_a_guest_that_ends_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(domain: Domain) -> None:
        domain.destroy()
        bench.guest.look()

    monkeypatch.setattr(guest_module, "_FIRST_PRESS_SECONDS", 0.0)
    monkeypatch.setattr(guest_module, "_press", end)

    bench.guest.power_down()

    assert bench.guest.ended.is_set()
    until(bench.is_quiet, lambda: "Somebody still presses it.")


def test_an_agent_that_comes_while_it_is_looked_for_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter((False, True))

    def look(_described: str) -> bool:
        answer = next(answers)
        if not answer:
            bench.guest.hear(AGENT_CHANGED, 0)
        return answer

    monkeypatch.setattr(guest_module, "has_agent", look)

    bench.guest.look_for_the_agent()
    bench.do_jobs()

    assert bench.asks_the_agent


def test_the_agent_of_a_guest_that_is_let_go_meanwhile_is_asked_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_described: str) -> bool:
        bench.guest.is_to_end()
        return True

    monkeypatch.setattr(guest_module, "has_agent", look)

    bench.guest.look_for_the_agent()

    assert not bench.asks_the_agent


def test_an_agent_that_is_asked_while_libvirtd_is_away_holds_up_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, is_back = threading.Event(), threading.Event()

    def wait_for_line(_within: float) -> None:
        asked.set()
        is_back.wait(SECONDS)
        raise Silent("libvirtd does not answer.")

    monkeypatch.setattr(bench.link, "_wait_for_line", wait_for_line)
    answer = bench.reactor._submit(bench.guest._addresses())
    try:
        assert asked.wait(SECONDS)
        passed_by = threading.Event()
        bench.reactor.post(passed_by.set)
        assert passed_by.wait(SECONDS / 4)
    finally:
        is_back.set()

    assert answer.result(SECONDS) == []
