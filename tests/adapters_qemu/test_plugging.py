"""What a guest wrote to a plugged disk stays, whatever becomes of the device meanwhile."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from contracts.machines import A_NIC, IDLE, a_spec
from tashi.adapters.hypervisor.qemu import devices
from tashi.adapters.hypervisor.qemu.command_line import DiskFile
from tashi.adapters.hypervisor.qemu.devices import Drive
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore
from tashi.adapters.hypervisor.qemu.disks import Disks, MadeDisks
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.images import Images
from tashi.adapters.hypervisor.qemu.places import Premises
from tashi.adapters.hypervisor.qemu.plugging import Plugging
from tashi.adapters.hypervisor.qemu.record import Record
from tashi.adapters.hypervisor.qemu.remembered import Pluggable
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import HypervisorFailed
from tashi.domain.instance import Disk, Nic

WRITTEN: Final = b"The guest wrote this."
PLAIN: Final = a_spec()
FULL: Final = replace(PLAIN, disks=(*PLAIN.disks, Disk(IDLE, port=1)))
WITH_CARD: Final = replace(FULL, nics=(A_NIC, replace(A_NIC, mac="52:54:00:12:34:57", port=2)))


class Ports:
    """The ports of a guest, which somebody else empties or that answer too late."""

    def __init__(self) -> None:
        self.devices: set[str] = set()
        self.is_late = False
        self.falls_silent = False
        self.is_silent = False
        self.refusal = ""

    def there(self, guest: Pluggable) -> set[str]:
        if self.is_silent:
            raise HypervisorFailed("QEMU did not answer qom-list within 1 s.")
        return set(self.devices)

    def put_disk(self, guest: Pluggable, drive: Drive, file: DiskFile) -> None:
        assert Path(file.path).exists()
        if self.refusal:
            raise HypervisorFailed(f"QEMU refused blockdev-add: {self.refusal}")
        self._put(drive.name)

    def put_card(self, guest: Pluggable, nic: Nic) -> None:
        self._put(devices.card_name(nic.port))

    def ask_back(self, guest: Pluggable, name: str) -> None:
        self.devices.discard(name)

    def clear_disk(self, guest: Pluggable, drive: Drive) -> None:
        """Nothing is left of it."""

    def clear_card(self, guest: Pluggable, nic: Nic) -> None:
        """Nothing is left of it."""

    def change_medium(self, guest: Pluggable, medium: DiskFile | None) -> None:
        """There is none."""

    def cards(self, guest: Pluggable, nics: tuple[Nic, ...]) -> tuple[Nic, ...]:
        self.there(guest)
        return nics

    def _put(self, name: str) -> None:
        self.devices.add(name)
        if self.is_late:
            self.is_silent = self.falls_silent
            raise HypervisorFailed("QEMU did not answer device_add within 1 s.")


class Bench:
    """A guest with a plugged disk that it has written to."""

    def __init__(self, folder: Path) -> None:
        premises = Premises(folder / "info", folder / "scratch")
        for one in (folder / "images", premises.info, premises.overlays):
            one.mkdir(parents=True)
        (folder / "images" / IDLE).write_bytes(bytes(512))
        store = DiskStore(folder / "suspend", SystemCommands())
        self.disks = Disks(premises, Images(folder / "images"), SystemCommands(), store)
        self.ports = Ports()
        self.plugging: Plugging[Pluggable] = Plugging(self.ports, self.disks, 1.0, lambda: None)
        place = GuestFolder(premises.of(PLAIN.instance_id))
        place.make()
        self.guest = Pluggable(place, Record(spec=PLAIN))
        self.overlay = premises.disk(PLAIN.instance_id, "p1")

    def write(self) -> None:
        """Let the guest write to its disk, which is there."""
        with self.overlay.open("r+b") as disk:
            disk.seek(0, os.SEEK_END)
            disk.write(WRITTEN)

    def remembered(self) -> Record:
        """What a node manager that is started now finds."""
        record = self.guest.folder.read()
        assert record is not None
        return record

    @property
    def is_kept(self) -> bool:
        """Whether that is there."""
        return self.overlay.read_bytes().endswith(WRITTEN)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.plugging.alter(made.guest, FULL)
    made.write()
    return made


def test_a_disk_that_somebody_else_has_locked_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.ports.refusal = 'Failed to get "write" lock'

    with pytest.raises(HypervisorFailed) as caught:
        bench.plugging.alter(bench.guest, FULL)

    words = f"Disk {IDLE} is in use by another guest or program, which has locked it."
    assert caught.value.message == words


def test_a_disk_that_the_guest_let_go_of_comes_back_as_it_was(bench: Bench) -> None:
    bench.ports.devices.clear()

    bench.plugging.alter(bench.guest, WITH_CARD)

    assert bench.ports.devices == {"plug1", "nic2"}
    assert bench.is_kept


def test_it_does_so_too_after_an_alteration_that_failed(bench: Bench) -> None:
    bench.ports.devices.clear()
    bench.ports.is_late = True
    with pytest.raises(HypervisorFailed):
        bench.plugging.alter(bench.guest, WITH_CARD)
    bench.ports.devices.clear()
    bench.ports.is_late = False

    bench.plugging.alter(bench.guest, WITH_CARD)

    assert bench.is_kept


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_disk_that_is_in_too_late_is_not_taken_from_under_the_guest(
    tmp_path: Path, is_silent: bool
) -> None:
    bench = Bench(tmp_path)
    bench.ports.is_late, bench.ports.falls_silent = True, is_silent
    with pytest.raises(HypervisorFailed, match="device_add"):
        bench.plugging.alter(bench.guest, FULL)
    bench.write()
    bench.ports.is_late = bench.ports.is_silent = False
    bench.plugging.alter(bench.guest, FULL)

    assert bench.is_kept
    assert bench.guest.record.spec == FULL


@pytest.mark.parametrize("dies", [False, True])
def test_what_was_not_plugged_in_while_the_monitor_hung_is_forgotten_when_it_answers(
    tmp_path: Path, dies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.ports.is_late, bench.ports.falls_silent = True, True
    with pytest.raises(HypervisorFailed, match="device_add"):
        bench.plugging.alter(bench.guest, FULL)
    bench.ports.devices.clear()
    if dies:
        bench.guest = Pluggable(bench.guest.folder, bench.remembered())

    with pytest.raises(HypervisorFailed, match="qom-list"):
        bench.plugging.settle(bench.guest)
    meanwhile = bench.guest.record.spec
    bench.ports.is_silent = False
    bench.plugging.settle(bench.guest)

    assert meanwhile == FULL
    assert bench.remembered().spec == PLAIN
    assert not bench.overlay.exists()


def test_what_went_in_while_the_monitor_hung_is_remembered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.ports.is_late, bench.ports.falls_silent = True, True
    with pytest.raises(HypervisorFailed, match="device_add"):
        bench.plugging.alter(bench.guest, FULL)
    bench.write()
    bench.ports.is_silent = False

    bench.plugging.settle(bench.guest)

    assert bench.remembered().spec == FULL
    assert bench.is_kept


def test_a_card_that_is_in_when_the_monitor_falls_silent_is_in(bench: Bench) -> None:
    def fall_silent(step: str) -> None:
        bench.ports.is_silent = step == "plugged"

    replace(bench.plugging, on_step=fall_silent).alter(bench.guest, WITH_CARD)

    assert bench.ports.is_silent
    assert bench.remembered().spec == WITH_CARD
    assert bench.remembered().plugging == ()


def test_a_disk_that_the_guest_let_go_of_stays_when_there_is_nothing_to_settle(
    bench: Bench,
) -> None:
    bench.ports.devices.clear()

    bench.plugging.settle(bench.guest)

    assert bench.remembered().spec == FULL
    assert bench.is_kept


def test_a_disk_that_is_plugged_in_again_is_new(bench: Bench) -> None:
    bench.plugging.alter(bench.guest, PLAIN)
    gone = not bench.overlay.exists()

    bench.plugging.alter(bench.guest, FULL)

    assert gone
    assert not bench.is_kept


def test_what_has_a_disks_name_is_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Died(BaseException):
        """The program was killed here."""

    def die(self: Path, target: Path) -> None:
        raise Died

    [drive] = [one for one in devices.drives(FULL) if one.port]
    bench.overlay.unlink()
    monkeypatch.setattr(Path, "rename", die)
    monkeypatch.setattr(Path, "unlink", lambda _path, missing_ok=False: None)
    with pytest.raises(Died):
        bench.disks.make_one(FULL, drive, MadeDisks())
    monkeypatch.undo()
    half_made = list(bench.overlay.parent.iterdir())
    has = bench.disks.has(PLAIN.instance_id, drive)
    bench.disks.remove(PLAIN.instance_id)

    assert not has
    assert len(half_made) == 1
    assert list(bench.overlay.parent.iterdir()) == []
