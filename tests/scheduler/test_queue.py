"""Who is ready, who is paused until when, and what brings each back."""

import pytest

from examples import held, waiting
from tashi.domain.identity import HostId, InstanceId
from tashi.scheduler.queue import Pauses, Queue

ONE, TWO = InstanceId(1), InstanceId(2)
N1, N2 = HostId(1), HostId(2)


@pytest.fixture
def queue() -> Queue:
    return Queue(Pauses(first_seconds=1.0, longest_seconds=60.0))


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Pauses(first_seconds=1.0, longest_seconds=60.0)

    assert [pauses.after(n) for n in range(1, 8)] == [1, 2, 4, 8, 16, 32, 60]
    assert pauses.after(100_000) == 60


def test_a_new_instance_is_ready_at_once(queue: Queue) -> None:
    queue.take(waiting(1), now=0.0)

    assert queue.ready(0.0) == {ONE}
    assert queue.due_in(0.0) == 0.0


def test_an_empty_queue_waits_for_news(queue: Queue) -> None:
    assert queue.ready(0.0) == frozenset()
    assert queue.due_in(0.0) is None


def test_one_that_failed_is_ready_after_its_pause(queue: Queue) -> None:
    queue.take(held(1, tries=3), now=10.0)

    assert queue.ready(13.9) == frozenset()
    assert queue.due_in(13.0) == 1.0
    assert queue.ready(14.0) == {ONE}


def test_one_that_is_held_is_paused_whatever_it_counts(queue: Queue) -> None:
    queue.take(held(1, tries=0), now=0.0)

    assert queue.due_in(0.0) == 1.0


def test_hearing_of_a_paused_instance_again_does_not_begin_its_pause_anew(queue: Queue) -> None:
    queue.take(held(1, tries=2), now=0.0)
    queue.take(held(1, tries=2), now=1.5)

    assert queue.due_in(1.5) == 0.5


def test_another_failure_begins_a_longer_pause(queue: Queue) -> None:
    queue.take(held(1, tries=1), now=0.0)
    queue.take(held(1, tries=2), now=0.5)

    assert queue.ready(1.0) == frozenset()
    assert queue.due_in(1.0) == 1.5


def test_a_fresh_start_ends_the_pause(queue: Queue) -> None:
    queue.take(held(1, tries=5), now=0.0)
    queue.take(waiting(1), now=1.0)

    assert queue.ready(1.0) == {ONE}


def test_what_fits_nowhere_waits_for_room(queue: Queue) -> None:
    queue.take(waiting(1), now=0.0)
    queue.set_aside(ONE, curious=False)

    queue.hear_news()
    assert queue.ready(0.0) == frozenset()
    assert queue.due_in(0.0) is None

    queue.make_room()
    assert queue.ready(0.0) == {ONE}


def test_the_curious_come_back_with_any_news(queue: Queue) -> None:
    queue.take(waiting(1), now=0.0)
    queue.set_aside(ONE, curious=True)

    queue.hear_news()

    assert queue.ready(0.0) == {ONE}


def test_one_that_was_refused_comes_back_with_the_next_news(queue: Queue) -> None:
    queue.take(waiting(1), now=0.0)
    queue.refuse(ONE, N1, now=0.0)
    assert queue.ready(0.0) == frozenset()

    queue.hear_news()

    assert queue.ready(0.0) == {ONE}
    assert queue.refused_by(ONE) == {N1}


def test_one_that_was_refused_comes_back_without_news_too(queue: Queue) -> None:
    queue.take(waiting(1), now=0.0)

    queue.refuse(ONE, N1, now=0.0)

    assert queue.due_in(0.0) == 1.0
    assert queue.ready(1.0) == {ONE}


def test_one_that_is_refused_again_is_paused_whatever_the_news(queue: Queue) -> None:
    queue.take(waiting(1), now=0.0)
    queue.refuse(ONE, N1, now=0.0)
    queue.hear_news()
    queue.refuse(ONE, N2, now=5.0)

    queue.hear_news()
    queue.make_room()

    assert queue.ready(6.9) == frozenset()
    assert queue.ready(7.0) == {ONE}
    assert queue.refused_by(ONE) == {N1, N2}


def test_who_leaves_is_forgotten(queue: Queue) -> None:
    queue.take(held(1, tries=1), now=0.0)
    queue.take(waiting(2), now=0.0)
    queue.refuse(TWO, N1, now=0.0)

    queue.leave(ONE)
    queue.leave(TWO)
    queue.leave(InstanceId(3))
    queue.hear_news()

    assert queue.due_in(0.0) is None
    assert queue.ready(100.0) == frozenset()


def test_who_comes_again_has_no_refusals(queue: Queue) -> None:
    queue.take(waiting(1), now=0.0)
    queue.refuse(ONE, N1, now=0.0)
    queue.leave(ONE)
    queue.take(waiting(1), now=0.0)

    assert queue.refused_by(ONE) == frozenset()
    assert queue.ready(1.0) == {ONE}
