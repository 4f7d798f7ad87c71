"""What every store promises (`tashi.ports.store`), held against each of them."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.commits import (
    CHANGES,
    a_commit,
    after,
    an_instance,
    commit_sequences,
    held,
    plain_commits,
)
from contracts.places import PLACES, MariaPlace, Mishap, Place, passing_folder
from databases import Proxy, Server
from tashi.adapters.store.memory import MemoryStore
from tashi.domain.catalogue import User
from tashi.domain.errors import Broken, OutcomeUnknown, StoreFailed
from tashi.domain.identity import UserId
from tashi.domain.journal import Change, Commit, Drop, Kept, Kind, Put
from tashi.ports.store import Store

ONE, TWO, THREE = plain_commits(3)
UNKNOWN = (Mishap.UNKNOWN_KEPT, Mishap.UNKNOWN_LOST)


MARIADB = pytest.param("mariadb", marks=[pytest.mark.system, pytest.mark.timeout(300)])


@pytest.fixture(scope="session")
def maria(mariadb: Server) -> Iterator[Callable[[Path], Place]]:
    """Places in a database of one server, which has no others."""
    proxy = Proxy(mariadb)
    yield partial(MariaPlace, mariadb, proxy)
    proxy.end()


@pytest.fixture(params=[*PLACES, MARIADB], scope="session")
def make_place(request: pytest.FixtureRequest) -> Callable[[Path], Place]:
    made: Callable[[Path], Place] = (
        request.getfixturevalue("maria") if request.param == "mariadb" else PLACES[request.param]
    )
    return made


@pytest.fixture
def place(make_place: Callable[[Path], Place], tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    opened = place.open()
    opened.load()
    yield opened
    opened.close()


@contextmanager
def reopened(place: Place) -> Iterator[Kept]:
    store = place.open()
    try:
        yield store.load()
    finally:
        store.close()


def test_a_new_place_holds_nothing(place: Place) -> None:
    with reopened(place) as kept:
        assert kept == Kept()


def test_what_is_committed_is_loaded_again(place: Place, store: Store) -> None:
    store.commit(ONE)
    store.commit(TWO)
    store.close()

    with reopened(place) as kept:
        assert held(kept) == after([ONE, TWO])


def test_loading_twice_gives_the_same(store: Store) -> None:
    store.commit(ONE)

    again = store.load()

    assert held(again) == after([ONE])


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_commit_that_is_not_the_next_is_refused(place: Place, store: Store, number: int) -> None:
    store.commit(ONE)

    with pytest.raises(Broken, match=f"Commit {number} cannot follow commit 1"):
        store.commit(a_commit(number))

    store.close()
    with reopened(place) as kept:
        assert held(kept) == after([ONE])


def test_the_last_put_of_a_record_stands_and_a_dropped_one_is_gone(
    place: Place, store: Store
) -> None:
    history = [
        a_commit(1, Put(an_instance(1, "old")), Put(User(UserId(1), "ann"))),
        a_commit(2, Put(an_instance(1, "new")), Drop(Kind.USER, 1), first=3),
    ]

    for commit in history:
        store.commit(commit)

    store.close()
    with reopened(place) as kept:
        assert kept.records == (an_instance(1, "new"),)
        assert len(kept.entries) == 4


def test_ids_of_different_kinds_do_not_meet(place: Place, store: Store) -> None:
    store.commit(a_commit(1, Put(an_instance(7)), Put(User(UserId(7), "ann"))))
    store.commit(a_commit(2, Drop(Kind.HOST, 7), first=3))

    store.close()
    with reopened(place) as kept:
        assert set(map(type, kept.records)) == {type(an_instance(7)), User}


def test_what_is_forgotten_goes_but_the_records_stay(place: Place, store: Store) -> None:
    store.commit(ONE)
    store.commit(TWO)
    store.commit(a_commit(3, forget=2))

    store.close()
    with reopened(place) as kept:
        assert [entry.number for entry in kept.entries] == [2]
        assert [answer.request for answer in kept.answers] == ["request-2", "request-3"]
        assert {record.id for record in kept.records} == {1, 2}


def test_events_may_be_forgotten_before_their_answers_and_answers_before_their_events(
    place: Place, store: Store
) -> None:
    store.commit(ONE)
    store.commit(TWO)
    store.commit(a_commit(3, forget=3, forget_answers=2))
    store.commit(a_commit(4, forget=3, forget_answers=4))

    store.close()
    with reopened(place) as kept:
        assert kept.entries == ()
        assert [answer.request for answer in kept.answers] == ["request-4"]


def test_a_record_whose_put_is_forgotten_can_still_be_dropped(place: Place, store: Store) -> None:
    store.commit(ONE)
    store.commit(a_commit(2, forget=2))
    store.commit(a_commit(3, Drop(Kind.INSTANCE, 1), first=2))

    store.close()
    with reopened(place) as kept:
        assert kept.records == ()


@pytest.mark.parametrize("mishap", [Mishap.FAILS, Mishap.HALF_HAPPENS])
def test_nothing_of_a_failed_commit_is_kept_and_its_number_may_be_tried_again(
    place: Place, store: Store, mishap: Mishap
) -> None:
    store.commit(ONE)
    place.strike(mishap)

    with pytest.raises(StoreFailed, match="nothing of it happened"):
        store.commit(a_commit(2, Put(an_instance(2, "never"))))

    store.commit(TWO)
    store.close()
    with reopened(place) as kept:
        assert held(kept) == after([ONE, TWO])


@pytest.mark.parametrize("mishap", [Mishap.FAILS, Mishap.HALF_HAPPENS])
def test_nothing_of_a_failed_commit_is_kept_by_a_store_that_ends_then(
    place: Place, store: Store, mishap: Mishap
) -> None:
    store.commit(ONE)
    place.strike(mishap)
    with pytest.raises(StoreFailed):
        store.commit(TWO)

    place.crash(store)

    with reopened(place) as kept:
        assert held(kept) == after([ONE])


@pytest.mark.parametrize("mishap", UNKNOWN)
def test_settling_says_what_became_of_an_unknown_commit(
    place: Place, store: Store, mishap: Mishap
) -> None:
    store.commit(ONE)
    place.strike(mishap)
    with pytest.raises(OutcomeUnknown):
        store.commit(TWO)

    number = store.settle()

    history = [ONE, TWO][:number]
    following = a_commit(number + 1, Drop(Kind.INSTANCE, 1), first=3)
    store.commit(following)
    store.close()
    assert number in (1, 2)
    with reopened(place) as kept:
        assert held(kept) == after([*history, following])


@pytest.mark.parametrize("mishap", UNKNOWN)
def test_no_commit_is_taken_before_an_unknown_one_is_settled(
    place: Place, store: Store, mishap: Mishap
) -> None:
    place.strike(mishap)
    with pytest.raises(OutcomeUnknown):
        store.commit(ONE)

    for number in (1, 2):
        with pytest.raises(Broken):
            store.commit(a_commit(number))


@pytest.mark.parametrize("mishap", UNKNOWN)
def test_an_unknown_commit_is_kept_whole_or_not_at_all_when_the_store_ends_then(
    place: Place, store: Store, mishap: Mishap
) -> None:
    store.commit(ONE)
    place.strike(mishap)
    with pytest.raises(OutcomeUnknown):
        store.commit(TWO)

    place.crash(store)

    with reopened(place) as kept:
        assert held(kept) in (after([ONE]), after([ONE, TWO]))


def test_settling_without_need_says_the_last_number(store: Store) -> None:
    store.commit(ONE)

    assert store.settle() == 1


def test_whoever_only_looks_sees_what_is_durable_and_takes_nothing_from_its_owner(
    place: Place, store: Store
) -> None:
    store.commit(ONE)

    seen = place.open().look()

    assert held(seen) == after([ONE])
    store.commit(TWO)
    assert held(place.open().look()) == after([ONE, TWO])


def test_whoever_looks_where_nothing_is_makes_nothing(place: Place) -> None:
    assert place.open().look() == Kept()


@given(sequence=commit_sequences(), following=st.sampled_from(CHANGES))
def test_an_empty_store_begins_with_what_another_has_held(
    make_place: Callable[[Path], Place], sequence: list[Commit], following: Change
) -> None:
    source = MemoryStore()
    for commit in sequence:
        source.commit(commit)
    with passing_folder() as folder:
        place = make_place(Path(folder))
        with closing(place.open()) as store:
            store.load()
            store.fill(source.load())
            event = source.load().counters.event
            last = a_commit(len(sequence) + 1, following, first=event)
            store.commit(last)
            source.commit(last)

        with reopened(place) as kept:
            assert held(kept) == held(source.load())


def test_a_store_that_holds_something_begins_with_nothing_else(place: Place, store: Store) -> None:
    store.commit(ONE)

    with pytest.raises(Broken):
        store.fill(Kept(number=TWO.number))

    store.close()
    with reopened(place) as kept:
        assert held(kept) == after([ONE])


def test_closing_again_is_harmless(store: Store) -> None:
    store.close()
    store.close()


@given(
    sequence=commit_sequences(),
    crashes=st.sets(st.integers(1, 8)),
    mishaps=st.dictionaries(st.integers(1, 8), st.sampled_from(Mishap)),
)
def test_whatever_is_committed_and_goes_wrong_nothing_acknowledged_is_lost(
    make_place: Callable[[Path], Place],
    sequence: list[Commit],
    crashes: set[int],
    mishaps: dict[int, Mishap],
) -> None:
    with passing_folder() as folder:
        place = make_place(Path(folder))
        store = place.open()
        store.load()

        for commit in sequence:
            if commit.number in mishaps:
                place.strike(mishaps[commit.number])
            _commit_at_last(store, commit)
            if commit.number in crashes:
                place.crash(store)
                store = place.open()
                assert held(store.load()) == after(sequence[: commit.number])

        store.close()
        with reopened(place) as kept:
            assert held(kept) == after(sequence)


def _commit_at_last(store: Store, commit: Commit) -> None:
    with suppress(StoreFailed):
        try:
            store.commit(commit)
        except OutcomeUnknown:
            if store.settle() == commit.number:
                return
        else:
            return
    store.commit(commit)
