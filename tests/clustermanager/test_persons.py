"""Who somebody is, where Tashi's own list and the directory may both have something to say."""

from collections.abc import Iterator, Mapping

import pytest
from immutables import Map

from fakes.clock import HandTurnedClock
from fakes.users import FakeDirectory
from fakes.workers import HandWorkers
from tashi.clustermanager.people import People
from tashi.clustermanager.persons import Persons
from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role

ALICE, BOB = User(UserId(500), "alice"), User(UserId(501), "bob")


class Site:
    """A directory with alice (500) and bob (501), and Tashi's own list."""

    def __init__(self, *own: User) -> None:
        self.directory = FakeDirectory("alice", "bob")
        self.directory.roles = {ALICE.id: Role.ADMIN, BOB.id: Role.OPERATOR}
        self.own = Map({user.id: user for user in own})
        clock = HandTurnedClock()
        self.workers = HandWorkers(clock)
        self.people = People(self.directory, clock, 3600.0, self.workers)
        self.persons = Persons(self.people, lambda: self.own)
        self.people.begin()

    def read(self) -> "Site":
        self.workers.run_all()
        return self


def test_people_of_the_directory_have_its_names_and_roles() -> None:
    persons = Site().read().persons

    assert persons.named("alice") == persons.user(ALICE.id) == ALICE
    assert persons.role_of(ALICE.id) is Role.ADMIN
    assert persons.role_of(BOB.id) is Role.OPERATOR
    assert persons.named("eve") is None
    assert persons.role_of(UserId(7)) is Role.USER


def test_an_own_user_is_known_by_name_at_once_when_added() -> None:
    site = Site().read()
    before = site.persons.named("eve")
    eve = User(UserId(7), "eve")

    site.own = site.own.set(eve.id, eve)

    assert before is None
    assert site.persons.named("eve") == site.persons.user(eve.id) == eve


def test_a_number_that_tashis_own_list_has_is_nobody_elses() -> None:
    eve = User(ALICE.id, "eve")
    persons = Site(eve).read().persons

    assert persons.user(ALICE.id) == persons.named("eve") == eve
    assert persons.named("alice") is None
    assert persons.role_of(ALICE.id) is Role.USER


def test_a_name_that_tashis_own_list_has_is_nobody_elses() -> None:
    other = User(UserId(7), "alice")
    persons = Site(other).read().persons

    assert persons.named("alice") == other
    assert persons.role_of(other.id) is Role.USER


def test_somebody_in_both_lists_keeps_the_directorys_role() -> None:
    persons = Site(ALICE).read().persons

    assert persons.named("alice") == ALICE
    assert persons.role_of(ALICE.id) is Role.ADMIN


def test_before_the_directory_was_read_nobody_is_said_not_to_exist() -> None:
    site = Site(User(UserId(7), "eve"))

    with pytest.raises(DirectoryFailed, match="has not been read yet"):
        site.persons.named("alice")
    assert site.persons.named("eve") == User(UserId(7), "eve")
    assert site.persons.are_awaited()
    assert not site.read().persons.are_awaited()


class Counted(Mapping[UserId, User]):
    """A list of users that counts how often somebody goes through it."""

    def __init__(self, users: Mapping[UserId, User]) -> None:
        self.users = users
        self.gone_through = 0

    def __getitem__(self, key: UserId) -> User:
        return self.users[key]

    def __len__(self) -> int:
        return len(self.users)

    def __iter__(self) -> Iterator[UserId]:
        self.gone_through += 1
        return iter(self.users)


def test_the_own_list_is_not_gone_through_at_every_question() -> None:
    own = Counted({UserId(key): User(UserId(key), f"u{key}") for key in range(1000, 2000)})
    persons = Persons(Site().read().people, lambda: own)

    found = [persons.named(f"u{key}") for key in range(1000, 2000)]
    roles = {persons.role_of(UserId(key)) for key in range(1000, 2000)}

    assert None not in found
    assert roles == {Role.USER}
    assert own.gone_through == 1
