"""Who stands by watches the lease, says who leads, and takes over in its turn."""

import logging

import pytest

from fakes.clock import HandTurnedClock
from fakes.succession import FakeLease, FakeSuccession
from tashi.clustermanager.standby import Standby
from tashi.domain.errors import Misconfigured, NotLeader, StoreFailed, TashiError
from tashi.domain.succession import Sighting
from tashi.ports.peers import Peer

LIMIT = 6.5
PEER = Peer("127.0.0.1", 4711)
LEADER, OURS = "10.0.0.1:9882", "10.0.0.2:9882"


class Bench:
    """A lease that somebody else has, and a standby."""

    def __init__(self) -> None:
        self.lease = FakeLease()
        leader = FakeSuccession(self.lease, LEADER)
        leader.claim(leader.sight())
        self.succession = FakeSuccession(self.lease, OURS)
        self.clock = HandTurnedClock()
        self.standby = Standby(self.succession, self.clock, LIMIT)

    def watch(self, seconds: float, every: float = 0.5) -> bool:
        """Look for so long; whether the lease became ours."""
        for _ in range(round(seconds / every)):
            self.clock.turn(every)
            if self.standby.look_again():
                return True
        return False


def test_a_leader_that_commits_is_left_alone() -> None:
    bench = Bench()

    for _ in range(10):
        assert not bench.watch(5.0)
        bench.lease.move()

    assert bench.lease.now.holder == LEADER


def test_a_leader_that_commits_nothing_is_succeeded() -> None:
    bench = Bench()

    assert not bench.watch(6.5)
    assert bench.watch(0.5)
    assert bench.lease.now.holder == OURS


def test_a_lease_that_nobody_has_is_taken_at_the_first_look() -> None:
    lease = FakeLease()

    assert Standby(FakeSuccession(lease, OURS), HandTurnedClock(), LIMIT).look()
    assert lease.now.holder == OURS


def test_callers_are_told_who_leads() -> None:
    bench = Bench()
    bench.watch(1.0)

    with pytest.raises(NotLeader, match=r"stands by: the one at 10\.0\.0\.1:9882 leads") as caught:
        bench.standby.answer(b"?", PEER)

    assert caught.value.about["sent"] == "no"
    assert bench.standby.leader == "10.0.0.1:9882"


def test_callers_are_told_that_nobody_leads_yet() -> None:
    with pytest.raises(NotLeader, match="nobody leads yet"):
        Standby(FakeSuccession(FakeLease(), OURS), HandTurnedClock(), LIMIT).answer(b"?", PEER)


@pytest.mark.parametrize("trouble", [StoreFailed, Misconfigured])
def test_a_store_that_is_away_is_waited_for_and_named_once(
    caplog: pytest.LogCaptureFixture, trouble: type[TashiError]
) -> None:
    bench = Bench()
    caplog.set_level(logging.INFO)
    bench.watch(1.0)
    bench.succession.trouble = trouble("The database is away.")

    assert not bench.watch(60.0)
    bench.succession.trouble = None
    assert not bench.watch(6.5)

    said = [record.message for record in caplog.records]
    assert said == [
        "Standing by: the one at 10.0.0.1:9882 leads.",
        "Standing by, and not able to take over: The database is away.",
        "Standing by: the one at 10.0.0.1:9882 leads.",
    ]
    assert bench.watch(0.5)


@pytest.mark.parametrize("trouble", [StoreFailed, Misconfigured])
def test_at_the_start_a_store_that_is_away_ends_it(trouble: type[TashiError]) -> None:
    bench = Bench()
    bench.succession.trouble = trouble("The database is away.")

    with pytest.raises(trouble):
        bench.standby.look()


def test_who_claims_too_late_stands_by_for_who_was_quicker() -> None:
    bench = Bench()
    bench.watch(6.5)
    third = FakeSuccession(bench.lease, "10.0.0.3:9882")
    third.claim(third.sight())

    assert not bench.watch(6.5)
    with pytest.raises(NotLeader, match=r"10\.0\.0\.3:9882 leads"):
        bench.standby.answer(b"?", PEER)


def test_who_is_overtaken_at_its_first_look_stands_by() -> None:
    class Overtaken(FakeSuccession):
        def claim(self, seen: Sighting) -> None:
            FakeSuccession(lease, LEADER).claim(seen)
            super().claim(seen)

    lease = FakeLease()

    assert not Standby(Overtaken(lease, OURS), HandTurnedClock(), LIMIT).look()
    assert lease.now.holder == LEADER
