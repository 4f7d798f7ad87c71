"""Who the users are, when the directory is slow, away, or asked by many at once."""

import threading
from collections.abc import Callable, Iterator

import pytest

from fakes.clock import HandTurnedClock
from fakes.users import FakeDirectory
from fakes.workers import AtOnce
from tashi.adapters.system.workers import ThreadWorkers
from tashi.clustermanager.people import People
from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role

THRESHOLD = 3600.0
RETRY = 10.0


@pytest.fixture
def workers() -> Iterator[ThreadWorkers]:
    made = ThreadWorkers()
    yield made
    made.stop()


def people_of(directory: FakeDirectory, clock: HandTurnedClock) -> People:
    return People(directory, clock, THRESHOLD, AtOnce())


def hung_until(reading: threading.Event, go_on: threading.Event) -> Callable[[], None]:
    """What happens while a directory is asked: it says so, and waits."""

    def hang() -> None:
        reading.set()
        go_on.wait(30)

    return hang


def found(people: People, name: str) -> User | None:
    """Whom the directory has under a name, asked for if there may be more to hear of it."""
    if people.hears_more_of(name):
        people.wait()
    return people.now().names.get(name)


def names(people: People) -> list[str]:
    return [user.name for user in people.users().values()]


def test_users_are_known_by_their_ids_their_names_and_their_roles() -> None:
    directory = FakeDirectory("alice", "bob")
    directory.roles = {UserId(501): Role.ADMIN}
    people = people_of(directory, HandTurnedClock())

    assert {key: user.name for key, user in people.users().items()} == {
        UserId(500): "alice",
        UserId(501): "bob",
    }
    assert found(people, "bob") == people.users()[UserId(501)]
    assert found(people, "Bob") is None
    assert people.now().roles == {UserId(501): Role.ADMIN}


def test_the_directory_is_asked_again_only_when_its_list_has_grown_old() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    people = people_of(directory, clock)
    people.users()
    directory.names.append("bob")

    clock.turn(THRESHOLD)
    young = names(people), directory.asked
    clock.turn(1.0)
    old = names(people), directory.asked

    assert young == (["alice"], 1)
    assert old == (["alice", "bob"], 2)


def test_a_directory_that_is_away_leaves_the_last_list_in_use_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    directory.roles = {UserId(500): Role.ADMIN}
    people = people_of(directory, clock)
    people.users()
    directory.is_away = True

    clock.turn(THRESHOLD + 1)
    first = names(people)
    for _ in range(5):
        clock.turn(RETRY + 1)
        people.users()
    said = [record.message for record in caplog.records]
    directory.is_away = False
    clock.turn(RETRY + 1)
    people.users()

    assert first == ["alice"]
    assert people.now().roles == {UserId(500): Role.ADMIN}
    assert len(said) == 1
    assert said[0].startswith("The directory of users cannot be read; its list of 3601 s ago is in")
    assert said[0].endswith("use: The users cannot be listed: getent had not ended after 10 s.")
    assert caplog.records[-1].message == "The directory of users answers again, after 66 s."


def test_a_directory_that_is_away_is_not_asked_at_every_question() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    directory.is_away = True
    people = people_of(directory, clock)

    nobody = [names(people) for _ in range(3)]
    assert found(people, "alice") is None
    directory.is_away = False
    clock.turn(RETRY + 1)

    assert nobody == [[], [], []]
    assert directory.asked == 1
    assert names(people) == ["alice"]


def test_that_somebody_does_not_exist_is_not_said_before_the_directory_was_ever_read() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    directory.is_away = True
    people = people_of(directory, clock)

    with pytest.raises(DirectoryFailed, match="has not been read yet: The users cannot be listed"):
        people.including(UserId(500))
    directory.is_away = False
    clock.turn(RETRY + 1)

    assert UserId(500) in people.including(UserId(500))
    assert UserId(9) not in people.including(UserId(9))


def test_that_somebody_does_not_exist_is_not_said_while_the_directory_hangs(
    workers: ThreadWorkers,
) -> None:
    reading, go_on = threading.Event(), threading.Event()
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    people = People(directory, clock, THRESHOLD, workers)
    assert UserId(500) in people.including(UserId(500))
    directory.while_asked = hung_until(reading, go_on)
    clock.turn(6.0)
    assert people.hears_more_of(UserId(501))
    assert reading.wait(30)
    clock.turn(60.0)

    with pytest.raises(DirectoryFailed, match=r"user 501 is not known: .* does not answer"):
        people.including(UserId(501))
    assert UserId(500) in people.including(UserId(500))
    go_on.set()


def test_that_somebody_does_not_exist_is_not_said_while_the_directory_is_away() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    people = people_of(directory, clock)
    people.users()
    directory.is_away = True
    clock.turn(THRESHOLD + 1)

    with pytest.raises(DirectoryFailed, match="user 9 is not known: The users cannot be listed"):
        people.including(UserId(9))
    assert UserId(500) in people.including(UserId(500))


def test_all_who_wait_for_one_list_give_up_together(workers: ThreadWorkers) -> None:
    reading, go_on = threading.Event(), threading.Event()
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    directory.while_asked = hung_until(reading, go_on)
    people = People(directory, clock, THRESHOLD, workers)
    people.begin()
    assert reading.wait(30)

    clock.turn(60.0)
    for _ in range(100):  # each would wait for seconds of its own
        with pytest.raises(DirectoryFailed, match="first answer is still waited for"):
            people.including(UserId(500))
    go_on.set()


def test_who_is_new_in_the_directory_is_found_before_its_list_is_old() -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    people = people_of(directory, clock)
    people.users()
    directory.names.append("bob")

    too_soon = found(people, "bob")
    clock.turn(6.0)

    assert too_soon is None
    assert UserId(501) in people.including(UserId(501))
    assert directory.asked == 2


def test_who_asks_while_the_first_list_is_being_read_is_not_told_that_nobody_exists(
    workers: ThreadWorkers,
) -> None:
    directory, reading, go_on = FakeDirectory("alice"), threading.Event(), threading.Event()
    directory.while_asked = hung_until(reading, go_on)
    people = People(directory, HandTurnedClock(), THRESHOLD, workers)
    people.begin()
    assert reading.wait(30)

    threading.Timer(0.05, go_on.set).start()

    assert names(people) == ["alice"]
    assert directory.asked == 1


def test_who_asks_while_the_list_is_read_anew_gets_the_one_of_before_at_once(
    workers: ThreadWorkers,
) -> None:
    clock, directory = HandTurnedClock(), FakeDirectory("alice")
    people = People(directory, clock, THRESHOLD, workers)
    people.users()
    reading, go_on = threading.Event(), threading.Event()
    directory.while_asked = hung_until(reading, go_on)
    directory.names.append("bob")

    clock.turn(THRESHOLD + 1)
    at_once = [names(people) for _ in range(100)]
    assert reading.wait(30)
    meanwhile = names(people)
    go_on.set()
    found(people, "bob")

    assert at_once == [["alice"]] * 100
    assert meanwhile == ["alice"]
    assert directory.asked == 2
