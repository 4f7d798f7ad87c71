"""Histories, one after the other, until a law is broken."""

from collections.abc import Iterable
from dataclasses import dataclass

from simulator.chance import draw
from simulator.laws import check, settle
from simulator.messages import Protections
from simulator.store import Violation
from simulator.world import World
from tashi.domain.errors import Broken

EVENTS = 150
"""How much happens in one history before everything is mended."""


@dataclass(frozen=True, slots=True)
class Found:
    """A law that was broken, and the story that led there."""

    words: str
    story: str


def world_of(seed: int, protections: Protections) -> World:
    """The cluster of that seed: one to three hosts, one to three instances."""
    return World(seed, protections, hosts=1 + seed % 3, instances=1 + seed // 3 % 3)


def run(world: World, events: int = EVENTS) -> None:
    """Let so much happen, then mend everything; raises Violation, or Broken from the domain."""
    for happen in draw(world, events):
        happen(world)
        check(world)
    settle(world)


def first_violation(seeds: Iterable[int], protections: Protections) -> Found | None:
    """The first history in which a law is broken, if there is one."""
    for seed in seeds:
        world = world_of(seed, protections)
        try:
            run(world)
        except (Violation, Broken) as broken:
            story = "\n".join(" ".join(map(str, words)) for words in world.story)
            return Found(f"Seed {seed}: {broken}", story)
    return None
