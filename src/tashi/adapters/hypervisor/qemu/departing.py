"""Guests that leave for another machine: so many at the same time, and each in its time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tashi.adapters.hypervisor.qemu.launch import Steps
from tashi.adapters.hypervisor.qemu.record import Move
from tashi.adapters.hypervisor.qemu.remembered import Pluggable, Remembered
from tashi.domain.errors import HypervisorFailed
from tashi.settings.sections.qemu import QemuSettings


class Turns:
    """So many at the same time; others wait, for as long as they want to."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._changed = threading.Condition()

    def take(self, within_seconds: float, is_given_up: Callable[[], bool]) -> bool:
        """Wait for a turn and take it; false when it was given up or the time was over first."""
        with self._changed:
            self._changed.wait_for(lambda: self._left or is_given_up(), within_seconds)
            if not self._left or is_given_up():
                return False
            self._left -= 1
            return True

    def give_back(self) -> None:
        """One that was taken is over."""
        with self._changed:
            self._left += 1
            # Not one of them: it might be just giving up.
            self._changed.notify_all()

    def look_again(self) -> None:
        """Somebody who waits may have given up."""
        with self._changed:
            self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Departures:
    """Sees guests off; `turns` says how many at the same time, each within so many seconds."""

    turns: Turns
    limit_seconds: float
    on_step: Steps

    @contextmanager
    def turn(self, guest: Pluggable, incoming: str) -> Iterator[float]:
        """Wait for the guest's turn; until when it is to have left, by the monotonic clock.

        Raises HypervisorFailed when others took all the time, or it was called back.
        """
        deadline = time.monotonic() + self.limit_seconds
        with guest.recalled.of(incoming):
            if not self.turns.take(self.limit_seconds, guest.recalled.is_set):
                why = (
                    "it was called back" if guest.recalled.is_set() else "others took all the time"
                )
                raise HypervisorFailed(f"Instance {guest.id} was not moved: {why}.")
            try:
                yield deadline
            finally:
                self.turns.give_back()

    def call_back(self, guest: Pluggable, what: str) -> None:
        """Let the guest give up that move or save, also if it waits for its turn."""
        guest.call_back(what)
        self.turns.look_again()

    def note(self, guest: Remembered) -> None:
        """Write down that it is being sent; raises HypervisorFailed."""
        try:
            guest.remember(lambda record: replace(record, move=Move.SENDING))
        except OSError as error:
            raise HypervisorFailed(
                f"its record cannot be written: {error.strerror or error}."
            ) from error
        self.on_step("noted")


def see_off(
    guest: Remembered,
    move: Callable[[], None],
    promise: Callable[[], None],
    has_left_all_the_same: Callable[[], bool],
) -> None:
    """Move the guest, and promise that it never runs here again; or find out what became of it.

    Raises HypervisorFailed when it is not moved.
    """
    try:
        move()
    except HypervisorFailed as failed:
        if not has_left_all_the_same():
            raise HypervisorFailed(f"Instance {guest.id} was not moved: {failed}") from failed
    else:
        promise()


def departures(settings: QemuSettings, on_step: Steps) -> Departures:
    """As an administrator has set them."""
    return Departures(Turns(settings.max_parallel_migrations), settings.migrate_timeout, on_step)
