"""Guests that wait until others have left: in time, or called back, or not at all."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from contracts.machines import a_spec
from tashi.adapters.hypervisor.qemu.departing import Departures, Turns
from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.places import Places
from tashi.adapters.hypervisor.qemu.record import Record
from tashi.adapters.hypervisor.qemu.remembered import Pluggable
from tashi.domain.errors import HypervisorFailed

LIMIT = 60.0


class Watched(Turns):
    """Says when somebody waits for a turn."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.waits = Event()

    def take(self, within_seconds: float, is_given_up: Callable[[], bool]) -> bool:
        def look() -> bool:
            self.waits.set()
            return is_given_up()

        return super().take(within_seconds, look)


def guest(folder: Path, key: int) -> Pluggable:
    return Pluggable(GuestFolder(Places(folder / str(key))), Record(spec=a_spec(key)))


def leave(departures: Departures, one: Pluggable, door: str) -> str:
    with departures.turn(one, door):
        return door


def test_who_waits_leaves_when_another_has_left(tmp_path: Path) -> None:
    turns = Watched(1)
    departures = Departures(turns, LIMIT, lambda _: None)
    with ThreadPoolExecutor() as pool, departures.turn(guest(tmp_path, 7), "d1"):
        turns.waits.clear()
        waiting: Future[str] = pool.submit(leave, departures, guest(tmp_path, 8), "d2")
        turns.waits.wait(LIMIT)
        waited = not waiting.done()

    assert waited
    assert waiting.result() == "d2"


def test_who_is_called_back_waits_no_longer_and_leaves_at_the_next_door(tmp_path: Path) -> None:
    turns = Watched(1)
    departures = Departures(turns, LIMIT, lambda _: None)
    late = guest(tmp_path, 8)
    with ThreadPoolExecutor() as pool, departures.turn(guest(tmp_path, 7), "d1"):
        turns.waits.clear()
        waiting = pool.submit(leave, departures, late, "d2")
        turns.waits.wait(LIMIT)
        departures.call_back(late, "d2")
        with pytest.raises(HypervisorFailed, match="called back"):
            waiting.result(LIMIT)

    assert leave(departures, late, "d3") == "d3"


def test_who_is_called_back_before_it_waits_does_not_leave(tmp_path: Path) -> None:
    departures = Departures(Turns(1), LIMIT, lambda _: None)
    late = guest(tmp_path, 8)

    departures.call_back(late, "d2")

    with pytest.raises(HypervisorFailed, match="called back"):
        leave(departures, late, "d2")


def test_nobody_waits_for_longer_than_a_move_may_take(tmp_path: Path) -> None:
    departures = Departures(Turns(1), 0.0, lambda _: None)

    with (
        departures.turn(guest(tmp_path, 7), "d1"),
        pytest.raises(HypervisorFailed, match="others took all the time"),
    ):
        leave(departures, guest(tmp_path, 8), "d2")
