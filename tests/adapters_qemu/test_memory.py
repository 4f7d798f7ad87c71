"""Memory on its way to the image store may be called back; the guest then runs on."""

import os
import queue
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, cast

import pytest

from contracts.machines import a_spec
from tashi.adapters.hypervisor.qemu import memory
from tashi.adapters.hypervisor.qemu.memory import Memory
from tashi.adapters.hypervisor.qemu.recall import Recall
from tashi.adapters.hypervisor.qemu.record import Record
from tashi.adapters.hypervisor.qemu.saved import SavedMemory
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import UnableToSuspend

if TYPE_CHECKING:
    from tashi.adapters.hypervisor.qemu.guest import Guest

WAIT = 30.0
NAME = "7-2"


class Endless:
    """A guest whose memory never comes to an end; it is its own monitor."""

    def __init__(self) -> None:
        self.record = Record(spec=a_spec())
        self.id = self.record.spec.instance_id
        self.migrations: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.recalled = Recall()
        self.under_way = Event()
        self.asked: list[str] = []
        self._pipe = -1

    def gone_on(self, _progress: object) -> None:
        """Nobody follows."""

    @property
    def monitor(self) -> "Endless":
        return self

    def give(self, _name: str, end: int, *, within_seconds: float) -> None:
        assert within_seconds
        self._pipe = os.dup(end)

    def remember(self, change: Callable[[Record], Record]) -> None:
        self.record = change(self.record)

    def pause(self) -> None:
        self.asked.append("stop")

    def unpause(self) -> None:
        self.asked.append("cont")

    def ask(self, command: str, **_: object) -> object:
        self.asked.append(command)
        if command == "query-migrate":
            self.under_way.set()
        if command == "migrate_cancel" and self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        return [] if command == "query-migrate-capabilities" else {}


class Bench:
    """A save of such a guest, in a thread of its own."""

    def __init__(self, folder: Path, *squeeze: str) -> None:
        folder.joinpath("suspend").mkdir()
        self.saved = SavedMemory(folder / "suspend")
        self.guest = Endless()
        self.memory = Memory(
            saved=self.saved,
            commands=SystemCommands(),
            squeeze=squeeze,
            unsqueeze=("cat",),
            limit_seconds=4 * WAIT,
        )
        self.failed: list[UnableToSuspend] = []
        self.saving = Thread(target=self._save)

    def _save(self) -> None:
        try:
            with self.guest.recalled.of(NAME):
                self.memory.save(cast("Guest", self.guest), NAME)
        except UnableToSuspend as failed:
            self.failed.append(failed)


@pytest.mark.parametrize("squeeze", [("cat",), ("sleep", "120")], ids=["obedient", "deaf"])
def test_a_save_that_is_called_back_waits_for_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squeeze: tuple[str, ...]
) -> None:
    monkeypatch.setattr(memory, "_LOOK_SECONDS", 0.01)
    bench = Bench(tmp_path, *squeeze)

    bench.saving.start()
    assert bench.guest.under_way.wait(WAIT)
    bench.guest.recalled.note(NAME)
    bench.saving.join()

    assert "it was called back" in bench.failed[0].message
    assert bench.guest.asked[-2:] == ["migrate_cancel", "cont"]
    assert bench.guest.record.saving is None
    assert list((tmp_path / "suspend").iterdir()) == []


def test_a_save_that_was_called_back_before_it_began_does_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "cat")

    bench.guest.recalled.note(NAME)
    bench.saving.start()
    bench.saving.join()

    assert "it was called back" in bench.failed[0].message
    assert bench.guest.asked == []
