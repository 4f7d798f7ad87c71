"""Jobs for the writer of a node's notes: in order, and never so many that a turn has no end."""

from functools import partial

from tashi.nodemanager.inbox import Inbox


def test_a_turn_does_what_is_queued_in_order() -> None:
    inbox, done = Inbox(), list[int]()
    for number in range(3):
        inbox.post(partial(done.append, number))

    inbox.turn(0.0)
    inbox.turn(0.0)

    assert done == [0, 1, 2]


def test_jobs_that_bring_more_jobs_leave_them_for_the_next_turn() -> None:
    inbox, done = Inbox(), list[int]()

    def one_more() -> None:
        done.append(len(done))
        inbox.post(one_more)

    inbox.post(one_more)
    for _ in range(3):
        inbox.turn(1.0)

    assert len(done) == 6
