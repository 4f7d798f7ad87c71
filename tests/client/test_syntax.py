"""Disks, network cards and hints: what is written is read as the same again."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.client import syntax
from tashi.client.syntax import NicWish
from tashi.wire.forms import DiskForm

words = st.from_regex(r"[A-Za-z0-9._/-]{1,20}", fullmatch=True)
macs = st.from_regex(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", fullmatch=True)
addresses = st.ip_addresses().map(str)
disks = st.builds(DiskForm, words, st.booleans())
networks = st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{0,9}|[0-9]{1,4}|", fullmatch=True)
nics = st.builds(NicWish, networks, st.none() | addresses, st.just("") | macs)


@given(st.lists(disks, min_size=1))
def test_disks_are_read_as_they_were_written(some: list[DiskForm]) -> None:
    assert syntax.read_disks(syntax.write_disks(some)) == tuple(some)


@given(st.lists(nics).filter(lambda some: some != [NicWish("none")]))
def test_network_cards_are_read_as_they_were_written(some: list[NicWish]) -> None:
    assert syntax.read_nics(syntax.write_nics(some)) == tuple(some)


@given(st.dictionaries(words, words))
def test_hints_are_read_as_they_were_written(some: dict[str, str]) -> None:
    written = ",".join(f"{name}={value}" for name, value in some.items())

    assert syntax.read_hints(written) == some


@given(st.text())
def test_whatever_is_typed_is_read_or_refused_with_words(text: str) -> None:
    for read in (syntax.read_disks, syntax.read_nics, syntax.read_hints):
        with suppress(ValueError):
            read(text)


@pytest.mark.parametrize(
    ("text", "nic"),
    [
        ("", NicWish()),
        ("1", NicWish("1")),
        ("office", NicWish("office")),
        (":192.0.2.17", NicWish("", "192.0.2.17")),
        ("1:192.0.2.17", NicWish("1", "192.0.2.17")),
        ("1::52:54:00:12:34:56", NicWish("1", None, "52:54:00:12:34:56")),
        ("1:52:54:00:12:34:56", NicWish("1", None, "52:54:00:12:34:56")),
        ("::52:54:00:12:34:56", NicWish("", None, "52:54:00:12:34:56")),
        (
            "1:192.0.2.17:52:54:00:12:34:56",
            NicWish("1", "192.0.2.17", "52:54:00:12:34:56"),
        ),
        ("1:[2001:db8::1]", NicWish("1", "2001:db8::1")),
        (
            "1:[2001:db8::1]:52:54:00:12:34:56",
            NicWish("1", "2001:db8::1", "52:54:00:12:34:56"),
        ),
        ("1:nonsense:mac", NicWish("1", "nonsense", "mac")),
    ],
)
def test_every_part_of_a_network_card_may_be_left_out(text: str, nic: NicWish) -> None:
    assert syntax.read_nics(text) == (nic,)


def test_no_network_cards_can_be_asked_for() -> None:
    assert syntax.read_nics("None") == ()


@pytest.mark.parametrize("text", ["web.qcow2:True", "web.qcow2:true", "web.qcow2:TRUE"])
def test_a_disk_keeps_what_is_written_when_told_so_in_any_case(text: str) -> None:
    assert syntax.read_disks(text) == (DiskForm("web.qcow2", persistent=True),)


def test_of_two_hints_of_one_name_the_later_counts() -> None:
    assert syntax.read_hints("near=group:a, near=group:b") == {"near": "group:b"}
