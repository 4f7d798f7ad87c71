"""What is refused at once, since no host could ever take it."""

from dataclasses import replace

import pytest

from examples import VERSION, a_host, waiting
from tashi.clustermanager.instances import check_some_host_is_large_enough
from tashi.domain.books import books_of
from tashi.domain.errors import InvalidInstance
from tashi.domain.placement.filters import Policy, first_refusal

POLICY = Policy(version=VERSION)


def test_what_fits_by_the_rules_of_placement_is_never_called_too_large() -> None:
    # 100 times 1.15 is 114.99999999999999 to a computer.
    policy = replace(POLICY, memory_overcommit=1.15, cpu_overcommit=1.15)
    host, one = a_host(memory=100, cores=100), waiting(1, memory=115, cores=115)
    books = books_of([host, one])

    assert first_refusal(books, host, one, policy) is None
    check_some_host_is_large_enough(one, books, policy)


def test_what_only_two_hosts_together_would_have_is_refused() -> None:
    books = books_of([a_host(1, memory=1024, cores=16), a_host(2, memory=8192, cores=2)])

    with pytest.raises(InvalidInstance, match="No host has both 8192 MiB of memory and 16 cores"):
        check_some_host_is_large_enough(waiting(1, memory=8192, cores=16), books, POLICY)


def test_with_hosts_of_which_nothing_is_known_yet_waiting_is_right() -> None:
    books = books_of([a_host(1, memory=0, cores=0)])

    check_some_host_is_large_enough(waiting(1, memory=8192, cores=16), books, POLICY)
