"""From the journal to one outlet: in order, again until it is taken, and nobody else waits.

Each outlet has a lane of its own, so one that hangs or fails delays no other, nor the journal. It
is read from where the outlet has got to, whenever there is news; after a failure the outlet is
asked anew how far that is.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from tashi.domain import metrics
from tashi.domain.errors import Broken, TashiError
from tashi.domain.identity import EventNumber
from tashi.domain.metrics import Reading
from tashi.ports.journal import JournalReader, Volume
from tashi.ports.outlets import BEGINNING, Outlet, Place
from tashi.ports.workers import Workers
from tashi.wire import history

_log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0
MOST_AT_ONCE: Final = 100


@dataclass(slots=True)
class _Reading:
    """Where an outlet reads: so far in a volume, of which it has the events up to `has` already."""

    volume: Volume
    has: EventNumber
    offset: int = 0


class Delivery:
    """Passes the journal on to an outlet; `news` may be called on any thread."""

    def __init__(self, outlet: Outlet, journal: JournalReader, workers: Workers) -> None:
        self._outlet = outlet
        self._journal = journal
        self._workers = workers
        self._lane = outlet.name
        self._queued = False
        self._waiting = False
        self._stopped = False
        self._failures = 0
        self._passed_on = EventNumber(0)
        self._reading: _Reading | None = None

    def news(self) -> None:
        """Pass on what there is, unless that is about to be done, or was in vain a moment ago."""
        if not (self._queued or self._waiting):
            self._queued = True
            self._workers.run(self._lane, self._work)

    def stop(self) -> None:
        """Pass on no more than what is under way."""
        self._stopped = True

    def readings(self) -> Iterator[Reading]:
        """How far the outlet is, and whether it fails."""
        yield Reading(metrics.OUTLET_EVENT, self._passed_on, (self._outlet.name,))
        yield Reading(metrics.OUTLET_FAILING, self._failures > 0, (self._outlet.name,))

    # ---- in the outlet's lane -------------------------------------------------------------------

    def _work(self) -> None:
        self._queued = False
        if self._waiting:  # it was queued before the failure that is waited out
            return
        try:
            self._pass_on()
        except TashiError as failure:
            self._wait_out(failure)
        except Exception:  # noqa: BLE001  # whatever an outlet does, its events are not forgotten
            _log.exception("%s failed in a way that it should not.", self._outlet.name)
            self._wait_out(Broken("Tashi made a mistake; its log says more."))
        else:
            self._went_on()

    def _wait_out(self, failure: TashiError) -> None:
        pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 30), LONGEST_PAUSE_SECONDS)
        self._failures += 1
        self._waiting = True
        words = "%s takes no events: %s Trying again in %.0f s."
        _log.warning(words, self._outlet.name, failure.message, pause)
        self._workers.after(pause, self._lane, self._try_again)

    def _try_again(self) -> None:
        self._waiting = False
        self._work()

    def _went_on(self) -> None:
        """Note that it got further, so that the pause after the next failure is a short one."""
        if self._failures:
            _log.info("%s takes events again.", self._outlet.name)
            self._failures = 0

    def _pass_on(self) -> None:
        # Kept only once all went well: whatever fails, the outlet is asked again where it is.
        reading, self._reading = self._reading or self._found(), None
        while reading is not None and not self._stopped:
            # Looked for first: of a volume that has a successor all is there to be read.
            later = self._next_volume(reading.volume.number + 1)
            self._read_on(reading)
            if later is None:
                self._reading = reading
                return
            reading = _Reading(later, EventNumber(0))

    def _read_on(self, reading: _Reading) -> None:
        """Pass on the rest of a volume, as far as it goes now."""
        lines: list[bytes] = []
        for line, following in self._journal.lines(reading.volume, reading.offset):
            if reading.offset == 0 or history.number_of(line) <= reading.has:
                self._outlet.hear(line)
            else:
                lines.append(line)
            reading.offset = following
            if len(lines) == MOST_AT_ONCE:
                self._hand_over(reading.volume, lines)
                lines = []
            if self._stopped:
                return
        if lines:
            self._hand_over(reading.volume, lines)

    def _hand_over(self, volume: Volume, lines: Sequence[bytes]) -> None:
        self._outlet.take(volume.number, lines)
        self._passed_on = history.number_of(lines[-1])
        self._went_on()

    # ---- places in the journal ------------------------------------------------------------------

    def _found(self) -> _Reading | None:
        place = self._outlet.place(self._newest)
        if place.event != self._passed_on:  # it had taken some of them before it failed
            self._passed_on = place.event
            self._went_on()
        volume = self._next_volume(place.volume)
        if volume is None:
            return None
        return _Reading(volume, place.event if volume.number == place.volume else EventNumber(0))

    def _next_volume(self, number: int) -> Volume | None:
        """The volume of that number or, when it is not there, the first one after it."""
        return next((one for one in self._journal.volumes() if one.number >= number), None)

    def _newest(self) -> Place:
        volumes = self._journal.volumes()
        if not volumes:
            return BEGINNING
        event = EventNumber(0)
        for line, _ in islice(self._journal.lines(volumes[-1]), 1, None):
            event = history.number_of(line)
        return Place(volumes[-1].number, event)
