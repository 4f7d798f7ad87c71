"""An instance never runs twice and never vanishes, whatever is lost, late, repeated or killed.

A few thousand histories of the model in `simulator`; many more are searched by hand with
``PYTHONPATH=src:tests python -m simulator``.
"""

import pytest

from simulator.laws import check, settle
from simulator.messages import Protections
from simulator.search import first_violation, run, world_of
from simulator.store import Violation
from simulator.world import World
from tashi.domain import events as e
from tashi.domain.identity import HostId, InstanceId
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


@pytest.mark.parametrize("seed", [4_384, 18_727, 125_689, 310_805])
def test_a_law_that_was_broken_once_holds(seed: int) -> None:
    found = first_violation([seed], Protections())

    assert found is None, f"{found.story}\n{found.words}"


@pytest.mark.parametrize(
    "protections",
    [
        pytest.param(Protections(sessions=False), id="sessions"),
        pytest.param(Protections(operations=False), id="operations"),
        pytest.param(Protections(attempts=False), id="attempts"),
        pytest.param(Protections(promises=False), id="promises"),
    ],
)
def test_none_of_the_protections_can_be_left_out(protections: Protections) -> None:
    found = first_violation(range(MOST_RUNS), protections)

    assert found is not None, "The model does not notice: is what this prevents in it?"


def old_word_at_a_new_door(protections: Protections) -> None:
    """Move an instance there and back; on its way there again, its first source's word comes."""
    world, key = World(0, protections), InstanceId(1)
    world.create()
    world.befall(key, e.Place(world.manager.operation(), HostId(1)))
    settle(world)
    for host in (2, 1):
        world.befall(key, e.Migrate(world.manager.operation(), HostId(host)))
        settle(world)
    world.befall(key, e.Migrate(world.manager.operation(), HostId(2)))
    orders = world.manager.outgoing(HostId(2))
    assert orders is not None
    world.deliver(orders, answered=True)
    for _ in range(3):
        world.work(world.nodes[HostId(2)], key, lucky=True)
    world.deliver(world.echoes[0], answered=True)
    check(world)
    settle(world)


def test_a_word_fits_no_door_but_its_own() -> None:
    old_word_at_a_new_door(Protections())

    with pytest.raises(Violation, match="runs twice"):
        old_word_at_a_new_door(Protections(doors=False))


def killed_before_it_deletes(protections: Protections) -> None:
    """Suspend an instance and destroy it; the cluster manager dies with that commit."""
    world, key = World(0, protections), InstanceId(1)
    world.create()
    world.befall(key, e.Place(world.manager.operation(), HostId(1)))
    settle(world)
    world.befall(key, e.Suspend(world.manager.operation()))
    settle(world)
    world.causes[key].destroyed = world.manager.dies_after_commit = True
    world.befall(key, e.Destroy(world.manager.operation()))
    settle(world)


def test_what_is_to_be_deleted_outlives_the_cluster_manager() -> None:
    killed_before_it_deletes(Protections())

    with pytest.raises(Violation, match="Saved memory is left over"):
        killed_before_it_deletes(Protections(debts=False))


def saved_by_a_host_that_counts_as_dead(protections: Protections) -> None:
    """A host was wrongly declared dead; what it saves belongs to nobody, and is heard of late."""
    world, key = World(0, protections), InstanceId(1)
    manager, node = world.manager, world.nodes[HostId(1)]
    world.create()
    world.befall(key, e.Place(manager.operation(), HostId(1)))
    settle(world)
    world.befall(key, e.Suspend(manager.operation()))
    orders = manager.outgoing(HostId(1))
    assert orders is not None
    world.deliver(orders, answered=True)
    node.cut = True
    manager.lose(HostId(1))
    world.note_death(node)
    manager.declare_dead(HostId(1))
    world.causes[key].destroyed = True
    world.befall(key, e.Destroy(manager.operation()))
    while manager.deletions:
        manager.delete()
    for _ in range(3):
        world.work(node, key, lucky=True)
    node.cut = False
    world.hello(node, answered=True)
    for _ in range(3):
        world.deliver(node.words(), answered=True)
        orders = manager.outgoing(HostId(1))
        if orders is not None:
            world.deliver(orders, answered=True)
        for _ in range(3):
            world.work(node, key, lucky=True)
    manager.die()
    settle(world)


def test_what_is_found_of_an_instance_that_is_forgotten_is_owed_too() -> None:
    saved_by_a_host_that_counts_as_dead(Protections())

    with pytest.raises(Violation, match="Saved memory is left over"):
        saved_by_a_host_that_counts_as_dead(Protections(debts=False))


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
