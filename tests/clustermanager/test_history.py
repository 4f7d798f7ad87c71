"""The recent past: who follows it gets every event once, in order, or is told to begin anew."""

from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import a_host, waiting
from tashi.clustermanager import history as room
from tashi.clustermanager.history import Events, History
from tashi.domain.errors import TooOld
from tashi.domain.identity import EventNumber, InstanceId
from tashi.domain.journal import Change, Drop, Entry, Kind, Put

LATER = 10.0


class Past:
    """A history and the events that were committed to it."""

    def __init__(self, most: int = 100) -> None:
        self.history = History((), EventNumber(1), most)
        self.next = 1

    def commit(self, *changes: Change) -> None:
        entries = [
            Entry(EventNumber(self.next + at), 0.0, "", "", change)
            for at, change in enumerate(changes)
        ]
        self.next += len(entries)
        self.history.extend(entries, EventNumber(self.next))

    def watch(self, since: int, instance: int | None = None) -> Future[Events]:
        key = None if instance is None else InstanceId(instance)
        return self.history.watch(EventNumber(since), LATER, key)


def about(instance: int) -> Change:
    return Put(waiting(instance))


def numbers(answer: Future[Events]) -> tuple[list[int], int]:
    events = answer.result(0)
    return [entry.number for entry in events.entries], events.next


def test_who_asks_for_the_past_is_answered_at_once() -> None:
    past = Past()
    past.commit(about(1), about(2))

    assert numbers(past.watch(1)) == ([1, 2], 3)
    assert numbers(past.watch(2)) == ([2], 3)


def test_who_asks_for_what_comes_next_waits_for_it() -> None:
    past = Past()
    past.commit(about(1))

    waits = past.watch(2)
    was_done = waits.done()
    past.commit(about(2), about(3))

    assert not was_done
    assert numbers(waits) == ([2, 3], 4)


def test_a_commit_without_events_answers_nobody() -> None:
    past = Past()

    waits = past.watch(1)
    past.commit()

    assert not waits.done()


def test_nothing_is_the_answer_when_the_time_is_up() -> None:
    past = Past()
    past.commit(about(1))
    waits, patient = past.watch(2), past.history.watch(EventNumber(2), LATER + 1)

    past.history.expire(LATER)

    assert numbers(waits) == ([], 2)
    assert not patient.done()


def test_who_watches_one_instance_hears_of_it_alone() -> None:
    past = Past()
    past.commit(about(1), about(2), Put(a_host(1)))

    before, waits = past.watch(1, instance=1), past.watch(2, instance=1)
    past.commit(Put(a_host(1)), about(2), Drop(Kind.HOST, 1))
    not_yet = waits.done()
    past.commit(about(2), Drop(Kind.INSTANCE, 1))

    assert numbers(before) == ([1], 4)
    assert not not_yet
    assert numbers(waits) == ([8], 9)


def test_who_watched_one_instance_in_vain_goes_on_after_all_that_happened_meanwhile() -> None:
    past = Past()
    waits = past.watch(1, instance=1)
    past.commit(about(2), about(3))

    past.history.expire(LATER)

    assert numbers(waits) == ([], 3)


def test_a_watcher_that_has_given_up_harms_no_other() -> None:
    past = Past()
    gone, late, waits = past.watch(1), past.watch(1), past.watch(1)
    gone.cancel()

    past.commit(about(1))
    late.cancel()

    assert numbers(waits) == ([1], 2)
    gone = past.watch(2)
    gone.cancel()
    past.history.expire(LATER)
    assert gone.cancelled()


def test_what_is_no_longer_kept_is_too_old() -> None:
    past = Past(most=2)
    past.commit(about(1), about(2), about(3))

    with pytest.raises(TooOld, match="from 2 to 3"):
        past.watch(1).result(0)
    assert numbers(past.watch(2)) == ([2, 3], 4)


def test_a_number_of_the_future_belongs_to_another_past() -> None:
    past = Past()
    past.commit(about(1))

    with pytest.raises(TooOld):
        past.watch(3).result(0)


def test_a_history_goes_on_where_it_was_kept() -> None:
    kept = [Entry(EventNumber(at), 0.0, "", "", about(at)) for at in (4, 5, 6)]

    history = History(kept, EventNumber(7), most=2)

    assert history.oldest == 5
    assert numbers(history.watch(EventNumber(5), LATER)) == ([5, 6], 7)


def test_a_history_of_which_nothing_is_kept_begins_with_the_next_event() -> None:
    history = History((), EventNumber(7), most=2)

    assert history.oldest == 7
    with pytest.raises(TooOld):
        history.watch(EventNumber(6), LATER).result(0)


@pytest.mark.parametrize("waited", [False, True])
def test_no_answer_holds_more_than_what_is_given_at_once(
    monkeypatch: pytest.MonkeyPatch, waited: bool
) -> None:
    monkeypatch.setattr(room, "MOST_EVENTS_AT_ONCE", 3)
    past = Past()

    waits = past.watch(1) if waited else None
    past.commit(*map(about, range(1, 8)))

    assert numbers(waits or past.watch(1)) == ([1, 2, 3], 4)
    assert numbers(past.watch(4)) == ([4, 5, 6], 7)
    assert numbers(past.watch(7)) == ([7], 8)
    assert numbers(past.watch(1, instance=7)) == ([7], 8)


commits = st.lists(st.integers(0, 4), max_size=12)


@given(commits=commits, most=st.integers(1, 5), watches=st.sets(st.integers(0, 12)))
def test_a_follower_misses_nothing_and_hears_nothing_twice(
    commits: list[int], most: int, watches: set[int]
) -> None:
    past = Past(most)
    seen: list[int] = []
    begun_anew_at = {1}
    following, waits = 1, None

    for at, size in enumerate([*commits, 1, 1]):
        if waits is None and (at in watches or at >= len(commits)):
            waits = past.watch(following)
            if waits.exception(0) if waits.done() else None:
                following, waits = past.next, None  # as after reading a snapshot
                begun_anew_at.add(following)
        past.commit(*[about(1)] * size)
        if waits is not None and waits.done():
            found, following = numbers(waits)
            seen += found
            waits = None

    assert seen == sorted(set(seen))
    gaps = {after for before, after in zip([0, *seen], seen, strict=False) if after != before + 1}
    assert gaps <= begun_anew_at
