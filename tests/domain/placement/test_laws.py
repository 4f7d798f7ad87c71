"""What holds for every plan, whatever the cluster looks like."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

import strategies
from examples import a_host, waiting
from tashi.domain.books import Books
from tashi.domain.placement.draft import booked
from tashi.domain.placement.filters import Policy, first_refusal, refusals
from tashi.domain.placement.plan import Plan, Round, plan
from tashi.domain.placement.ranking import Ranking, Wish
from tashi.domain.states import HostState

POLICIES = st.builds(
    Policy,
    version=st.just(strategies.VERSION),
    cpu_overcommit=st.sampled_from([1.0, 1.5, 0.5]),
    memory_overcommit=st.sampled_from([1.0, 1.25, 0.9]),
    dense_pack=st.booleans(),
    allow_mismatched_versions=st.booleans(),
)


def planned(books: Books, policy: Policy) -> Plan:
    return plan(books, Ranking(books, policy), Round(list(books.waiting)), policy)


def carried_out(books: Books, made: Plan) -> Books:
    for proposal in made.proposals:
        books = books.put(booked(books.instances[proposal.instance_id], proposal.host_id))
    return books


@given(strategies.books(), POLICIES)
def test_no_host_is_ever_given_more_than_it_has(books: Books, policy: Policy) -> None:
    made = planned(books, policy)

    after = carried_out(books, made)

    for proposal in made.proposals:
        host, used = books.hosts[proposal.host_id], after.used(proposal.host_id)
        assert used.cores <= host.cores * policy.cpu_overcommit
        assert used.memory <= host.memory * policy.memory_overcommit


@given(strategies.books(), POLICIES)
def test_no_host_is_used_that_is_down_drained_or_kept_for_others(
    books: Books, policy: Policy
) -> None:
    for proposal in planned(books, policy).proposals:
        host = books.hosts[proposal.host_id]
        one = books.instances[proposal.instance_id]

        assert host.up
        assert host.state is not HostState.DRAINED
        assert not host.is_reserved_against(one.user_id)


@given(strategies.books(), POLICIES)
def test_every_proposal_passes_the_filters_when_its_turn_comes(
    books: Books, policy: Policy
) -> None:
    for proposal in planned(books, policy).proposals:
        one = books.instances[proposal.instance_id]

        assert first_refusal(books, books.hosts[proposal.host_id], one, policy) is None

        books = books.put(booked(one, proposal.host_id))


@given(strategies.books(), POLICIES)
def test_one_instance_is_placed_exactly_when_some_host_refuses_nothing(
    books: Books, policy: Policy
) -> None:
    ranking = Ranking(books, policy)
    for key in books.waiting:
        one = books.instances[key]
        feasible = [h for h in books.hosts.values() if not refusals(books, h, one, policy)]

        made = plan(books, ranking, Round([key]), policy)

        assert bool(made.proposals) == bool(feasible)
        assert sum(sum(each.tally.values()) for each in made.unplaced) == (
            0 if feasible else len(books.hosts)
        )


@given(strategies.books(), POLICIES)
def test_whatever_is_left_over_is_refused_by_every_host_once_the_plan_is_carried_out(
    books: Books, policy: Policy
) -> None:
    made = planned(books, policy)

    after = carried_out(books, made)

    for unplaced in made.unplaced:
        one = unplaced.instance
        # Who wants to be near somebody may be placed by the next plan, beside whom this one placed.
        if "near" not in one.hints:
            assert all(refusals(after, host, one, policy) for host in after.hosts.values())


@given(strategies.books(), POLICIES)
def test_every_waiting_instance_is_either_proposed_or_unplaced(
    books: Books, policy: Policy
) -> None:
    made = planned(books, policy)

    seen = [one.instance_id for one in made.proposals] + [one.instance.id for one in made.unplaced]

    assert sorted(seen) == sorted(books.waiting)


@given(strategies.books(), POLICIES)
def test_the_same_question_gets_the_same_answer(books: Books, policy: Policy) -> None:
    ranking = Ranking(books, policy)
    asked = list(books.waiting)

    first = plan(books, ranking, Round(asked), policy)

    assert plan(books, ranking, Round(asked), policy) == first
    assert plan(books, Ranking(books, policy), Round(asked[::-1]), policy) == first


@given(strategies.books(), POLICIES)
def test_a_plan_leaves_the_ranking_as_it_was(books: Books, policy: Policy) -> None:
    ranking = Ranking(books, policy)
    before = list(ranking.order(waiting(), Wish(dense=False)))

    plan(books, ranking, Round(list(books.waiting)), policy)

    assert list(ranking.order(waiting(), Wish(dense=False))) == before


@given(st.integers(1, 20), st.integers(1, 4))
def test_one_who_asks_for_much_never_delays_the_first_of_the_others(room: int, others: int) -> None:
    policy = Policy(version=strategies.VERSION)
    books = Books().put(replace(a_host(memory=room, cores=room)))
    for number in range(1, 101):
        books = books.put(waiting(number, memory=1, user=1))
    for number in range(1, others + 1):
        books = books.put(waiting(100 + number, memory=1, user=1 + number))

    served = {books.instances[one.instance_id].user_id for one in planned(books, policy).proposals}

    assert len(served) == min(room, others + 1)
