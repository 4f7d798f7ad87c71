"""Disks come back from the image store however long that takes, whole, and unless called back."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from contracts.machines import IDLE, a_spec
from tashi.adapters.hypervisor.qemu import disk_store, disks
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore
from tashi.adapters.hypervisor.qemu.disks import Disks, MadeDisks
from tashi.adapters.hypervisor.qemu.folder import sync
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.storing import Storing
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import CommandFailed, HypervisorFailed
from tashi.domain.identity import Attempt
from tashi.domain.instance import Disk
from tashi.ports.commands import NO_DESCRIPTORS, Commands, Descriptors, Leash

if TYPE_CHECKING:
    from tashi.domain.guest import Progress

WAIT = 30.0
SPEC = replace(a_spec(), disks=(Disk(IDLE),), attempt=Attempt(3), stored="7-a2")
SEVEN = SPEC.instance_id


class SlowCopies(SystemCommands):
    """Copies half of a disk and then waits, for its leash or to be let; rebases nothing.

    What has a limit of time is out of it.
    """

    def __init__(self) -> None:
        self.halfway, self.go_on = Event(), Event()

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_seconds: float,
        folder: str | None = None,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        if arguments[0] == "cp":
            raise CommandFailed(f"cp had not ended after {timeout_seconds:g} s and was killed.")
        return ""

    def follow(
        self,
        arguments: Sequence[str],
        *,
        hear: Callable[[str], None],
        leash: Leash,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        *_, source, target = map(Path, arguments)
        content = source.read_bytes()
        target.write_bytes(content[: len(content) // 2])
        leash.attach(self.go_on.set)
        self.halfway.set()
        assert self.go_on.wait(WAIT)
        if leash.pulled:
            raise CommandFailed("cp was killed by signal 9: it said nothing")
        target.write_bytes(content)
        return ""


class Bench:
    """A guest whose disk is in the store."""

    def __init__(self, folder: Path, commands: Commands) -> None:
        self.told: list[Progress] = []
        self.premises = Premises(folder / "info", folder / "scratch")
        for one in (folder / "images", folder / "suspend", self.premises.info):
            one.mkdir()
        (folder / "images" / IDLE).write_bytes(bytes(512))
        self.stored = folder / "suspend" / "7-a2.disk0.qcow2"
        self.stored.write_bytes(b"x" * (1 << 20))
        images, store = Images(folder / "images"), DiskStore(folder / "suspend", commands)
        tell = self.told.append
        self.disks = Disks(
            self.premises, images, commands, store, lambda _, progress: tell(progress)
        )
        self.storing = Storing(self.disks, lambda _guest, _progress: None)
        self.failed: list[HypervisorFailed] = []
        self.starting = Thread(target=self._make)

    def _make(self) -> None:
        try:
            self.disks.make(SPEC, MadeDisks())
        except HypervisorFailed as failed:
            self.failed.append(failed)

    @property
    def disk(self) -> Path:
        return self.premises.disk(SEVEN, "0")


def test_a_disk_is_fetched_however_long_that_takes_and_people_see_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_store, "_LOOK_SECONDS", 0.01)
    commands = SlowCopies()
    bench = Bench(tmp_path, commands)

    bench.starting.start()
    while bench.starting.is_alive() and not any(one.done for one in bench.told):
        bench.starting.join(0.01)
    commands.go_on.set()
    bench.starting.join()

    assert bench.failed == []
    assert bench.disk.read_bytes() == bench.stored.read_bytes()
    assert any((1 << 18) < one.done <= one.total == 1 << 20 for one in bench.told)


def test_a_start_that_is_called_back_waits_for_no_disk(tmp_path: Path) -> None:
    commands = SlowCopies()
    bench = Bench(tmp_path, commands)

    bench.starting.start()
    assert commands.halfway.wait(WAIT)
    bench.storing.give_up(SEVEN, "7-a3")
    bench.starting.join()

    assert "nobody waits for it any more" in bench.failed[0].message
    assert list(bench.disk.parent.iterdir()) == []


def test_a_start_that_was_called_back_before_it_began_fetches_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemCommands())

    bench.storing.give_up(SEVEN, "7-a3")
    bench.starting.start()
    bench.starting.join()

    assert "nobody waits for it any more" in bench.failed[0].message


def test_a_start_is_not_called_back_with_the_one_before_it(tmp_path: Path) -> None:
    commands = SlowCopies()
    commands.go_on.set()
    bench = Bench(tmp_path, commands)

    bench.storing.give_up(SEVEN, "7-a2")
    bench.starting.start()
    bench.starting.join()

    assert bench.failed == []


def test_a_fetched_disk_has_its_name_only_once_it_outlives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = SlowCopies()
    commands.go_on.set()
    bench = Bench(tmp_path, commands)
    synced: list[tuple[str, bool]] = []

    def sync_and_tell(path: Path) -> None:
        sync(path)
        synced.append((path.name, bench.disk.exists()))

    monkeypatch.setattr(disks, "sync", sync_and_tell)
    bench.disks.make(SPEC, MadeDisks())

    assert synced == [(f"{bench.disk.name}.new", False), (bench.disk.parent.name, True)]
