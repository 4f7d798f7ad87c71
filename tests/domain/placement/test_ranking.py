"""The order in which hosts are tried."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

import strategies
from examples import VERSION, a_host, running, waiting
from tashi.domain.books import Books, books_of
from tashi.domain.identity import HostId, Mib
from tashi.domain.placement.filters import Policy, is_open
from tashi.domain.placement.ranking import Ranking, Wish

POLICY = Policy(version=VERSION)
SPREAD, DENSE = Wish(dense=False), Wish(dense=True)
SIZES = books_of([a_host(1, memory=4096), a_host(2, memory=1024), a_host(3, memory=8192)])


def order(books: Books, wish: Wish, memory: int = 1, cores: int = 1) -> list[int]:
    return list(Ranking(books, POLICY).order(waiting(memory=memory, cores=cores), wish))


def only(*hosts: int) -> frozenset[HostId]:
    return frozenset(HostId(host) for host in hosts)


def test_spreading_takes_the_most_free_memory_first() -> None:
    assert order(SIZES, SPREAD) == [3, 1, 2]


def test_packing_takes_the_least_that_still_suffices() -> None:
    assert order(SIZES, DENSE) == [2, 1, 3]
    assert order(SIZES, DENSE, memory=1025) == [1, 3]


def test_hosts_without_the_memory_or_the_cores_are_left_out() -> None:
    books = SIZES.put(a_host(4, memory=8192, cores=2))

    assert order(books, SPREAD, memory=8192, cores=3) == [3]


def test_hosts_that_take_nobody_are_not_ranked() -> None:
    books = books_of([
        replace(a_host(1), up=False), a_host(2, cores=1), running(waiting(1), host=2), a_host(3),
    ])  # fmt: skip

    assert order(books, SPREAD) == [3]
    assert len(Ranking(books, POLICY)) == 1


def test_equal_hosts_are_taken_by_id() -> None:
    books = books_of([a_host(2), a_host(1), a_host(3)])

    assert order(books, SPREAD) == [1, 2, 3]
    assert order(books, DENSE) == [3, 2, 1]


def test_hosts_that_are_leant_to_come_first_and_those_leant_away_from_last() -> None:
    lean = {HostId(2): -1, HostId(3): 1}

    assert order(SIZES, Wish(dense=False, lean=lean)) == [2, 1, 3]


def test_the_strongest_leaning_goes_first_and_equals_keep_their_order() -> None:
    lean = {HostId(1): -1, HostId(2): -2, HostId(3): -1}

    assert order(SIZES, Wish(dense=False, lean=lean)) == [2, 3, 1]


def test_a_leaning_that_cancels_out_changes_nothing() -> None:
    assert order(SIZES, Wish(dense=False, lean={HostId(3): 0})) == [3, 1, 2]


def test_a_narrowed_choice_has_every_host_named_whether_it_has_room_or_not() -> None:
    books = SIZES.put(replace(a_host(4), up=False))

    assert order(books, Wish(dense=False, only=only(2, 3, 4)), memory=4096) == [3, 2, 4]


def test_leaning_does_not_widen_a_narrowed_choice() -> None:
    lean = {HostId(1): -1, HostId(2): -1, HostId(3): 1}

    assert order(SIZES, Wish(dense=False, only=only(2, 3), lean=lean)) == [2, 3]


def test_a_host_that_changes_finds_its_new_place() -> None:
    ranking = Ranking(SIZES, POLICY)
    books = SIZES.put(replace(a_host(2), memory=Mib(16384)))

    ranking.refresh(books, HostId(2))

    assert list(ranking.order(waiting(), SPREAD)) == [2, 3, 1]


def test_a_host_that_is_removed_is_ranked_no_more() -> None:
    ranking = Ranking(SIZES, POLICY)

    ranking.refresh(Books(), HostId(3))
    ranking.refresh(Books(), HostId(99))

    assert list(ranking.order(waiting(), SPREAD)) == [1, 2]


@given(strategies.books(most_hosts=8), st.integers(1, 2048), st.integers(1, 4))
def test_dense_and_spread_disagree_only_in_order(books: Books, memory: int, cores: int) -> None:
    packed = order(books, DENSE, memory, cores)
    spread = order(books, SPREAD, memory, cores)

    assert packed == spread[::-1]


@given(strategies.books(most_hosts=8), st.integers(1, 2048), st.integers(1, 4))
def test_every_open_host_with_the_room_is_ranked(books: Books, memory: int, cores: int) -> None:
    has_room = {
        host.id
        for host in books.hosts.values()
        if is_open(host, POLICY)
        and host.memory - books.used(host.id).memory >= memory
        and host.cores - books.used(host.id).cores >= cores
    }

    assert set(order(books, SPREAD, memory, cores)) == has_room


@given(strategies.books(most_hosts=6), st.data())
def test_a_ranking_that_was_refreshed_is_as_good_as_new(books: Books, data: st.DataObject) -> None:
    ranking = Ranking(books, POLICY)
    for key in sorted(books.hosts):
        books = books.put(data.draw(strategies.hosts(key)))
        ranking.refresh(books, key)

    for wish in (SPREAD, DENSE):
        assert list(ranking.order(waiting(), wish)) == order(books, wish, memory=1024)
