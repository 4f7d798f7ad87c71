"""Logging in: whose word counts, how often one may try, and who is never held up by whom."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

import pytest
from immutables import Map

from fakes.clock import HandTurnedClock
from fakes.users import FakeDirectory, FakePasswords
from fakes.workers import AtOnce, HandWorkers
from tashi.adapters.system.workers import ThreadWorkers
from tashi.clustermanager import logins
from tashi.clustermanager.logins import LogIns
from tashi.clustermanager.people import People
from tashi.clustermanager.persons import Persons
from tashi.clustermanager.tickets import Tickets
from tashi.domain.catalogue import User
from tashi.domain.errors import (
    DirectoryFailed,
    NotLoggedIn,
    NotPermitted,
    PasswordsFailed,
    Refused,
    TashiError,
    TooManyTries,
)
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Proven, Role
from tashi.domain.proofs import LoggedIn
from tashi.ports.users import PasswordCheck
from tashi.ports.workers import Workers

Answer = TypeVar("Answer")
EVE, ALICE = User(UserId(7), "eve"), User(UserId(500), "alice")
PATIENCE_SECONDS = 60.0
STRANGER = Caller(Role.USER, proven=Proven.NOTHING, address="10.0.0.7", private=True)
ROOT = Caller(Role.ADMIN, UserId(0), "root", Proven.KERNEL, private=True)


class FakeCheck:
    """The directory's passwords: each one's is the name twice; counts the questions."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False
        self.go_on = threading.Event()
        self.go_on.set()

    def proves(self, name: str, password: str) -> bool:
        self.asked += 1
        self.go_on.wait(PATIENCE_SECONDS)
        if self.is_away:
            raise DirectoryFailed("The LDAP server cannot be reached.")
        return password == 2 * name


class Site:
    """Log-ins of a site with eve in Tashi's own list, and alice and bob in the directory."""

    def __init__(self, check: PasswordCheck | None = None, workers: Workers | None = None) -> None:
        self.clock = HandTurnedClock()
        self.hands = HandWorkers(self.clock)
        self.directory = FakeDirectory("alice", "bob")
        self.table = FakePasswords()
        self.tickets = Tickets(self.clock, 3600.0)
        people = People(self.directory, self.clock, 3600.0, AtOnce())
        self.own = Map({EVE.id: EVE})
        self.persons = Persons(people, lambda: self.own)
        people.begin()
        self.logins = LogIns(
            self.persons, self.table, check, self.tickets, self.clock, workers or self.hands
        )

    def settled(self, answer: Future[Answer]) -> Answer:
        """What comes of a question, once all that takes time is over."""
        self.hands.run_all()
        self.clock.turn(logins.REFUSED_AFTER_SECONDS)
        self.hands.run_all()
        return answer.result(0)

    def log_in(self, name: str, password: str, address: str = "10.0.0.7") -> LoggedIn | None:
        caller = Caller(Role.USER, proven=Proven.NOTHING, address=address, private=True)
        given = self.settled(self.logins.log_in(caller, name, password))
        assert given.seconds == 3600.0
        return self.tickets.proof(given.ticket)

    def error(self, name: str, password: str, address: str = "10.0.0.7") -> TashiError:
        with pytest.raises(TashiError) as caught:
            self.log_in(name, password, address)
        return caught.value


def test_tashis_own_password_gives_a_ticket() -> None:
    site = Site()
    site.table.set(EVE, "open sesame")
    site.table.set(ALICE, "wonderland")

    assert site.log_in("eve", "open sesame") == LoggedIn(EVE)
    assert site.log_in("alice", "wonderland") == LoggedIn(ALICE)


def test_where_the_directory_keeps_passwords_its_word_counts_for_its_users() -> None:
    check = FakeCheck()
    site = Site(check)
    site.table.set(ALICE, "wonderland")  # set before the directory kept any
    site.table.set(EVE, "open sesame")

    assert site.log_in("alice", "alicealice") == LoggedIn(ALICE)
    assert isinstance(site.error("alice", "wonderland"), NotLoggedIn)
    assert check.asked == 2
    assert site.log_in("eve", "open sesame") == LoggedIn(EVE)
    assert isinstance(site.error("eve", "eveeve"), NotLoggedIn)
    assert check.asked == 2


def test_whose_password_the_directory_does_not_keep_has_one_of_tashis_own() -> None:
    site = Site(check := FakeCheck())
    site.directory.local = frozenset({"alice"})
    site.clock.turn(3601.0)
    assert site.persons.user(ALICE.id) == ALICE
    site.settled(site.logins.set_password(ROOT, ALICE, "alices own", ""))

    assert site.log_in("alice", "alices own") == LoggedIn(ALICE)
    assert isinstance(site.error("alice", "alicealice"), NotLoggedIn)
    assert check.asked == 0
    assert site.log_in("bob", "bobbob") == LoggedIn(User(UserId(501), "bob"))


