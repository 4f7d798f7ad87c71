"""What is booked for cards, what the site has yet to be told, and that nobody takes another's."""

from dataclasses import replace

import pytest

from domain.befalling import HERE, a_record, an_event
from tashi.domain import alterations as a
from tashi.domain import events as e
from tashi.domain.books import books_of
from tashi.domain.errors import AddressTaken, IncorrectState, InvalidInstance, Refused
from tashi.domain.identity import InstanceId, NetworkId, Operation
from tashi.domain.instance import Devices, Instance, Listing, ListingStage, Nic
from tashi.domain.listings import (
    check_asked,
    check_booking,
    duty_of,
    names_for,
    owes,
)
from tashi.domain.notices import BookAddresses, SiteTold
from tashi.domain.states import InstanceState as S
from tashi.domain.transitions import step

NET = NetworkId(1)
FIRST = Nic(NET, "52:54:00:00:00:01")
SECOND = Nic(NET, "52:54:00:00:00:02")
ONE = Listing(FIRST.mac, NET, "192.0.2.7", "web")
TWO = Listing(SECOND.mac, NET, "192.0.2.8", "web-nic1", 1)


def booked(one: Listing) -> Listing:
    return replace(one, stage=ListingStage.BOOKED)


def listed(one: Listing) -> Listing:
    return replace(one, stage=ListingStage.LISTED)


FORMER = listed(replace(ONE, name="old"))
UNPLUGGED = listed(replace(ONE, mac="52:54:00:00:00:09"))


def web(state: S = S.PENDING, **changes: object) -> Instance:
    return a_record(state, **{"name": "web", "nics": (FIRST, SECOND), **changes})  # type: ignore[arg-type]


def after(record: Instance, *events: e.Event) -> Instance:
    for event in events:
        record = step(record, event).record
    return record


def test_a_booked_address_is_the_cards() -> None:
    record = after(web(), BookAddresses((ONE, TWO)))

    assert [nic.ip for nic in record.nics] == ["192.0.2.7", "192.0.2.8"]
    assert record.listings == (booked(ONE), booked(TWO))


def test_what_is_booked_twice_is_booked_once() -> None:
    record = after(web(), BookAddresses((ONE,)), SiteTold(listed=(ONE,)), BookAddresses((ONE,)))

    assert record.listings == (listed(ONE),)


def test_an_address_that_was_asked_for_becomes_a_booked_one() -> None:
    asked = Listing(FIRST.mac, NET, "192.0.2.7")

    record = after(web(listings=(asked,)), BookAddresses((ONE,)))

    assert record.listings == (booked(ONE),)


def test_what_is_seen_does_not_take_the_place_of_what_is_booked() -> None:
    seen = an_event(e.SeenAddress, mac=FIRST.mac, ip="192.0.2.99")
    running = web(S.RUNNING, host_id=HERE)

    assert after(running, seen).nics[0].ip == "192.0.2.99"
    assert after(running, BookAddresses((ONE,)), seen).nics[0].ip == "192.0.2.7"


def test_a_node_that_tells_of_other_addresses_does_not_either() -> None:
    started = an_event(e.Started, nics=(replace(FIRST, ip="192.0.2.99"), SECOND))

    record = after(web(S.ACTIVATING, host_id=HERE), BookAddresses((ONE,)), started)

    assert [nic.ip for nic in record.nics] == ["192.0.2.7", None]


def test_notices_leave_the_last_word_about_the_instance_alone() -> None:
    record = web(S.HELD, reason="The image is gone.")

    assert after(record, SiteTold(trouble="named is away.")).reason == "The image is gone."


@pytest.mark.parametrize(
    ("listings", "forget", "enter"),
    [
        ((), (), ()),
        ((Listing(FIRST.mac, NET, "192.0.2.7"),), (), ()),
        ((booked(ONE),), (), (booked(ONE),)),
        ((listed(ONE),), (), ()),
        ((FORMER, booked(ONE)), (FORMER,), (booked(ONE),)),
        ((UNPLUGGED,), (UNPLUGGED,), ()),
    ],
)  # fmt: skip
def test_what_the_site_has_yet_to_hear_follows_from_the_record(
    listings: tuple[Listing, ...], forget: tuple[Listing, ...], enter: tuple[Listing, ...]
) -> None:
    duty = duty_of(web(listings=listings))

    assert duty == (forget, enter)
    assert bool(duty) is bool(forget or enter)


