"""TAPs of guests that begin and end: none is taken away too soon, and none is left."""

from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

import pytest

from adapters_libvirt.pairs import SEVEN, Pair
from contracts.machines import A_NIC, a_spec
from tashi.adapters.hypervisor.libvirt import plugs, taps
from tashi.adapters.hypervisor.libvirt.hypervisor import Libvirt
from tashi.adapters.hypervisor.qemu.disks import MadeDisks
from tashi.adapters.network.guard import NoGuard
from tashi.adapters.network.script import ScriptNetworks
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.network import card_number, tap_name

if TYPE_CHECKING:
    from tashi.ports.hypervisor import Running

pytestmark = [
    pytest.mark.system,
    pytest.mark.qemu,
    pytest.mark.libvirt,
    pytest.mark.timeout(300),
]

SECONDS = 60.0
DEVICES = Path("/sys/class/net")
TAP = DEVICES / "tashi7.0"
PLUGGED = replace(A_NIC, mac="52:54:00:12:34:57", port=2)
PLUGGED_TAP = DEVICES / tap_name(SEVEN, card_number(PLUGGED.port))


@dataclass(frozen=True)
class TidiedNetworks(ScriptNetworks):
    """Remembers whether there still was a TAP whenever they were tidied up."""

    with_tap: list[bool] = field(default_factory=list)

    def tidy(self) -> None:
        self.with_tap.append(TAP.exists())
        super().tidy()


def tidied(folder: Path) -> TidiedNetworks:
    script = folder / "ifup.1"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    commands = SystemCommands()
    return TidiedNetworks(commands, NoGuard(commands), f"{folder}/ifup.")


def wait_for_tidying(opened: Libvirt) -> None:
    """Wait until what is asked of it so far is tidied up."""
    opened._caretaker._thread.submit(lambda: None).result()


def test_the_tap_of_a_guest_that_is_being_made_is_not_taken_for_left_over(pair: Pair) -> None:
    seen: list[bool] = []

    def tidy(step: str) -> None:
        if step == "intent":
            opened.kill(InstanceId(8))  # there is none, but what is left of it is looked for
            wait_for_tidying(opened)
            seen.append(TAP.exists())

    networks = tidied(pair.here.folder)
    opened = pair.open(pair.here, networks=networks, on_step=tidy)
    opened.start(a_spec())

    assert seen == [True]
    assert TAP.exists()


def test_networks_are_tidied_up_once_the_taps_of_ended_guests_are_gone(pair: Pair) -> None:
    networks = tidied(pair.here.folder)
    opened = pair.open(pair.here, networks=networks)
    opened.start(a_spec())
    wait_for_tidying(opened)
    networks.with_tap.clear()

    opened.kill(SEVEN)
    wait_for_tidying(opened)

    assert networks.with_tap
    assert not any(networks.with_tap)


def test_nothing_is_left_of_the_network_of_a_guest_that_was_not_begun(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    unmake = MadeDisks.unmake

    def unmake_late(made: MadeDisks) -> None:
        # Whatever was asked for so far is done while the start is not yet over.
        opened._guests.wait_for_jobs()
        wait_for_tidying(opened)
        unmake(made)

    def fail(step: str) -> None:
        if step == "intent":
            raise HypervisorFailed("It is not to be.")

    monkeypatch.setattr(MadeDisks, "unmake", unmake_late)
    networks = tidied(pair.here.folder)
    opened = pair.open(pair.here, networks=networks, on_step=fail)

    with pytest.raises(HypervisorFailed, match="not to be"):
        opened.start(a_spec())
    opened._guests.wait_for_jobs()
    wait_for_tidying(opened)

    assert not TAP.exists()
    assert networks.with_tap[-1] is False


class Gate:
    """A lock that says when somebody has to wait for it."""

    def __init__(self, waits: Event) -> None:
        self._waits = waits
        self._lock = Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._waits.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_what_is_left_of_a_guest_is_not_looked_for_while_it_begins_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, remove = Event(), taps.remove_all_but

    def remove_late(living: Collection[InstanceId]) -> None:
        beginning.append(pool.submit(opened.start, a_spec()))
        assert goes_on.wait(SECONDS)
        monkeypatch.setattr(taps, "remove_all_but", remove)
        remove(living)

    beginning: list[Future[Running]] = []
    opened = pair.open(
        pair.here,
        networks=tidied(pair.here.folder),
        on_step=lambda step: goes_on.set() if step == "intent" else None,
    )
    wait_for_tidying(opened)
    monkeypatch.setattr(opened, "_tidying", Gate(goes_on))
    monkeypatch.setattr(taps, "remove_all_but", remove_late)

    with ThreadPoolExecutor(1) as pool:
        opened.kill(InstanceId(8))
        wait_for_tidying(opened)
        beginning[0].result(SECONDS)

    assert TAP.exists()


def test_nothing_is_left_of_the_network_of_a_card_that_did_not_get_in(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = tidied(pair.here.folder)
    opened = pair.open(pair.here, networks=networks)
    opened.start(a_spec())
    wait_for_tidying(opened)
    networks.with_tap.clear()
    monkeypatch.setattr(plugs, "card_xml", lambda *_: "<interface type='ethernet'/>")

    with pytest.raises(HypervisorFailed):
        opened.alter(replace(a_spec(), nics=(A_NIC, PLUGGED)))
    wait_for_tidying(opened)

    assert TAP.exists()
    assert not PLUGGED_TAP.exists()
    assert networks.with_tap
