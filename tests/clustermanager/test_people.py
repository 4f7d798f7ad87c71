"""Who the users are, when the directory is slow, away, or asked by many at once."""

from fakes.clock import HandTurnedClock
from fakes.users import FakeDirectory
from tashi.clustermanager.people import People
from tashi.domain.identity import UserId

THRESHOLD = 60.0


def names(people: People) -> list[str]:
    return [user.name for user in people.users().values()]


def test_users_are_known_by_their_ids() -> None:
    people = People(FakeDirectory("alice", "bob"), HandTurnedClock(), THRESHOLD)

    assert {key: user.name for key, user in people.users().items()} == {
        UserId(500): "alice",
        UserId(501): "bob",
    }


def test_the_directory_is_asked_again_only_when_its_list_has_grown_old() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    people = People(directory, clock, THRESHOLD)
    people.users()
    directory.names.append("bob")

    clock.turn(THRESHOLD)
    young = names(people), directory.asked
    clock.turn(1.0)
    old = names(people), directory.asked

    assert young == (["alice"], 1)
    assert old == (["alice", "bob"], 2)


def test_a_directory_that_is_away_leaves_the_last_list_in_use() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    people = People(directory, clock, THRESHOLD)
    people.users()
    directory.is_away = True

    clock.turn(THRESHOLD + 1)

    assert names(people) == ["alice"]


def test_a_directory_that_is_away_is_not_asked_at_every_question() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    directory.is_away = True
    people = People(directory, clock, THRESHOLD)

    nobody = [names(people) for _ in range(3)]
    directory.is_away = False
    clock.turn(THRESHOLD + 1)

    assert nobody == [[], [], []]
    assert directory.asked == 1
    assert names(people) == ["alice"]


def test_who_asks_while_the_first_list_is_being_read_is_not_told_that_nobody_exists() -> None:
    directory = FakeDirectory("alice")
    people = People(directory, HandTurnedClock(), THRESHOLD)
    meanwhile: list[list[str]] = []

    def ask_too() -> None:
        directory.while_asked = lambda: None
        meanwhile.append(names(people))

    directory.while_asked = ask_too

    assert names(people) == ["alice"]
    assert meanwhile == [["alice"]]


def test_who_asks_while_the_list_is_read_anew_gets_the_one_of_before() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    people = People(directory, clock, THRESHOLD)
    people.users()
    meanwhile: list[list[str]] = []
    directory.while_asked = lambda: meanwhile.append(names(people))

    clock.turn(THRESHOLD + 1)
    people.users()

    assert meanwhile == [["alice"]]
    assert directory.asked == 2
