"""How often somebody may try to log in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.tries import MOST_REMEMBERED, Allowance, Tries, counted_as

ALLOWANCE = Allowance(tries=3, seconds=10.0)


def test_a_few_tries_are_there_at_once_and_then_one_after_a_while() -> None:
    tries = Tries(ALLOWANCE)
    waits = []
    for now in (0.0, 0.0, 0.0, 0.0, 9.0, 10.0):
        waits.append(tries.wait_seconds("ada", now))
        if not waits[-1]:
            tries.use("ada", now)

    assert waits == [0.0, 0.0, 0.0, 10.0, 1.0, 0.0]
    assert tries.wait_seconds("ada", 10.0) == 10.0
    assert tries.wait_seconds("bob", 10.0) == 0.0


def test_who_is_quiet_for_long_has_all_tries_again() -> None:
    tries = Tries(ALLOWANCE)
    for _ in range(3):
        tries.use("ada", 0.0)

    left = [tries.wait_seconds("ada", 100.0)]
    for _ in range(3):
        tries.use("ada", 100.0)
        left.append(tries.wait_seconds("ada", 100.0))

    assert left == [0.0, 0.0, 0.0, 10.0]


def test_a_try_that_did_not_fail_is_given_back_and_a_success_forgives_all() -> None:
    tries = Tries(ALLOWANCE)
    for _ in range(3):
        tries.use("ada", 0.0)
    tries.give_back("ada")
    given_back = tries.wait_seconds("ada", 0.0)
    tries.use("ada", 0.0)
    used_up = tries.wait_seconds("ada", 0.0)
    tries.forgive("ada")

    assert (given_back, used_up) == (0.0, 10.0)
    assert tries.wait_seconds("ada", 0.0) == 0.0


def test_only_so_many_are_remembered() -> None:
    tries = Tries(ALLOWANCE)
    for _ in range(3):
        tries.use("first", 0.0)
    for number in range(MOST_REMEMBERED):
        tries.use(f"stranger {number}", 0.0)

    assert len(tries._free_at) == MOST_REMEMBERED
    assert tries.wait_seconds("first", 0.0) == 0.0


@given(st.lists(st.floats(0.0, 30.0), max_size=40))
def test_never_more_than_the_tries_and_one_for_each_while(pauses: list[float]) -> None:
    tries, now, used = Tries(ALLOWANCE), 0.0, 0
    for pause in pauses:
        now += pause
        if tries.wait_seconds("ada", now) <= 0:
            tries.use("ada", now)
            used += 1

    assert used <= ALLOWANCE.tries + now / ALLOWANCE.seconds + 1e-6


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("uid 1000", "uid 1000"),
    ],
)
def test_who_can_have_any_address_of_a_network_is_counted_by_the_network(
    address: str, counted: str
) -> None:
    assert counted_as(address) == counted
