"""What every ordeal is made of: clients at work all the while, blows, and a report of what broke.

What the blows strike, and what must hold in the end, is each ordeal's own.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Final

from system.clients import Client, Told, Wish, together
from system.sites import Site
from tashi.domain.instance import Instance
from tashi.domain.states import InstanceState
from tashi.ports.store import Store

CLIENTS: Final = 3
_LOOK_SECONDS: Final = 0.02


@dataclass(slots=True)
class Report:
    """What the clients were told, every promise that was broken, and the ends of the logs then."""

    told: Told = field(default_factory=Told)
    broken: list[str] = field(default_factory=list)
    story: str = ""

    def words(self, lines: Sequence[str], well: str) -> str:
        """These lines, what was acknowledged, and what broke: if nothing did, that all is well."""
        told = f"{len(self.told.created)} created, {len(self.told.destroyed)} destroyed"
        slowest = f"slowest answer: {self.told.slowest:.1f} s"
        end = ["BROKEN:", *self.broken] if self.broken else [well]
        return "\n".join([*lines, f"acknowledged: {told}", slowest, *end])


@contextmanager
def load(site: Site, draws: random.Random, wish: Wish, report: Report) -> Iterator[list[Client]]:
    """Clients at work; the report has in the end what they were told, and what was wrong."""
    clients = [
        Client(site, f"c{number}", wish, random.Random(draws.random())) for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.stop()
    report.told = together(clients)
    report.broken += report.told.wrongs


def have_worked(clients: Sequence[Client], answers: int, within_seconds: float) -> bool:
    """Wait until the clients have so many more instances made; whether that came in time."""
    wanted = _created(clients) + answers
    deadline = monotonic() + within_seconds
    while _created(clients) < wanted:
        if monotonic() >= deadline:
            return False
        sleep(_LOOK_SECONDS)
    return True


def _created(clients: Sequence[Client]) -> int:
    return sum(len(client.told.created) for client in clients)


def blows_for(rounds: int, draws: random.Random, kinds: Sequence[str]) -> list[str]:
    """So many blows, every kind as often as every other, in random order."""
    blows = [kinds[number % len(kinds)] for number in range(rounds)]
    draws.shuffle(blows)
    return blows


def against_store(store: Store, told: Told, wanted: set[int]) -> Iterator[str]:
    """What a store, read afresh, has otherwise than was acknowledged."""
    kept = {
        int(one.id): one.name
        for one in store.look().records
        if isinstance(one, Instance) and one.state is not InstanceState.EXITED
    }
    yield from (f"The store has no instance {key}." for key in wanted - kept.keys())
    yield from (
        f"The store has instance {key} ({name}), which nobody was told of."
        for key, name in kept.items()
        if key not in wanted
    )
    yield from (
        f"The store calls instance {key} {kept[key]}, and its client {name}."
        for key, name in told.created.items()
        if kept.get(key, name) != name
    )
