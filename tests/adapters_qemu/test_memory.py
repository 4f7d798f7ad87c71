"""Saved memory in the image store: whether it is there can only be told while the store is."""

from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu.memory import Memory
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import UnableToSuspend


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    (tmp_path / "images").mkdir()
    (tmp_path / "suspend").mkdir()
    return Memory(
        folder=tmp_path / "suspend",
        commands=SystemCommands(),
        squeeze=("zstd", "-1"),
        unsqueeze=("zstdcat",),
        limit_seconds=10.0,
    )


def test_memory_is_found_once_it_has_its_name(memory: Memory) -> None:
    (memory.folder / ".7-2.partial").write_bytes(b"half")
    before = memory.find("7-2")
    (memory.folder / "7-2").write_bytes(b"whole")

    assert not before
    assert memory.find("7-2")


def test_a_store_that_is_away_does_not_say_that_memory_is_not_there(memory: Memory) -> None:
    (memory.folder.parent / "images").rename(memory.folder.parent / "elsewhere")

    with pytest.raises(UnableToSuspend, match="cannot be read"):
        memory.find("7-2")
