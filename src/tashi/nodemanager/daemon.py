"""A whole node manager, put together from its rooms and whatever ports it is given."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tashi.domain.host import Machine
from tashi.nodemanager.gauges import readings
from tashi.nodemanager.inbox import Inbox
from tashi.nodemanager.measuring import Measuring
from tashi.nodemanager.node import Node
from tashi.nodemanager.outbox import Outbox, Registrar
from tashi.nodemanager.service import NodeCalls
from tashi.nodemanager.sightings import Sightings
from tashi.nodemanager.teller import Teller
from tashi.ports.clock import Clock
from tashi.ports.frames import Frames
from tashi.ports.hypervisor import Hypervisor
from tashi.ports.metrics import Meter, Unwatched
from tashi.ports.notebook import Notebook
from tashi.ports.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports that a node manager needs."""

    hypervisor: Hypervisor
    notebook: Notebook
    registrar: Registrar
    frames: Frames
    workers: Workers
    clock: Clock
    meter: Meter = Unwatched()


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How often, in seconds: signs of life, and looks at what guests use (0: never)."""

    frequency: float = 10.0
    statistics: float = 0.0


class NodeManager:
    """Begin once, then `turn` for ever; both belong to one thread."""

    def __init__(
        self, world: World, describe: Callable[[], Machine], times: Times, *, register: bool
    ) -> None:
        """`describe` says what the machine offers just now."""
        engine = world.hypervisor.engine()
        self._inbox = Inbox()
        self._outbox = Outbox(
            world.registrar,
            world.workers,
            world.clock,
            self._inbox.post,
            (lambda: replace(describe(), engine=engine), register),
            times.frequency,
        )
        teller = Teller(
            world.registrar, world.workers, self._inbox.post, lambda: self._outbox.session
        )
        voices = self._outbox, teller
        sightings = Sightings(world.frames, world.clock)
        self.node = Node(
            world.hypervisor, world.notebook, voices, sightings, world.workers, self._inbox
        )
        world.meter.ask(lambda: readings(self.node.notes()))
        self._measuring = Measuring(
            world.hypervisor,
            world.workers,
            world.clock,
            self._inbox.post,
            self.node.measured,
            times.statistics,
        )
        self._calls = NodeCalls(
            self.node, self._inbox, world.hypervisor, world.workers, world.clock
        )

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """The handler of every call, by method."""
        return self._calls.handlers()

    def begin(self) -> None:
        """Take up the guests from before, and say hello."""
        self.node.begin()

    def turn(self, wait_seconds: float) -> None:
        """Wait for something to do, at most so long, and do it."""
        self._inbox.turn(wait_seconds)

    def tick(self) -> None:
        """Do what time brings."""
        self.node.tick()
        self._outbox.tick()
        self._measuring.tick()

    def wake(self) -> None:
        """Let a waiting `turn` return. From any thread."""
        self._inbox.post(lambda: None)