@pytest.mark.parametrize("kept_by_directory", [False, True])
def test_a_refusal_does_not_say_whether_there_is_such_a_user(kept_by_directory: bool) -> None:
    site = Site(FakeCheck() if kept_by_directory else None)
    site.table.set(EVE, "open sesame")

    words = {
        site.error(name, password).message
        for name, password in (("eve", "wrong"), ("alice", "wrong"), ("mallory", "x"), ("eve", ""))
    }

    assert words == {"The name or the password is not right."}


def test_a_refusal_comes_no_sooner_than_a_while_after_the_question() -> None:
    site = Site()
    answer = site.logins.log_in(STRANGER, "mallory", "x")
    site.hands.run_all()
    site.clock.turn(logins.REFUSED_AFTER_SECONDS - 0.1)
    site.hands.run_all()
    early = answer.done()
    site.clock.turn(0.1)
    site.hands.run_all()

    assert not early
    assert isinstance(answer.exception(0), NotLoggedIn)


def test_who_fails_too_often_under_a_name_is_told_when_to_try_again() -> None:
    site = Site()
    site.table.set(EVE, "open sesame")
    address = iter(range(1000))
    failed = [
        site.error("eve", "wrong", f"10.0.1.{next(address)}")
        for _ in range(logins.OF_A_NAME.tries + 1)
    ]

    assert [type(one) for one in failed[:-1]] == [NotLoggedIn] * logins.OF_A_NAME.tries
    assert isinstance(failed[-1], TooManyTries)
    assert failed[-1].message.startswith("Too many log-ins have failed: try again in ")
    assert isinstance(site.error("eve", "open sesame"), TooManyTries)
    site.clock.turn(logins.OF_A_NAME.seconds)
    assert site.log_in("eve", "open sesame") == LoggedIn(EVE)


def test_a_name_that_nobody_has_is_counted_like_any() -> None:
    site = Site()
    failed = [site.error("mallory", "wrong") for _ in range(logins.OF_A_NAME.tries + 1)]

    assert isinstance(failed[-1], TooManyTries)


def test_who_fails_too_often_from_an_address_is_told_so_under_any_name() -> None:
    site = Site()
    site.table.set(EVE, "open sesame")
    guesses = [
        site.logins.log_in(STRANGER, f"guess {n}", "x") for n in range(logins.OF_AN_ADDRESS.tries)
    ]
    here = site.logins.log_in(STRANGER, "eve", "open sesame")
    elsewhere = site.logins.log_in(replace(STRANGER, address="10.0.0.8"), "eve", "open sesame")
    for one in guesses:
        with pytest.raises(NotLoggedIn):
            site.settled(one)

    assert isinstance(here.exception(0), TooManyTries)
    assert site.tickets.proof(elsewhere.result(0).ticket) == LoggedIn(EVE)


def test_tries_are_counted_when_they_begin_so_that_nobody_guesses_all_at_once() -> None:
    site = Site()
    answers = [site.logins.log_in(STRANGER, "eve", f"guess {n}") for n in range(100)]
    site.hands.run_all()
    site.clock.turn(logins.REFUSED_AFTER_SECONDS)
    site.hands.run_all()

    kinds = [type(answer.exception(0)) for answer in answers]
    assert kinds.count(NotLoggedIn) == logins.OF_A_NAME.tries
    assert kinds.count(TooManyTries) == 100 - logins.OF_A_NAME.tries


def test_who_logs_in_well_is_never_held_up() -> None:
    site = Site()
    site.table.set(EVE, "open sesame")

    assert all(site.log_in("eve", "open sesame") for _ in range(200))


def test_a_directory_that_is_away_is_the_reason_and_costs_nobody_a_try() -> None:
    check = FakeCheck()
    site = Site(check)
    check.is_away = True
    failed = [site.error("alice", "alicealice") for _ in range(30)]
    check.is_away = False

    assert {type(one) for one in failed} == {DirectoryFailed}
    assert site.log_in("alice", "alicealice") == LoggedIn(ALICE)


def test_passwords_that_cannot_be_read_are_the_reason() -> None:
    site = Site()
    site.table.is_away = True

    assert isinstance(site.error("eve", "open sesame"), PasswordsFailed)


def test_passwords_are_not_taken_where_somebody_may_listen() -> None:
    site = Site()
    overheard = Caller(Role.USER, UserId(7), address="10.0.0.7")

    with pytest.raises(Refused, match="only taken over an encrypted connection"):
        site.logins.log_in(overheard, "eve", "open sesame")


def test_what_no_password_is_as_long_as_is_refused() -> None:
    site = Site()

    for name, password in (("e" * 2000, "x"), ("eve", "x" * 2000)):
        with pytest.raises(Refused, match="at most 1024 characters"):
            site.logins.log_in(STRANGER, name, password)


@pytest.fixture
def threads() -> Iterator[ThreadWorkers]:
    made = ThreadWorkers()
    yield made
    made.stop()


