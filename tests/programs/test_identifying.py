"""Who calls, when the directory of users is slow, or was never read."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final

import pytest

from fakes.clock import HandTurnedClock
from fakes.users import FakeDirectory
from tashi.adapters.system.workers import ThreadWorkers
from tashi.clustermanager.people import People
from tashi.clustermanager.persons import Persons
from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed, NotLoggedIn
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role
from tashi.domain.proofs import Certificate, KernelsWord, Proof
from tashi.ports.peers import Peer
from tashi.programs.identifying import identification, of_people
from tashi.settings.load import load
from tashi.settings.search import Program
from tashi.wire import envelope

REQUEST: Final = envelope.read_request(envelope.write_request("1.2", "1", "getHosts"))
EVE: Final = User(UserId(7), "eve")
PATIENCE_SECONDS: Final = 60.0


class Entrance:
    """An identification before a directory that answers when `go_on` is set."""

    def __init__(self, workers: ThreadWorkers, tmp_path: Path) -> None:
        config = tmp_path / "Tashi.cfg"
        config.write_text("[Security]\nauthAndEncrypt = True\n")
        settings = load(Program.CLUSTER_MANAGER, {"TASHI_CONFIG_DIRS": str(tmp_path)})
        self.clock = HandTurnedClock()
        self.directory = FakeDirectory("alice")
        self.directory.roles = {UserId(500): Role.OPERATOR}
        self.go_on = threading.Event()
        self.directory.while_asked = self._hold_up
        self.people = People(self.directory, self.clock, 3600.0, workers)
        persons = Persons(self.people, lambda: {EVE.id: EVE})
        self._identify = of_people(identification(settings, persons.known), persons, workers)
        self.people.begin()

    def _hold_up(self) -> None:
        self.go_on.wait(PATIENCE_SECONDS)

    def asked(self, proof: Proof) -> Caller | Future[Caller]:
        return self._identify(REQUEST, Peer("10.0.0.1", 1, proof, encrypted=True))


@pytest.fixture
def entrance(tmp_path: Path) -> Iterator[Entrance]:
    workers = ThreadWorkers()
    made = Entrance(workers, tmp_path)
    yield made
    made.go_on.set()
    workers.stop()


@pytest.mark.parametrize("proof", [Certificate("user", "alice"), KernelsWord(500)])
def test_who_comes_while_the_first_list_is_read_is_known_once_it_is(
    entrance: Entrance, proof: Proof
) -> None:
    known = entrance.asked(proof)
    assert isinstance(known, Future)
    early = known.done()

    entrance.go_on.set()

    assert not early
    caller = known.result(PATIENCE_SECONDS)
    assert (caller.name, caller.role) == ("user 500 (alice)", Role.OPERATOR)


@pytest.mark.parametrize("proof", [Certificate("scheduler", "s1"), KernelsWord(0)])
def test_daemons_and_root_wait_for_no_list(entrance: Entrance, proof: Proof) -> None:
    assert isinstance(entrance.asked(proof), Caller)


def test_who_is_new_in_the_directory_waits_and_nobody_else_does(entrance: Entrance) -> None:
    entrance.go_on.set()
    entrance.people.wait()
    entrance.go_on.clear()
    entrance.directory.names.append("bob")
    entrance.clock.turn(10.0)

    new = entrance.asked(Certificate("user", "bob"))
    others = [
        entrance.asked(proof)
        for proof in (Certificate("user", "alice"), Certificate("user", "eve"), KernelsWord(500))
    ]
    entrance.go_on.set()

    assert isinstance(new, Future)
    assert all(isinstance(one, Caller) for one in others)
    assert new.result(PATIENCE_SECONDS).name == "user 501 (bob)"


def test_who_is_in_no_list_is_nobody(entrance: Entrance) -> None:
    entrance.go_on.set()
    entrance.people.wait()
    entrance.clock.turn(10.0)

    waited = entrance.asked(Certificate("user", "mallory"))
    assert isinstance(waited, Future)

    with pytest.raises(NotLoggedIn, match="names the user mallory"):
        waited.result(PATIENCE_SECONDS)
    with pytest.raises(NotLoggedIn):  # just asked: not once more for the same stranger
        entrance.asked(Certificate("user", "mallory"))


def test_a_directory_that_was_never_read_is_given_as_the_reason(entrance: Entrance) -> None:
    entrance.directory.is_away = True
    entrance.go_on.set()
    entrance.people.wait()

    with pytest.raises(DirectoryFailed, match="has not been read yet: The users cannot be listed"):
        entrance.asked(Certificate("user", "alice"))
    assert isinstance(entrance.asked(Certificate("user", "eve")), Caller)
