"""Answers that follow from others: whatever happens on the way, they end."""

from concurrent.futures import Future

import pytest

from tashi.domain.errors import Failed, NoSuchInstance
from tashi.wire.chaining import then


def made(number: int) -> "Future[int]":
    answer: Future[int] = Future()
    answer.set_result(number)
    return answer


def test_what_follows_may_be_there_at_once_or_come_later() -> None:
    first: Future[int] = Future()
    second: Future[int] = Future()

    at_once = then(first, lambda number: number + 1)
    later: Future[int] = then(first, lambda _: second)
    first.set_result(1)
    before = (at_once.done(), later.done())
    second.set_result(7)

    assert before == (True, False)
    assert (at_once.result(0), later.result(0)) == (2, 7)


def test_what_is_there_already_is_followed_as_well() -> None:
    assert then(then(made(1), made), lambda number: number + 1).result(0) == 2


def test_the_first_ones_error_is_the_end_of_it() -> None:
    first: Future[int] = Future()

    whole: Future[int] = then(first, made)
    first.set_exception(NoSuchInstance("There is none."))

    assert isinstance(whole.exception(0), NoSuchInstance)


def test_what_goes_wrong_in_what_follows_is_the_end_of_it() -> None:
    def fail(_: int) -> int:
        raise ZeroDivisionError

    assert isinstance(then(made(1), fail).exception(0), ZeroDivisionError)


@pytest.mark.parametrize("second", [False, True])
def test_what_is_cancelled_on_the_way_is_the_end_of_it(second: bool) -> None:
    waiting: Future[int] = Future()

    first, follows = (made(1), waiting) if second else (waiting, made(1))
    whole: Future[int] = then(first, lambda _: follows)
    waiting.cancel()

    assert isinstance(whole.exception(0), Failed)


def test_nobody_can_cancel_what_follows() -> None:
    first: Future[int] = Future()

    whole: Future[int] = then(first, made)

    assert not whole.cancel()
    first.set_result(1)
    assert whole.result(0) == 1
