"""Where guests are listened for, and which of the addresses that they are heard with is news.

It knows the cards of the guests that live here, because every note passes through `look`. Decisions
are `domain.addresses`'; here is only what they need to remember: when each address was last seen.
All of it belongs to the node's writer thread.
"""

from collections.abc import Iterator
from typing import Final

from tashi.domain.addresses import Known, goes_before
from tashi.domain.identity import InstanceId
from tashi.nodemanager.guests import Note, is_alive
from tashi.ports.clock import Clock
from tashi.ports.frames import Frames, Hears, Overheard
from tashi.ports.network import card_numbers, tap_name

Card = tuple[InstanceId, str]
"""A guest, and the MAC of one of its network cards."""

_NOBODY: Final[dict[str, Card]] = {}


class Sightings:
    """The cards of the guests here, by the devices that they are behind."""

    def __init__(self, frames: Frames, clock: Clock) -> None:
        self._frames = frames
        self._clock = clock
        self._devices: dict[InstanceId, dict[str, Card]] = {}
        self._at: dict[str, Card] = {}
        self._seen_at: dict[Card, float] = {}

    def listen(self, hears: Hears) -> None:
        """Tell `hears` what is overheard, from any thread."""
        self._frames.listen(hears)

    def look(self, note: Note) -> None:
        """Listen where the note's guest has cards, or no longer does."""
        before = self._devices.get(note.id, _NOBODY)
        now = dict(_cards(note)) if is_alive(note) else {}
        if now == before:
            return
        for device in before.keys() - now.keys():
            self._frames.forget(device)
            self._seen_at.pop(self._at.pop(device), None)
        for device, card in now.items() - before.items():
            self._at[device] = card
            self._frames.watch(device, card[1])
        self._devices.pop(note.id, None)
        if now:
            self._devices[note.id] = now

    def card(self, heard: Overheard) -> Card | None:
        """Whose address was overheard, if that guest still lives here."""
        card = self._at.get(heard.device)
        return card if card is not None and card[1] == heard.mac else None

    def is_news(self, note: Note, mac: str, ip: str, *, given: bool) -> bool:
        """Whether an address goes before what the note knows of that card."""
        now, card = self._clock.monotonic(), (note.id, mac)
        found = [nic.ip for nic in note.nics if nic.mac == mac]
        if not found:
            return False
        [known] = found
        seen_at = self._seen_at.setdefault(card, now)
        news = goes_before(
            None if known is None else Known(known, seen_at), ip, given=given, now=now
        )
        if news or known == ip:
            self._seen_at[card] = now
        return news


def _cards(note: Note) -> Iterator[tuple[str, Card]]:
    numbers = card_numbers(nic.port for nic in note.nics)
    for number, nic in zip(numbers, note.nics, strict=True):
        yield tap_name(note.id, number), (note.id, nic.mac)
