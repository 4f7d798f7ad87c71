"""What a guest left is copied into the image store, watched, and given up when it is to be."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from fakes.commands import ScriptedCommands, fails
from tashi.adapters.hypervisor.qemu import disk_store
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore
from tashi.adapters.hypervisor.qemu.disks import Disks
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.storing import Storing
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import CommandFailed, HypervisorFailed, NoSuchVm
from tashi.domain.identity import InstanceId
from tashi.ports.commands import NO_DESCRIPTORS, Commands, Descriptors, Leash

if TYPE_CHECKING:
    from tashi.domain.guest import Progress

SEVEN = InstanceId(7)
SIZE = 1 << 20


class SlowCopies(SystemCommands):
    """Copies half of a file, and the rest only when it is let; or is killed meanwhile."""

    def __init__(self) -> None:
        self.halfway, self.go_on = Event(), Event()

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
        self.go_on.wait()
        if leash.pulled:
            raise CommandFailed("cp was killed by signal 9: it said nothing")
        target.write_bytes(content)
        return ""


class Bench:
    """A guest that has ended with one disk, and a store for it."""

    def __init__(
        self, folder: Path, commands: Commands, on_step: Callable[[str], None] = lambda _: None
    ) -> None:
        self.told: list[Progress] = []
        self.suspended = folder / "suspend"
        premises = Premises(folder / "info", folder / "scratch")
        store = DiskStore(self.suspended, commands)
        disks = Disks(premises, Images(folder / "images"), commands, store)
        self.storing = Storing(disks, lambda _, progress: self.told.append(progress), on_step)
        premises.info.mkdir()
        premises.overlays.mkdir(parents=True)
        GuestFolder(premises.of(SEVEN)).make()
        premises.disk(SEVEN, "0").write_bytes(b"x" * SIZE)

    def names(self) -> set[str]:
        return {one.name for one in self.suspended.iterdir()}


def test_disks_and_the_console_are_complete_under_their_names(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemCommands())

    bench.storing.put_all(SEVEN, "7-a1")

    assert bench.names() == {"7-a1.disk0.qcow2", "7-a1.console"}
    assert (bench.suspended / "7-a1.disk0.qcow2").stat().st_size == SIZE


def test_people_see_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_store, "_LOOK_SECONDS", 0.01)
    commands = SlowCopies()
    bench = Bench(tmp_path, commands)
    copying = Thread(target=bench.storing.put_all, args=(SEVEN, "7-a1"))

    copying.start()
    commands.halfway.wait()
    while not any(one.done for one in bench.told):
        copying.join(0.01)
    commands.go_on.set()
    copying.join()

    assert any(SIZE // 4 < one.done <= one.total == SIZE for one in bench.told)
    assert bench.names() == {"7-a1.disk0.qcow2", "7-a1.console"}


def test_a_copy_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    commands = SlowCopies()
    bench = Bench(tmp_path, commands)
    failed: list[HypervisorFailed] = []

    def put() -> None:
        try:
            bench.storing.put_all(SEVEN, "7-a1")
        except HypervisorFailed as error:
            failed.append(error)

    copying = Thread(target=put)
    copying.start()
    commands.halfway.wait()
    bench.storing.give_up(SEVEN)
    copying.join()

    assert "nobody waits for it any more" in failed[0].message
    assert bench.names() == set()


def test_parts_that_were_complete_are_removed_when_the_others_are_given_up(tmp_path: Path) -> None:
    complete: list[set[str]] = []

    def give_up(step: str) -> None:
        if step == "stored-part":
            complete.append(bench.names())
            bench.storing.give_up(SEVEN)

    bench = Bench(tmp_path, SystemCommands(), give_up)

    with pytest.raises(HypervisorFailed, match="nobody waits for it any more"):
        bench.storing.put_all(SEVEN, "7-a1")

    assert complete == [{"7-a1.disk0.qcow2"}]
    assert bench.names() == set()


def test_what_cannot_be_removed_again_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = tmp_path / "suspend/7-a1.disk0.qcow2"

    def give_up(step: str) -> None:
        if step == "stored-part" and part.is_file():
            part.unlink()
            part.mkdir()  # which unlink(2) refuses to remove
            bench.storing.give_up(SEVEN)

    bench = Bench(tmp_path, SystemCommands(), give_up)

    with pytest.raises(HypervisorFailed, match="nobody waits for it any more"):
        bench.storing.put_all(SEVEN, "7-a1")

    [line] = caplog.messages
    assert line == f"{part} is of no use and cannot be removed (Is a directory): remove it by hand."


def test_a_copy_that_fails_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedCommands(cp=fails("No space left on device")))

    with pytest.raises(HypervisorFailed, match="No space left on device"):
        bench.storing.put_all(SEVEN, "7-a1")

    assert bench.names() == set()


def test_there_may_be_nothing_to_store_and_nothing_to_give_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SystemCommands())

    bench.storing.give_up(SEVEN)

    with pytest.raises(NoSuchVm):
        bench.storing.put_all(InstanceId(8), "8-a1")
