"""Which addresses are kept of a guest's cards, and which goes before which."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.addresses import (
    STALE_SECONDS,
    Known,
    goes_before,
    readable,
    with_gaps_filled,
)
from tashi.domain.identity import NetworkId
from tashi.domain.instance import Nic

SEEN = Known("192.0.2.7", 100.0)
ONE = Nic(NetworkId(1), "52:54:00:00:00:01")
TWO = Nic(NetworkId(1), "52:54:00:00:00:02", "192.0.2.2")


@pytest.mark.parametrize(
    ("text", "ip"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (bytes([192, 0, 2, 7]), "192.0.2.7"),
        ("2001:DB8::0:7", "2001:db8::7"),
        ("fd00::1", "fd00::1"),
        (b"\x20\x01\x0d\xb8" + bytes(11) + b"\x07", "2001:db8::7"),
        ("0.0.0.0", None),
        ("::", None),
        ("127.0.0.1", None),
        ("::1", None),
        ("169.254.3.4", None),
        ("fe80::5054:ff:fe00:1", None),
        ("224.0.0.251", None),
        ("ff02::1", None),
        ("255.255.255.255", None),
        ("somewhere", None),
        (b"abc", None),
    ],
)
def test_only_what_others_can_reach_a_guest_by_is_kept(text: str | bytes, ip: str | None) -> None:
    assert readable(text) == ip


@given(st.one_of(st.text(), st.binary()))
def test_whatever_is_kept_is_an_address(text: str | bytes) -> None:
    ip = readable(text)

    assert ip is None or readable(ip) == ip


@pytest.mark.parametrize("given_", [True, False])
def test_a_card_without_an_address_takes_any(given_: bool) -> None:
    assert goes_before(None, "192.0.2.7", given=given_, now=0.0)


def test_what_is_known_already_is_no_news() -> None:
    assert not goes_before(SEEN, SEEN.ip, given=True, now=10_000.0)


def test_an_address_that_was_given_goes_before() -> None:
    assert goes_before(SEEN, "192.0.2.8", given=True, now=100.0)


@pytest.mark.parametrize(("later", "goes"), [(STALE_SECONDS - 1, False), (STALE_SECONDS, True)])
def test_an_announcement_goes_before_what_was_not_seen_for_a_while(
    later: float, goes: bool
) -> None:
    assert goes_before(SEEN, "192.0.2.8", given=False, now=SEEN.seen_at + later) is goes


@pytest.mark.parametrize("given_", [True, False])
def test_an_ipv4_address_goes_before_an_ipv6_one(given_: bool) -> None:
    six = Known("2001:db8::7", 100.0)

    assert goes_before(six, "192.0.2.7", given=given_, now=100.0)
    assert not goes_before(SEEN, six.ip, given=given_, now=10_000.0)


def test_gaps_are_filled_by_what_others_know() -> None:
    others = (replace(ONE, ip="192.0.2.1"), replace(TWO, ip="192.0.2.9"))

    assert with_gaps_filled((ONE, TWO), others) == (replace(ONE, ip="192.0.2.1"), TWO)
    assert with_gaps_filled((ONE,), (TWO,)) == (ONE,)
