"""Clients that create, suspend and destroy instances without pause, and remember what they hear.

A client insists: when no answer comes, or one that says nothing about the outcome, it repeats the
request under the same id until it knows. So in the end nothing is open: what was acknowledged must
be there, what was not asked for must not.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from uuid import uuid4

from system.sites import Site
from tashi.domain.errors import Failed, OutcomeUnknown, TashiError
from tashi.wire.calls import Calls
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, NicForm

MEMORY_MIB: Final = 16
SLEEPERS: Final = 0.3
"""How many of the instances are told to fall asleep before they are destroyed."""
PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a client wants instances to be, how many at once at most, and how often it acts."""

    image: str
    memory: int = MEMORY_MIB
    cards: tuple[tuple[NicForm, ...], ...] = ((),)
    """The first instance has the first of these, and so on, over and over."""
    most: int = 5
    per_second: float = 20.0

    def form(self, name: str, number: int) -> NewInstanceForm:
        """What to ask for, for the instance of that number."""
        return NewInstanceForm(
            name=name,
            disks=(DiskForm(self.image),),
            memory=self.memory,
            nics=self.cards[number % len(self.cards)],
        )


@dataclass(slots=True)
class Told:
    """What one client was told: by id, what exists and what is destroyed; and what went wrong."""

    created: dict[int, str] = field(default_factory=dict)
    destroyed: set[int] = field(default_factory=set)
    repeats: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Why requests had to be repeated, by the kind of error and its words."""
    slowest: float = 0.0
    """The longest time, in seconds, that a request was without an answer, good or bad."""
    wrongs: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """One such client; `stop` lets it end with its present request answered."""

    def __init__(self, site: Site, name: str, wish: Wish, draws: random.Random) -> None:
        super().__init__(name=name)
        self.told = Told()
        self._site = site
        self._wish = wish
        self._draws = draws
        self._stopping = threading.Event()
        self._mine: list[int] = []
        self._number = 0

    def stop(self) -> None:
        """Ask for nothing more, and wait for the last answer."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Create, suspend and destroy until stopped."""
        with self._site.another_link() as link:
            calls = self._site.calls_of(link)
            while not self._stopping.wait(self._draws.expovariate(self._wish.per_second)):
                if len(self._mine) < self._draws.randint(1, self._wish.most):
                    self._create(calls)
                else:
                    self._destroy(calls)

    def _create(self, calls: Calls) -> None:
        self._number += 1
        wanted = self._wish.form(f"{self.name}-{self._number}", self._number)
        made = self._insist(calls, "createVm", instance=wanted)
        if made is not None:
            if made.id in self.told.created:
                self.told.wrongs.append(f"Two creations were both answered with {made.id}.")
            self.told.created[made.id] = made.name
            self._mine.append(made.id)

    def _destroy(self, calls: Calls) -> None:
        doomed = self._mine.pop(self._draws.randrange(len(self._mine)))
        if self._draws.random() < SLEEPERS:
            # One that does not run yet, or is being moved, cannot fall asleep: it is no matter.
            with suppress(TashiError):
                calls.call("suspendVm", InstanceForm, instance_id=doomed)
        if self._insist(calls, "destroyVm", instance_id=doomed) is not None:
            self.told.destroyed.add(doomed)

    def _insist(self, calls: Calls, name: str, **arguments: object) -> InstanceForm | None:
        request = uuid4().hex
        while True:
            began = monotonic()
            try:
                return calls.call(name, InstanceForm, request_id=request, **arguments)
            except (Failed, OutcomeUnknown) as error:
                self.told.repeats += 1
                self.told.reasons[f"{type(error).__name__}: {error}"] += 1
            except TashiError as error:
                self.told.wrongs.append(f"{self.name}: {name} {arguments}: {error}")
                return None
            finally:
                self.told.slowest = max(self.told.slowest, monotonic() - began)
            self._stopping.wait(PAUSE_SECONDS)


def together(clients: Iterable[Client]) -> Told:
    """What all of them were told."""
    whole = Told()
    for client in clients:
        told = client.told
        whole.created.update(told.created)
        whole.destroyed.update(told.destroyed)
        whole.repeats += told.repeats
        whole.slowest = max(whole.slowest, told.slowest)
        whole.reasons.update(told.reasons)
        whole.wrongs.extend(told.wrongs)
    return whole
