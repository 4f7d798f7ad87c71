"""What leaves a host that is emptied, where to, and what stays with which reason."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from examples import VERSION, a_host, hinting, running, waiting
from tashi.domain.books import Books, books_of
from tashi.domain.engine import Engine, Hardware
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.instance import Disk, Instance
from tashi.domain.placement.drain import (
    DrainPlan,
    Evacuation,
    Evacuee,
    as_newcomer,
    drain_plan,
    kept_off,
    move_refusal,
)
from tashi.domain.placement.fate import Fate
from tashi.domain.placement.filters import Policy, Rule, first_refusal
from tashi.domain.placement.ranking import Ranking, Wish
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S

POLICY = Policy(version=VERSION)


def planned(books: Books, *hosts: int, policy: Policy = POLICY) -> DrainPlan:
    asked = Evacuation([HostId(number) for number in hosts or (1,)])
    return drain_plan(books, Ranking(books, policy), asked, policy)


def fates(made: DrainPlan) -> dict[int, tuple[Fate, int | None]]:
    return {one.instance.id: (one.fate, one.target_id) for one in made.evacuees}


def only(made: DrainPlan) -> Evacuee:
    (evacuee,) = made.evacuees
    return evacuee


def test_a_running_instance_moves_to_a_host_that_takes_it() -> None:
    books = books_of([a_host(1), a_host(2), running(waiting(1))])

    assert fates(planned(books)) == {1: (Fate.MOVES, 2)}


def test_the_plan_fits_as_a_whole() -> None:
    books = books_of(
        [
            a_host(1),
            a_host(2, memory=1024),
            a_host(3, memory=2048),
            *(running(waiting(number)) for number in (1, 2, 3, 4)),
        ]
    )

    made = fates(planned(books))

    assert sorted(target or 0 for _, target in made.values()) == [0, 2, 3, 3]
    assert sorted(fate for fate, _ in made.values()) == ["moves", "moves", "moves", "stays"]


def test_the_largest_is_given_its_host_first() -> None:
    small, large = running(waiting(1, memory=1024)), running(waiting(2, memory=2048))
    books = books_of([a_host(1), a_host(2, memory=2048), small, large])

    assert fates(planned(books)) == {2: (Fate.MOVES, 2), 1: (Fate.STAYS, None)}


def test_two_hosts_are_emptied_together_and_neither_takes_what_the_other_has() -> None:
    books = books_of(
        [
            a_host(1),
            a_host(2),
            a_host(3, memory=1024),
            running(waiting(1), 1),
            running(waiting(2), 2),
        ]
    )

    made = fates(planned(books, 1, 2))

    assert made == {1: (Fate.MOVES, 3), 2: (Fate.STAYS, None)}


def test_a_host_that_is_being_emptied_already_is_no_target() -> None:
    emptied = replace(a_host(2), draining=True)
    books = books_of([a_host(1), emptied, replace(a_host(3), up=False), running(waiting(1))])

    made = planned(books)

    assert only(made).fate is Fate.STAYS
    found = kept_off(made, only(made), POLICY)
    assert {key: [one.rule for one in rules] for key, rules in found.items()} == {
        2: [Rule.STATE],
        3: [Rule.UP],
    }


def test_what_keeps_an_instance_off_is_said_with_numbers() -> None:
    books = books_of([a_host(1), a_host(2, memory=512), running(waiting(1))])

    made = planned(books)

    (found,) = kept_off(made, only(made), POLICY)[HostId(2)]
    assert found.short_by == 512
    assert found.words == "has 512 of 512 MiB free; 1024 are needed, 512 short"


def test_an_instance_that_is_bound_to_the_host_stays_and_says_why() -> None:
    bound = hinting(running(waiting(1)), targetHost="n1")
    free = hinting(running(waiting(2)), targetHost="1", allowElsewhere="True")
    books = books_of([a_host(1), a_host(2), bound, free])

    made = planned(books)

    assert fates(made) == {2: (Fate.MOVES, 2), 1: (Fate.STAYS, None)}
    assert "targetHost" in made.evacuees[1].words


@pytest.mark.parametrize("state", [S.EXITED, S.STOPPED])
def test_what_has_left_is_gone_once_its_leftovers_are_cleared_away(state: S) -> None:
    over = replace(waiting(1), state=state, leftovers=(HostId(1),))

    assert only(planned(books_of([a_host(1), a_host(2), over]))).fate is Fate.LEAVES


def test_nothing_is_moved_off_a_silent_host() -> None:
    lost = replace(running(waiting(1)), state=S.ORPHANED, was=S.RUNNING)
    books = books_of([replace(a_host(1), up=False), a_host(2), lost])

    found = only(planned(books))

    assert (found.fate, found.words) == (Fate.STAYS, "is Orphaned, and n1 is silent")


def test_one_that_is_migrating_leaves_its_source_and_arrives_at_its_target() -> None:
    moving = replace(running(waiting(1)), state=S.MIGRATE_PREP, target_id=HostId(2))
    books = books_of([a_host(1), a_host(2), moving])

    assert fates(planned(books, 1)) == {1: (Fate.LEAVES, 2)}
    assert fates(planned(books, 2)) == {1: (Fate.LATER, None)}


def test_friends_move_together() -> None:
    leader = running(waiting(1, group="web", memory=512))
    friend = hinting(running(waiting(2, group="web")), near="group:web")
    books = books_of([a_host(1), a_host(2, memory=1024), a_host(3), leader, friend])

    made = planned(books)

    assert fates(made) == {1: (Fate.MOVES, 3), 2: (Fate.MOVES, 3)}


def test_the_first_of_a_group_that_is_near_itself_may_lead() -> None:
    both = [hinting(running(waiting(n, group="web")), near="group:web") for n in (1, 2)]
    books = books_of([a_host(1), a_host(2), a_host(3), *both])

    assert fates(planned(books)) == {1: (Fate.MOVES, 2), 2: (Fate.MOVES, 2)}


def test_a_friend_of_one_that_must_stay_stays_too() -> None:
    bound = hinting(running(waiting(1, group="db")), targetHost="n1")
    friend = hinting(running(waiting(2)), near="group:db")
    books = books_of([a_host(1), a_host(2), bound, friend])

    assert {fate for fate, _ in fates(planned(books)).values()} == {Fate.STAYS}


def test_those_who_keep_away_from_each_other_go_to_different_hosts() -> None:
    shy = [hinting(running(waiting(n, group="db"), n), away="group:db") for n in (1, 2)]
    books = books_of([a_host(1), a_host(2), a_host(3), *shy])

    assert fates(planned(books)) == {1: (Fate.MOVES, 3)}


def test_a_persistent_disk_goes_with_its_own_instance() -> None:
    one = replace(running(waiting(1)), disks=(Disk("data", persistent=True),))

    assert fates(planned(books_of([a_host(1), a_host(2), one]))) == {1: (Fate.MOVES, 2)}


def test_a_host_that_did_not_do_before_is_the_last_choice() -> None:
    books = books_of([a_host(1), a_host(2), a_host(3, memory=4096), running(waiting(1))])
    asked = Evacuation([HostId(1)], refused_by={InstanceId(1): {HostId(2)}})

    made = drain_plan(books, Ranking(books, POLICY), asked, POLICY)

    assert fates(made) == {1: (Fate.MOVES, 3)}


def test_a_guest_is_not_moved_to_a_host_that_cannot_go_on_with_it() -> None:
    hardware = Hardware(machine="pc-q35-7.2", cpu="qemu64", accel="tcg", qemu="7.2.0")
    one = replace(running(waiting(1)), hardware=hardware)
    other = replace(a_host(2), engine=Engine(qemu="7.2.0", accel="kvm", machines=("pc-q35-7.2",)))
    books = books_of([a_host(1), other, one])

    made = planned(books)

    (found,) = kept_off(made, only(made), POLICY)[HostId(2)]
    assert only(made).fate is Fate.STAYS
    assert found.rule is Rule.ACCEL


def test_only_those_who_may_move_now_are_moved() -> None:
    books = books_of([a_host(1), a_host(2), running(waiting(1)), running(waiting(2))])
    asked = Evacuation([HostId(1)], only={InstanceId(2)})

    made = drain_plan(books, Ranking(books, POLICY), asked, POLICY)

    assert fates(made) == {2: (Fate.MOVES, 2)}


# ---- what holds for every plan ------------------------------------------------------------------


@st.composite
def emptied_books(draw: st.DrawFn) -> tuple[Books, list[HostId]]:
    """Books of a small cluster in which some hosts are to be emptied."""
    books = draw(strategies.books(most_instances=12))
    chosen = draw(st.sets(st.sampled_from(sorted(books.hosts)))) if books.hosts else set()
    emptied = {key for key, host in books.hosts.items() if host.draining} | chosen
    return books, sorted(emptied)


def plan_of(books: Books, emptied: list[HostId]) -> DrainPlan:
    return drain_plan(books, Ranking(books, POLICY), Evacuation(emptied), POLICY)


def moves_of(made: DrainPlan) -> list[tuple[Instance, HostId]]:
    return [
        (one.instance, one.target_id)
        for one in made.evacuees
        if one.fate is Fate.MOVES and one.target_id is not None
    ]


@given(emptied_books())
def test_no_host_is_ever_given_more_than_it_has(case: tuple[Books, list[HostId]]) -> None:
    made = plan_of(*case)

    for _, target in moves_of(made):
        host, used = made.books.hosts[target], made.books.used(target)
        assert used.cores <= host.cores
        assert used.memory <= host.memory


@given(emptied_books())
def test_nothing_goes_to_a_host_that_is_emptied_drained_down_or_kept_for_others(
    case: tuple[Books, list[HostId]],
) -> None:
    books, emptied = case

    for one, target in moves_of(plan_of(books, emptied)):
        host = books.hosts[target]
        assert target not in emptied
        assert host.up
        assert host.state is HostState.NORMAL
        assert not host.is_reserved_against(one.user_id)


@given(emptied_books())
def test_everything_that_a_host_has_is_moved_or_named_with_its_reason(
    case: tuple[Books, list[HostId]],
) -> None:
    books, emptied = case

    made = plan_of(books, emptied)

    concerned = [(key, one.id) for key in emptied for one in books.concerning(key)]
    assert sorted((one.host_id, one.instance.id) for one in made.evacuees) == sorted(concerned)
    for one in made.evacuees:
        assert (one.fate is Fate.MOVES) == (one.target_id is not None)
        assert one.words or one.fate is Fate.MOVES


@given(emptied_books())
def test_who_stays_for_want_of_a_host_is_refused_by_every_other_when_all_have_moved(
    case: tuple[Books, list[HostId]],
) -> None:
    made = plan_of(*case)

    for one in made.evacuees:
        # Who wants to be near somebody may be moved by the next plan, after whom this one moved.
        if one.tally and "near" not in one.instance.hints:
            assert all(kept_off(made, one, POLICY).values())


@given(emptied_books())
def test_every_move_passes_the_check_when_its_turn_comes(
    case: tuple[Books, list[HostId]],
) -> None:
    books, emptied = case
    made = plan_of(books, emptied)
    for key in emptied:
        books = books.put(replace(books.hosts[key], draining=True))

    for one, target in moves_of(made):
        assert move_refusal(books, one, books.hosts[target], POLICY) is None

        books = books.put(replace(one, host_id=target))


@given(emptied_books())
def test_the_same_question_gets_the_same_answer_and_leaves_the_ranking_as_it_was(
    case: tuple[Books, list[HostId]],
) -> None:
    books, emptied = case
    ranking = Ranking(books, POLICY)
    before = list(ranking.order(waiting(), Wish(dense=False)))

    first = drain_plan(books, ranking, Evacuation(emptied), POLICY)
    again = drain_plan(books, ranking, Evacuation(emptied[::-1]), POLICY)

    assert again.evacuees == first.evacuees
    assert list(ranking.order(waiting(), Wish(dense=False))) == before


def test_a_check_without_friends_is_that_of_any_newcomer() -> None:
    one = running(waiting(1))
    books = books_of([a_host(1), a_host(2, memory=512), one])
    host = books.hosts[HostId(2)]

    found = move_refusal(books, one, host, POLICY)

    assert found == first_refusal(books, host, as_newcomer(one), POLICY)
