"""The fair order among those who wait."""

from hypothesis import given
from hypothesis import strategies as st

from examples import held, waiting
from tashi.domain.identity import UserId
from tashi.domain.instance import Instance
from tashi.domain.placement.turns import in_turns


def ids(ones: list[Instance], served_last: int | None = None) -> list[int]:
    last = None if served_last is None else UserId(served_last)
    return [one.id for one in in_turns(ones, last)]


def test_users_take_turns_and_each_sends_the_lowest_id_first() -> None:
    ones = [waiting(4, user=2), waiting(3, user=1), waiting(1, user=1), waiting(2, user=1)]

    assert ids(ones) == [1, 4, 2, 3]


def test_what_is_held_comes_after_everything_pending() -> None:
    ones = [held(1, user=1), waiting(2, user=1), waiting(3, user=1), held(4, user=2)]

    assert ids(ones) == [2, 3, 1, 4]


def test_whoever_was_served_last_is_last_in_the_next_round() -> None:
    ones = [waiting(1, user=1), waiting(2, user=2), waiting(3, user=3)]

    assert ids(ones, served_last=1) == [2, 3, 1]
    assert ids(ones, served_last=2) == [3, 1, 2]
    assert ids(ones, served_last=3) == [1, 2, 3]


@given(st.integers(1, 5), st.one_of(st.none(), st.integers(0, 7)))
def test_a_thousand_of_one_user_never_delay_the_first_of_another(
    others: int, served_last: int | None
) -> None:
    many = [waiting(number, user=1) for number in range(1, 1001)]
    firsts = [waiting(1000 + number, user=1 + number) for number in range(1, others + 1)]

    order = ids([*many, *firsts], served_last)

    assert {one.id for one in firsts} <= set(order[: others + 1])
    assert len(order) == len(many) + others
