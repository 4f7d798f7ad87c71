"""The log of a console is kept short while QEMU writes it, and is read as if it were whole."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from fakes.commands import ScriptedCommands, fails
from tashi.adapters.hypervisor.qemu import consoles
from tashi.adapters.hypervisor.qemu.consoles import KEPT, MOST, keep_short, shorten
from tashi.adapters.hypervisor.qemu.disk_store import DiskStore, size_of
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.guest import Guest
from tashi.adapters.hypervisor.qemu.guests import Guests
from tashi.adapters.hypervisor.qemu.places import Places, Premises
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.adapters.images.directory import ImageFolder
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.identity import InstanceId
from tashi.ports.commands import Leash

SEVEN = InstanceId(7)
WAIT = 30.0
LINE = b"All work and no play.\n"
LOUD = LINE * (2 * MOST // len(LINE))


@pytest.fixture
def folder(tmp_path: Path) -> GuestFolder:
    made = GuestFolder(Places(tmp_path / "7"))
    made.make()
    return made


def test_a_long_log_is_cut_and_goes_on_where_it_was(folder: GuestFolder) -> None:
    log = folder.places.console_log
    with log.open("ab", buffering=0) as qemu:
        qemu.write(LOUD)

        shorten(log, SystemCommands())
        qemu.write(b"The end.")

    assert KEPT <= size_of(log) <= KEPT + (2 << 20)
    said, end = folder.said(len(LOUD) - 100, 1000)
    assert (said, end) == (LOUD[-100:] + b"The end.", len(LOUD) + 8)


@pytest.mark.parametrize("offset", [0, 1, len(LOUD) // 3, -len(LOUD)])
def test_what_was_cut_is_skipped_and_never_read(folder: GuestFolder, offset: int) -> None:
    folder.places.console_log.write_bytes(LOUD)
    shorten(folder.places.console_log, SystemCommands())

    said, end = folder.said(offset, 1000)

    assert said == LOUD[end - 1000 : end]
    assert len(LOUD) - KEPT - (2 << 20) <= end <= len(LOUD) - KEPT + 1000
    assert folder.said(len(LOUD), 1000) == (b"", len(LOUD))


def test_it_is_skipped_in_the_image_store_too(folder: GuestFolder, tmp_path: Path) -> None:
    log, commands = folder.places.console_log, SystemCommands()
    log.write_bytes(LOUD)
    shorten(log, commands)
    store = DiskStore(tmp_path / "suspend", commands)
    (tmp_path / "images").mkdir()

    store.put(log, "7-a1.console", Leash(), lambda _: None)

    stored = ImageFolder(tmp_path, commands).console("7-a1", 0, 1000)
    assert stored == folder.said(0, 1000)
    assert size_of(tmp_path / "suspend" / "7-a1.console") < MOST


def test_a_short_log_is_left_alone(folder: GuestFolder) -> None:
    folder.places.console_log.write_bytes(LOUD[: MOST - (1 << 20)])
    commands = ScriptedCommands()

    shorten(folder.places.console_log, commands)

    assert commands.ran == []


def test_a_file_system_without_holes_is_told_of(
    folder: GuestFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.places.console_log.write_bytes(LOUD)

    shorten(folder.places.console_log, ScriptedCommands(fallocate=fails("not supported")))

    assert "not supported" in caplog.text
    assert folder.said(0, 10)[0] == LOUD[:10]


class Watched:
    """A guest as far as its folder."""

    def __init__(self, folder: GuestFolder) -> None:
        self.id, self.folder = SEVEN, folder


def test_it_is_looked_after_again_and_again(
    folder: GuestFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = Event()
    monkeypatch.setattr(consoles, "_LOOK_SECONDS", 0.01)
    folder.places.console_log.write_bytes(LOUD)
    guests = Guests[Guest](Premises(tmp_path, tmp_path), "news")
    guests.watched[SEVEN] = cast("Guest", Watched(folder))
    said = _tells(cut.set)
    reactor = Reactor()

    reactor.begin(keep_short(guests, ScriptedCommands(fallocate=said)))

    assert cut.wait(WAIT)
    cut.clear()
    assert cut.wait(WAIT)
    reactor.close()
    guests.close()


def _tells(tell: Callable[[], None]) -> Callable[[object, float], str]:
    def program(_arguments: object, _seconds: float) -> str:
        tell()
        return ""

    return program
