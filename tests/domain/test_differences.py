"""What counts as a difference between the books and a server of the site, and what never does."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.befalling import a_record
from tashi.domain.differences import (
    DNS,
    Booked,
    Difference,
    Flaw,
    Heard,
    booked_in,
    differences,
)
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Instance, Listing, ListingStage, Nic
from tashi.domain.listings import SiteEntry
from tashi.domain.states import InstanceState as S

NET = NetworkId(1)
STAGES = st.sampled_from(ListingStage)


def a_card(number: int) -> str:
    return f"52:54:00:00:00:{number:02x}"


@st.composite
def records(draw: st.DrawFn) -> dict[int, Instance]:
    """Instances of one card each, in any state, with a present and perhaps a former listing."""
    made = {}
    for number in draw(st.sets(st.integers(1, 6))):
        here = Listing(a_card(number), NET, f"10.0.0.{number}", f"vm{number}", stage=draw(STAGES))
        former = replace(here, name=f"old{number}", stage=ListingStage.LISTED)
        made[number] = replace(
            a_record(draw(st.sampled_from([S.PENDING, S.RUNNING, S.STOPPED, S.EXITED]))),
            id=InstanceId(number),
            nics=(Nic(NET, a_card(number)),),
            listings=draw(st.sampled_from([(), (here,), (former, here)])),
        )
    return made


def an_entry(number: int, ip: str | None = None) -> SiteEntry:
    return SiteEntry(InstanceId(number), f"x{number}", ip or f"10.0.0.{number}", a_card(number))


STRANGERS = st.sets(st.builds(an_entry, st.integers(100, 105)))


def may_be_ours(ip: str) -> bool:
    return ip.startswith("10.")


def asked(has: Iterable[SiteEntry], booked: Booked) -> Heard:
    """What a server says that has exactly these entries, and lists them."""
    there = frozenset(has)
    said = {
        one: None if one in there else Difference(DNS, one, Flaw.MISSING, "It is not there.")
        for one in {*booked, *there}
    }
    return Heard(DNS, there, said)


def found(before: Booked, after: Booked, has: Iterable[SiteEntry]) -> set[tuple[Flaw, SiteEntry]]:
    listed = differences(before, after, asked(has, before), may_be_ours)
    assert len(listed) == len({one.entry for one in listed})
    return {(one.flaw, one.entry) for one in listed}


@given(records())
def test_a_server_that_has_what_is_booked_agrees(there: dict[int, Instance]) -> None:
    booked = booked_in(there.values())

    assert found(booked, booked, booked.wanted) == set()


@given(records(), st.data())
def test_what_is_lost_too_much_or_not_removed_yet_is_said_and_nothing_else(
    there: dict[int, Instance], data: st.DataObject
) -> None:
    booked = booked_in(there.values())
    lost = (
        data.draw(st.sets(st.sampled_from(sorted(booked.wanted, key=str))))
        if booked.wanted
        else set()
    )
    kept = (
        data.draw(st.sets(st.sampled_from(sorted(booked.unwanted, key=str))))
        if booked.unwanted
        else set()
    )
    strange = data.draw(STRANGERS)

    said = found(booked, booked, (booked.wanted.keys() - lost) | kept | strange)

    assert said == {(Flaw.MISSING, one) for one in lost} | {
        (Flaw.LEFT_OVER, one) for one in kept | strange
    }


@given(records(), records(), st.data())
def test_what_changes_while_the_servers_are_asked_is_not_spoken_of(
    there: dict[int, Instance], then: dict[int, Instance], data: st.DataObject
) -> None:
    before, after = booked_in(there.values()), booked_in(then.values())
    every = sorted({*before, *after}, key=str)
    has = data.draw(st.sets(st.sampled_from(every))) if every else set()

    said = {entry for _, entry in found(before, after, has)}

    unchanged = {
        entry
        for entry in every
        if before.wanted.get(entry) == after.wanted.get(entry)
        and (entry in before.unwanted) == (entry in after.unwanted)
    }
    assert said <= unchanged


@given(st.integers(0, 255))
def test_what_another_cluster_has_entered_is_left_alone(last: int) -> None:
    theirs = an_entry(100, f"192.168.0.{last}")
    nothing = booked_in([])

    assert found(nothing, nothing, [theirs]) == set()


def test_a_name_that_lost_only_its_way_back_is_left_over_all_the_same() -> None:
    nothing, left = booked_in([]), an_entry(100)
    half = Difference(DNS, left, Flaw.MISSING, "10.0.0.100 has no name.")
    heard = Heard(DNS, frozenset([left]), {left: half})

    (said,) = differences(nothing, nothing, heard, may_be_ours)

    assert (said.flaw, said.entry) == (Flaw.LEFT_OVER, left)
    assert "booked for nobody" in said.words
