"""Addresses of a range: never outside it, never twice, free again when given back."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tashi.domain.pools import Pool, Span, kept_out_of

GUIDES = Span("172.16.0.10", "172.16.3.250")
FOUR = Span("192.0.2.10", "192.0.2.13")


def numbered(first: str, size: int) -> Span:
    start = ip_address(first)
    return Span(str(start), str(start + (size - 1)))


spans = st.builds(
    numbered, st.sampled_from(["192.0.2.250", "10.0.0.0", "2001:db8::fffe"]), st.integers(1, 12)
)


@st.composite
def spans_and_gaps(draw: st.DrawFn) -> tuple[Span, list[Span]]:
    span = draw(spans)
    first = ip_address(span.first)
    offsets = st.tuples(st.integers(-3, 14), st.integers(0, 4))
    out = [
        Span(str(first + begin), str(first + begin + more))
        for begin, more in draw(st.lists(offsets, max_size=3))
        if int(first) + begin >= 0
    ]
    return span, out


def within(span: Span, ip: str) -> bool:
    return int(ip_address(span.first)) <= int(ip_address(ip)) <= int(ip_address(span.last))


def all_of(span: Span) -> set[str]:
    first, last = ip_address(span.first), ip_address(span.last)
    return {str(first + step) for step in range(int(last) - int(first) + 1)}


class Addresses(RuleBasedStateMachine):
    """Whatever is taken and given back, the pool agrees with a plain set."""

    @rule(made=spans_and_gaps())
    @precondition(lambda self: not hasattr(self, "pool"))
    def begin(self, made: tuple[Span, list[Span]]) -> None:
        self.span, out = made
        self.pool = Pool(self.span, out)
        self.whole = {ip for ip in all_of(self.span) if not any(within(one, ip) for one in out)}
        self.free = set(self.whole)

    @precondition(lambda self: hasattr(self, "pool"))
    @rule()
    def choose_and_take(self) -> None:
        ip = self.pool.choose()

        if ip is None:
            assert not self.free
            return
        assert ip in self.free
        self.pool.take(ip)
        self.free.remove(ip)

    @precondition(lambda self: hasattr(self, "pool"))
    @rule(offset=st.integers(-2, 14))
    def take_a_certain_one(self, offset: int) -> None:
        ip = str(ip_address(self.span.first) + offset) if offset >= 0 else "192.0.2.1"

        self.pool.take(ip)
        self.free.discard(ip)

    @precondition(lambda self: hasattr(self, "pool"))
    @rule(offset=st.integers(-2, 14))
    def give_back(self, offset: int) -> None:
        ip = str(ip_address(self.span.first) + offset) if offset >= 0 else "2001:db8::1"

        self.pool.give_back(ip)
        self.free |= {ip} & self.whole

    @invariant()
    def what_is_free_is_what_was_not_taken(self) -> None:
        if hasattr(self, "pool"):
            assert self.pool.size == len(self.free)
            assert {ip for ip in all_of(self.span) if self.pool.is_free(ip)} == self.free
            assert (self.pool.choose() is None) == (not self.free)


TestAddresses = Addresses.TestCase


@given(spans)
def test_every_address_is_given_once_until_none_is_left(span: Span) -> None:
    pool, given_ = Pool(span), []

    while (ip := pool.choose()) is not None:
        pool.take(ip)
        given_.append(ip)

    assert sorted(given_) == sorted(all_of(span))


def test_an_exhausted_range_recovers_with_the_first_that_comes_back() -> None:
    pool = Pool(FOUR)
    for ip in all_of(FOUR):
        pool.take(ip)

    pool.give_back("192.0.2.12")

    assert pool.choose() == "192.0.2.12"


def test_one_that_came_back_rests_until_the_others_had_their_turn() -> None:
    pool, turns = Pool(FOUR), []
    pool.take("192.0.2.10")
    pool.give_back("192.0.2.10")

    for _ in range(4):
        ip = pool.choose()
        assert ip is not None
        pool.take(ip)
        turns.append(ip)

    assert turns == ["192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.10"]


@pytest.mark.parametrize(
    ("network", "kept"),
    [
        ("172.16.0.1/22", ["172.16.0.1", "172.16.0.0", "172.16.3.255"]),
        ("10.0.0.0/31", ["10.0.0.0"]),
        ("10.0.0.7/32", ["10.0.0.7"]),
        ("2001:db8::1/64", ["2001:db8::1", "2001:db8::"]),
        ("2001:db8::/127", ["2001:db8::"]),
    ],
)
def test_a_gateway_and_what_means_the_whole_network_are_kept_out(
    network: str, kept: list[str]
) -> None:
    assert [str(one) for one in kept_out_of(network)] == kept


def test_it_says_why_an_address_is_not_for_guests() -> None:
    pool = Pool(GUIDES, [Span("172.16.1.0", "172.16.1.9"), Span("2001:db8::", "2001:db8::9")])

    assert pool.why_not("172.16.0.10") == ""
    assert pool.why_not("172.16.0.9") == "is not in the range 172.16.0.10-172.16.3.250"
    assert pool.why_not("2001:db8::1") == "is not in the range 172.16.0.10-172.16.3.250"
    assert pool.why_not("172.16.1.5") == "is kept out of the range 172.16.0.10-172.16.3.250"


def test_a_range_of_a_whole_ipv6_network_costs_no_more_than_its_gaps() -> None:
    pool = Pool(Span("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"))

    for ip in ("2001:db8::5", "2001:db8::7", "2001:db8::6"):
        pool.take(ip)

    assert pool.size == 2**64 - 3
    assert pool.choose() == "2001:db8::8"


def test_a_span_of_one_address_is_named_by_it() -> None:
    assert str(Span("192.0.2.1", "192.0.2.1")) == "192.0.2.1"
