"""Saved memory in the image store: whether it is there can only be told while the store is."""

import errno
import os
from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu.saved import SavedMemory
from tashi.domain.errors import HypervisorFailed, NoSuchImage, UnableToSuspend


@pytest.fixture
def saved(tmp_path: Path) -> SavedMemory:
    (tmp_path / "images").mkdir()
    (tmp_path / "suspend").mkdir()
    return SavedMemory(tmp_path / "suspend")


def test_memory_is_found_once_it_has_its_name(saved: SavedMemory) -> None:
    saved.partial("7-2").write_bytes(b"half")
    before = saved.find("7-2")
    saved.keep("7-2")

    assert not before
    assert saved.find("7-2")
    assert saved.place("7-2").read_bytes() == b"half"


def test_memory_that_was_used_is_there_but_not_to_be_used(saved: SavedMemory) -> None:
    saved.place("7-2").write_bytes(b"whole")

    saved.use("7-2")
    saved.use("7-2")

    assert saved.has("7-2")
    with pytest.raises(NoSuchImage, match="used before"):
        saved.check_unused("7-2")


def test_memory_whose_name_may_not_outlive_a_power_cut_loses_it_again(
    saved: SavedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    saved.partial("7-2").write_bytes(b"whole")
    monkeypatch.setattr("tashi.adapters.hypervisor.qemu.saved.sync", fail)

    with pytest.raises(OSError, match="Input/output error"):
        saved.keep("7-2")
    left = saved.has("7-2")
    saved.drop("7-2")

    assert not left
    assert list(saved.folder.iterdir()) == []


def test_what_was_not_completed_is_dropped(saved: SavedMemory) -> None:
    saved.partial("7-2").write_bytes(b"half")

    saved.drop("7-2")
    saved.drop("7-2")

    assert list(saved.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../7", ".7", "7.used", "a/b"])
def test_what_is_no_name_names_nothing(saved: SavedMemory, name: str) -> None:
    with pytest.raises(HypervisorFailed, match="no name"):
        saved.place(name)


def test_a_store_that_is_away_does_not_say_that_memory_is_not_there(saved: SavedMemory) -> None:
    (saved.folder.parent / "images").rename(saved.folder.parent / "elsewhere")

    with pytest.raises(UnableToSuspend, match="cannot be read"):
        saved.find("7-2")