def test_a_directory_that_hangs_holds_up_nobody_who_is_not_in_it(threads: ThreadWorkers) -> None:
    check = FakeCheck()
    site = Site(check, threads)
    site.table.set(EVE, "open sesame")
    check.go_on.clear()

    waiting = [
        site.logins.log_in(Caller(Role.USER, address=f"10.0.2.{n}", private=True), f"user {n}", "x")
        for n in range(logins.MOST_AT_ONCE + 5)
    ]
    eves = site.logins.log_in(STRANGER, "eve", "open sesame").result(PATIENCE_SECONDS)
    turned_away = [one.exception(PATIENCE_SECONDS) for one in waiting[logins.MOST_AT_ONCE :]]
    held = any(one.done() for one in waiting[: logins.MOST_AT_ONCE])
    check.go_on.set()

    assert site.tickets.proof(eves.ticket) == LoggedIn(EVE)
    assert {str(one) for one in turned_away} == {
        "Too many log-ins are under way: try again in a moment."
    }
    assert not held
    for one in waiting[: logins.MOST_AT_ONCE]:
        assert isinstance(one.exception(PATIENCE_SECONDS), NotLoggedIn)


# ---- setting passwords --------------------------------------------------------------------------


def eve_as(proven: Proven, *, private: bool = True) -> Caller:
    return Caller(Role.USER, EVE.id, "user 7 (eve)", proven, address="10.0.0.7", private=private)


def change(site: Site, caller: Caller, user: User, password: str, current: str = "") -> object:
    return site.settled(site.logins.set_password(caller, user, password, current))


def test_an_administrator_sets_anybodys_password() -> None:
    site = Site()
    site.table.set(EVE, "forgotten")

    change(site, ROOT, EVE, "new and long")

    assert site.table.kept == {EVE: "new and long"}


def test_somebody_sets_their_own_given_the_current_one() -> None:
    site = Site()
    me = eve_as(Proven.CERTIFICATE)
    change(site, me, EVE, "the first one")
    ticket = site.settled(site.logins.log_in(STRANGER, "eve", "the first one")).ticket

    with pytest.raises(NotPermitted, match="not the current password; nothing was changed"):
        change(site, me, EVE, "the second one", "a guess")
    kept = dict(site.table.kept)
    change(site, me, EVE, "the second one", "the first one")

    assert kept == {EVE: "the first one"}
    assert site.table.kept == {EVE: "the second one"}
    assert site.tickets.proof(ticket) is None


def test_the_current_password_cannot_be_guessed_by_setting_another() -> None:
    site = Site()
    site.table.set(EVE, "open sesame")
    me = eve_as(Proven.PASSWORD)
    failed = []
    for number in range(logins.OF_A_NAME.tries + 1):
        with pytest.raises(TashiError) as caught:
            change(site, me, EVE, "a new password", f"guess {number}")
        failed.append(caught.value)

    assert isinstance(failed[-1], TooManyTries)


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        (eve_as(Proven.SAID), "Passwords are set over an encrypted connection"),
        (eve_as(Proven.NOTHING), "Passwords are set over an encrypted connection"),
        (eve_as(Proven.CERTIFICATE, private=False), "Passwords are set over an encrypted"),
        (Caller(Role.OPERATOR, UserId(9), "op", Proven.KERNEL, private=True), "by themselves and"),
        (Caller(Role.USER, UserId(9), "bob", Proven.PASSWORD, private=True), "by themselves and"),
    ],
)
def test_nobody_else_sets_it(caller: Caller, words: str) -> None:
    site = Site()

    with pytest.raises(NotPermitted, match=words):
        site.logins.set_password(caller, EVE, "new and long", "")
    assert not site.table.kept


def test_what_the_directory_keeps_is_changed_there() -> None:
    site = Site(FakeCheck())

    with pytest.raises(Refused, match=r"keeps the password of user 500 \(alice\): change it there"):
        site.logins.set_password(ROOT, ALICE, "new and long", "")
    change(site, ROOT, EVE, "new and long")
    assert site.table.has(EVE)


def test_a_short_password_is_refused() -> None:
    with pytest.raises(Refused, match="at least 8 characters"):
        Site().logins.set_password(ROOT, EVE, "1234567", "")


def test_who_is_removed_has_neither_ticket_nor_password() -> None:
    site = Site()
    site.table.set(EVE, "open sesame")
    ticket = site.settled(site.logins.log_in(STRANGER, "eve", "open sesame")).ticket

    site.logins.forget(EVE)
    site.hands.run_all()

    assert site.tickets.proof(ticket) is None
    assert not site.table.kept


def test_a_password_that_was_being_set_is_not_kept_for_who_is_removed_meanwhile() -> None:
    site = Site()
    answer = site.logins.set_password(ROOT, EVE, "new and long", "")
    site.own = Map()

    with pytest.raises(NotPermitted, match=r"There is no user 7 \(eve\) any more"):
        site.settled(answer)

    assert not site.table.kept


def test_who_logs_out_has_no_ticket() -> None:
    site = Site()
    site.table.set(EVE, "open sesame")
    ticket = site.settled(site.logins.log_in(STRANGER, "eve", "open sesame")).ticket

    ended = site.logins.log_out(ticket)
    site.hands.run_all()

    assert ended.result(0) is True
    assert site.tickets.proof(ticket) is None
