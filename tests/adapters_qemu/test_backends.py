"""A host whose guests were begun in one way is not taken over by another."""

from pathlib import Path

import pytest

from contracts.machines import a_spec
from tashi.adapters.hypervisor.qemu.backends import check_backend
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.places import Places, Premises
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.domain.engine import LIBVIRT, QEMU, Hardware
from tashi.domain.errors import Misconfigured
from tashi.domain.guest import Ending


@pytest.fixture
def premises(tmp_path: Path) -> Premises:
    (tmp_path / "notes").mkdir()
    return Premises(tmp_path, tmp_path / "scratch")


def keep(premises: Premises, key: int, backend: str, **more: object) -> GuestFolder:
    folder = GuestFolder(Places(premises.info / str(key)))
    folder.make()
    hardware = Hardware(machine="q35", cpu="qemu64", accel="tcg", qemu="7.2", backend=backend)
    folder.write(Record(spec=a_spec(key), hardware=hardware, **more))  # type: ignore[arg-type]
    return folder


def test_guests_of_the_same_backend_are_welcome(premises: Premises) -> None:
    keep(premises, 7, LIBVIRT)

    check_backend(premises, LIBVIRT)


@pytest.mark.parametrize(("theirs", "ours"), [(QEMU, LIBVIRT), (LIBVIRT, QEMU)])
def test_guests_of_another_backend_are_named(premises: Premises, theirs: str, ours: str) -> None:
    keep(premises, 12, theirs)
    keep(premises, 7, theirs)
    keep(premises, 8, ours)

    with pytest.raises(Misconfigured, match=r"instances 7, 12 are here .* empty this host"):
        check_backend(premises, ours)


def test_guests_that_are_over_are_nobodys(premises: Premises) -> None:
    keep(premises, 7, QEMU, ending=Ending.CRASHED)
    keep(premises, 8, QEMU, move=Move.LEFT)

    check_backend(premises, LIBVIRT)


def test_a_folder_that_says_nothing_is_nobodys_unless_a_qemu_holds_it(premises: Premises) -> None:
    folder = keep(premises, 7, QEMU)
    folder.places.record.unlink()
    check_backend(premises, LIBVIRT)

    with folder.held(), pytest.raises(Misconfigured, match="instances 7 are"):
        check_backend(premises, LIBVIRT)
