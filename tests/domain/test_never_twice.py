"""An instance never runs twice and never vanishes, whatever is lost, late, repeated or killed.

A few thousand histories of the model in `simulator`; many more are searched by hand with
``PYTHONPATH=src:tests python -m simulator``.
"""

import pytest

from simulator.messages import Protections
from simulator.search import first_violation, run, world_of
from simulator.world import World
from tashi.domain.states import InstanceState
from tashi.domain.transitions import TABLE

RUNS_IN_A_TEST = 250
MOST_RUNS = 2_000


def history(seed: int) -> list[str]:
    world = world_of(seed, Protections())
    run(world)
    return [" ".join(map(str, words)) for words in world.story]


@pytest.mark.parametrize("first", range(0, 8 * RUNS_IN_A_TEST, RUNS_IN_A_TEST))
def test_every_law_holds_in_every_history(first: int) -> None:
    seeds = range(first, first + RUNS_IN_A_TEST)

    found = first_violation(seeds, Protections())

    assert found is None, f"{found.story}\n{found.words}"


@pytest.mark.parametrize(
    "protections",
    [
        pytest.param(Protections(sessions=False), id="sessions"),
        pytest.param(Protections(operations=False), id="operations"),
        pytest.param(Protections(attempts=False), id="attempts"),
    ],
)
def test_none_of_the_three_numbers_can_be_left_out(protections: Protections) -> None:
    found = first_violation(range(MOST_RUNS), protections)

    assert found is not None, "The model does not notice: is what this number prevents in it?"


def test_a_seed_is_a_whole_history() -> None:
    first = history(7)

    again = history(7)

    assert again == first


def test_every_kind_of_event_and_every_state_is_met() -> None:
    missing = {rule.on.__name__ for rule in TABLE} | {state.title for state in InstanceState}

    for seed in range(MOST_RUNS):
        world = world_of(seed, Protections())
        run(world)
        missing -= met_in(world)
        if not missing:
            break

    assert not missing


def met_in(world: World) -> set[str]:
    return {kind.__name__ for _, kind in world.manager.met} | {
        state.title for state, _ in world.manager.met
    }
