"""Tickets of those who have logged in."""

from fakes.clock import HandTurnedClock
from tashi.clustermanager.tickets import MOST_OF_ONE, Tickets
from tashi.domain.catalogue import User
from tashi.domain.identity import UserId
from tashi.domain.proofs import LoggedIn

ADA, BOB = User(UserId(500), "ada"), User(UserId(501), "bob")


def test_a_ticket_proves_whose_it_is_until_its_time_is_over() -> None:
    clock = HandTurnedClock()
    tickets = Tickets(clock, 60.0)
    ticket = tickets.give(ADA)

    young = tickets.proof(ticket)
    clock.turn(60.0)

    assert young == LoggedIn(ADA)
    assert tickets.proof(ticket) is None
    assert tickets.proof("") is None
    assert tickets.proof(f"{ticket}x") is None


def test_tickets_are_unlike_each_other_and_not_kept_as_they_are() -> None:
    tickets = Tickets(HandTurnedClock(), 60.0)
    given = [tickets.give(ADA) for _ in range(10)]

    assert len(set(given)) == 10
    assert all(len(ticket) >= 40 for ticket in given)
    assert not any(ticket.encode() in mark for ticket in given for mark in tickets._held)


def test_a_ticket_ends_when_told_and_so_do_all_of_one_user() -> None:
    tickets = Tickets(HandTurnedClock(), 60.0)
    first, second, third, bobs = (tickets.give(user) for user in (ADA, ADA, ADA, BOB))

    ended = tickets.end(first), tickets.end(first)
    left = [tickets.proof(ticket) for ticket in (first, second)]
    tickets.end_all_of(ADA.id)

    assert ended == (True, False)
    assert left == [None, LoggedIn(ADA)]
    assert [tickets.proof(ticket) for ticket in (second, third)] == [None, None]
    assert tickets.proof(bobs) == LoggedIn(BOB)


def test_of_one_users_tickets_the_oldest_gives_way() -> None:
    clock = HandTurnedClock()
    tickets = Tickets(clock, 60.0)
    bobs = tickets.give(BOB)
    given = []
    for _ in range(MOST_OF_ONE + 1):
        clock.turn(0.1)
        given.append(tickets.give(ADA))

    assert tickets.proof(given[0]) is None
    assert all(tickets.proof(ticket) for ticket in (*given[1:], bobs))
    clock.turn(60.0)
    tickets.give(ADA)
    assert len(tickets._held) == 1
