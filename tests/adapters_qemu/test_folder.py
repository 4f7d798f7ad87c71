"""A guest that is sent is here, as its folder says, until it is written down that it has left."""

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.machines import a_spec
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.places import Places
from tashi.adapters.hypervisor.qemu.record import Move, Record
from tashi.adapters.hypervisor.qemu.remembered import Remembered

SENT = Record(spec=a_spec(), move=Move.SENDING)


@pytest.fixture
def folder(tmp_path: Path) -> GuestFolder:
    made = GuestFolder(Places(tmp_path / "7"))
    made.make()
    made.write(SENT)
    return made


def test_a_guest_that_is_to_leave_is_here_until_the_word_is_written(folder: GuestFolder) -> None:
    guest = Remembered(folder, SENT)

    guest.prepare_departure()
    before = folder.read()
    guest.depart()

    assert before == SENT
    assert folder.read() == guest.record == replace(SENT, move=Move.LEFT)


def test_the_word_is_written_in_the_place_of_another(folder: GuestFolder) -> None:
    guest = Remembered(folder, SENT)
    guest.prepare_departure()
    before = folder.places.departure.stat()

    guest.depart()

    after = folder.places.departure.stat()
    assert (after.st_ino, after.st_size, after.st_blocks) == (
        before.st_ino,
        before.st_size,
        before.st_blocks,
    )


def test_a_guest_leaves_without_preparation_too(folder: GuestFolder) -> None:
    Remembered(folder, SENT).depart()

    assert folder.read() == replace(SENT, move=Move.LEFT)


@pytest.mark.parametrize("move", [None, Move.RECEIVING])
def test_a_guest_that_stays_or_comes_back_has_not_left(
    move: Move | None, folder: GuestFolder
) -> None:
    guest = Remembered(folder, SENT)
    guest.depart()

    guest.remember(lambda record: replace(record, move=move))

    assert folder.read() == replace(SENT, move=move)
    assert not folder.places.departure.exists()


def test_what_is_learned_of_a_guest_that_has_left_does_not_bring_it_back(
    folder: GuestFolder,
) -> None:
    guest = Remembered(folder, SENT)
    guest.depart()

    guest.remember(lambda record: replace(record, incoming="x"))

    assert folder.read() == replace(SENT, move=Move.LEFT, incoming="x")


def test_where_it_cannot_be_written_the_guest_has_not_left(folder: GuestFolder) -> None:
    guest = Remembered(folder, SENT)
    folder.places.departure.mkdir()

    with pytest.raises(OSError, match="directory"):
        guest.depart()

    assert guest.record == SENT