def test_of_an_instance_that_is_over_everything_is_to_be_forgotten() -> None:
    record = web(S.EXITED, listings=(booked(ONE), listed(TWO)))

    assert duty_of(record) == ((booked(ONE), listed(TWO)), ())
    assert owes(record)
    assert not owes(after(record, SiteTold(forgotten=(ONE, TWO))))


def test_a_name_that_comes_back_is_entered_anew_and_the_other_forgotten() -> None:
    other = replace(ONE, name="other")

    record = after(
        web(listings=(listed(ONE),)),
        BookAddresses((other,)),
        SiteTold(listed=(other,)),
        BookAddresses((ONE,)),
    )

    assert duty_of(record) == ((listed(other),), (booked(ONE),))


def test_hooks_are_owed_the_end_of_what_they_heard_of() -> None:
    told = after(web(), SiteTold(announced=True))

    assert owes(told)
    assert not owes(after(told, SiteTold(announced=False)))


def test_cards_are_named_for_their_number_which_stays_theirs() -> None:
    record = web(hints={"subDomain": "lab"}, listings=(replace(booked(TWO), number=2),))

    assert list(names_for(record, record.macs)) == [
        (FIRST.mac, 0, "web.lab"),
        (SECOND.mac, 2, "web-nic2.lab"),
    ]
    assert list(names_for(record, [FIRST.mac])) == [(FIRST.mac, 0, "web.lab")]


def test_a_card_that_moved_up_in_the_order_gets_a_number_that_nobody_has() -> None:
    third = Nic(NET, "52:54:00:00:00:03")
    record = web(nics=(FIRST, SECOND, third), listings=(replace(booked(ONE), number=1),))

    assert [number for _, number, _ in names_for(record, record.macs)] == [1, 2, 3]


def refusal(record: Instance, *wanted: Listing) -> str:
    other = replace(web(listings=(booked(ONE),)), id=InstanceId(2))
    books = books_of((other,))
    with pytest.raises(Refused) as caught:
        check_booking(books.places, books.host_names, record, wanted)
    return str(caught.value)


def test_nobody_books_what_is_anothers() -> None:
    record = web()

    assert "taken by instance 2" in refusal(record, replace(ONE, name="mine"))
    assert "host name WEB is booked for instance 2" in refusal(
        record, replace(ONE, ip="192.0.2.9", name="WEB")
    )


def test_nothing_is_booked_for_a_card_or_an_instance_that_is_not_there_or_with_an_odd_name() -> (
    None
):
    assert "has no card" in refusal(web(nics=(SECOND,)), replace(ONE, name="mine"))
    assert "is no host name" in refusal(web(), replace(ONE, name='x"; option routers 6.6.6.6; #'))
    with pytest.raises(IncorrectState):
        check_booking({}, {}, web(S.EXITED), (ONE,))


def test_the_same_address_on_another_network_is_another_address() -> None:
    books = books_of((replace(web(listings=(booked(ONE),)), id=InstanceId(2)),))

    check_asked(books.places, [replace(ONE, network=NetworkId(2))])
    with pytest.raises(AddressTaken, match="taken by instance 2"):
        check_asked(books.places, [ONE])
    with pytest.raises(InvalidInstance, match="same address"):
        check_asked({}, [ONE, replace(ONE, mac=SECOND.mac)])


def test_an_address_stays_booked_until_the_site_has_forgotten_it() -> None:
    over = web(S.EXITED, listings=(listed(ONE), Listing(SECOND.mac, NET, "192.0.2.8")))
    books = books_of((over,))

    assert dict(books.places) == {(NET, "192.0.2.7"): over.id}
    assert dict(books.host_names) == {"web": over.id}
    assert not books.put(after(over, SiteTold(forgotten=(ONE,)))).places


def test_a_card_that_is_plugged_in_keeps_its_address_when_it_is_there() -> None:
    plugged = replace(SECOND, ip="192.0.2.8", port=1)
    attach = a.AttachNic(Operation(9), Devices(nics=(FIRST, plugged)))

    asked = after(web(S.RUNNING, host_id=HERE, nics=(FIRST,)), attach)

    assert asked.listings == (Listing(SECOND.mac, NET, "192.0.2.8"),)
    got = after(asked, BookAddresses((TWO,)), an_event(a.Altered, nics=(FIRST, SECOND)))
    assert got.nics[1].ip == "192.0.2.8"
    assert not after(asked, an_event(a.AlterFailed)).listings
