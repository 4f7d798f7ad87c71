"""Nobody is answered and nothing is sent once another may have taken over."""

from concurrent.futures import Future

import pytest

from contracts.commits import plain_commits
from fakes.clock import HandTurnedClock
from fakes.faulty_store import Fault, FaultyStore
from fakes.links import DirectLink
from tashi.adapters.store.memory import MemoryStore
from tashi.clustermanager.tenure import ProvingStore, Tenure, TenuredHandler, TenuredLink
from tashi.domain.errors import NoSuchHost, NotLeader, OutcomeUnknown, StoreFailed
from tashi.domain.journal import Kept
from tashi.ports.peers import Peer
from tashi.wire import envelope

SECONDS = 5.0
ONE, TWO = plain_commits(2)
PEER = Peer("127.0.0.1", 4711)


class Bench:
    """A tenure, with the store whose commits prove it."""

    def __init__(self) -> None:
        self.clock = HandTurnedClock(100.0)
        self.tenure = Tenure(self.clock, SECONDS)
        self.faulty = FaultyStore(MemoryStore())
        self.store = ProvingStore(self.faulty, self.tenure, self.clock)

    @property
    def holds(self) -> bool:
        try:
            self.tenure.expect()
        except NotLeader:
            return False
        return True


def test_a_tenure_begins_with_the_first_commit() -> None:
    bench = Bench()
    before = bench.holds

    bench.store.commit(ONE)

    assert not before
    assert bench.holds


def test_a_tenure_ends_when_commits_have_stopped_and_goes_on_with_the_next() -> None:
    bench = Bench()
    bench.store.commit(ONE)

    bench.clock.turn(5.0)
    still = bench.holds
    bench.clock.turn(0.1)
    ended = not bench.holds
    bench.store.commit(TWO)

    assert still
    assert ended
    assert bench.holds


def test_a_commit_proves_no_more_than_the_moment_in_which_it_began() -> None:
    bench = Bench()

    class Slow(FaultyStore):
        def commit(self, commit: object) -> None:
            bench.clock.turn(3.0)

    ProvingStore(Slow(MemoryStore()), bench.tenure, bench.clock).commit(ONE)
    bench.clock.turn(2.1)

    assert not bench.holds


@pytest.mark.parametrize(("seconds", "warned"), [(3.2, False), (3.3, True)])
def test_loading_that_takes_half_of_what_a_standby_waits_is_warned_of(
    seconds: float, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench()

    class Slow(MemoryStore):
        def load(self) -> Kept:
            bench.clock.turn(seconds)
            return super().load()

    ProvingStore(Slow(), bench.tenure, bench.clock).load()

    assert ("takeOverAfter is 6.5 s" in caplog.text) == warned


def test_loading_of_books_that_nobody_stands_by_for_may_take_its_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = HandTurnedClock()

    class Slow(MemoryStore):
        def load(self) -> Kept:
            clock.turn(600.0)
            return super().load()

    ProvingStore(Slow(), Tenure(clock), clock).load()

    assert caplog.text == ""


def test_a_commit_that_failed_proves_nothing_and_says_why() -> None:
    bench = Bench()
    bench.store.commit(ONE)
    bench.clock.turn(3.0)
    bench.faulty.will(Fault.FAILS)
    with pytest.raises(StoreFailed):
        bench.store.commit(TWO)
    bench.clock.turn(3.0)

    with pytest.raises(NotLeader, match=r"nothing for 6 s \(The change could not be written; noth"):
        bench.tenure.expect()


def test_an_outcome_proves_it_once_it_is_known() -> None:
    bench = Bench()
    bench.faulty.will(Fault.UNKNOWN_KEPT)
    with pytest.raises(OutcomeUnknown):
        bench.store.commit(ONE)
    unknown = bench.holds

    bench.store.settle()

    assert not unknown
    assert bench.holds


def test_a_proof_is_wanted_when_nothing_was_committed_for_a_moment() -> None:
    bench = Bench()
    bench.store.commit(ONE)

    fresh = bench.tenure.wants_proof
    bench.clock.turn(0.5)

    assert not fresh
    assert bench.tenure.wants_proof


def test_who_shares_the_books_with_nobody_leads_for_ever() -> None:
    clock = HandTurnedClock()
    tenure = Tenure(clock)

    clock.turn(1e6)

    tenure.expect()
    assert not tenure.wants_proof


# ---- answers ------------------------------------------------------------------------------------


def test_no_question_is_taken_after_the_end_of_the_tenure() -> None:
    asked: list[bytes] = []

    def handler(request: bytes, _peer: Peer) -> bytes:
        asked.append(request)
        return b"stale"

    with pytest.raises(NotLeader) as caught:
        TenuredHandler(handler, Bench().tenure)(b"?", PEER)

    assert asked == []
    assert caught.value.about["sent"] == "no"


def test_an_answer_that_was_made_too_late_is_kept_back() -> None:
    bench = Bench()
    bench.store.commit(ONE)

    def handler(_request: bytes, _peer: Peer) -> bytes:
        bench.clock.turn(6.0)
        return b"stale"

    with pytest.raises(NotLeader) as caught:
        TenuredHandler(handler, bench.tenure)(b"?", PEER)

    assert caught.value.about["sent"] == "perhaps"


def test_a_refusal_out_of_stale_books_is_kept_back_too() -> None:
    bench = Bench()
    bench.store.commit(ONE)

    def handler(_request: bytes, _peer: Peer) -> bytes:
        bench.clock.turn(6.0)
        raise NoSuchHost("There is none.")

    with pytest.raises(NotLeader):
        TenuredHandler(handler, bench.tenure)(b"?", PEER)


@pytest.mark.parametrize(("waited", "error"), [(1.0, None), (6.0, NotLeader)])
def test_an_answer_that_was_waited_for_is_looked_at_when_it_comes(
    waited: float, error: type[Exception] | None
) -> None:
    bench = Bench()
    bench.store.commit(ONE)
    promise: Future[bytes] = Future()
    answer = TenuredHandler(lambda _request, _peer: promise, bench.tenure)(b"?", PEER)
    assert isinstance(answer, Future)

    bench.clock.turn(waited)
    promise.set_result(b"answer")

    assert (type(answer.exception(0)) if error else answer.result(0)) == (error or b"answer")


def test_an_error_that_was_waited_for_reaches_its_caller() -> None:
    bench = Bench()
    bench.store.commit(ONE)
    promise: Future[bytes] = Future()
    answer = TenuredHandler(lambda _request, _peer: promise, bench.tenure)(b"?", PEER)
    assert isinstance(answer, Future)

    promise.set_exception(StoreFailed("No."))

    assert isinstance(answer.exception(0), StoreFailed)


def test_nothing_is_sent_after_the_end_of_the_tenure() -> None:
    bench = Bench()
    bench.store.commit(ONE)
    there = DirectLink(lambda request, _: envelope.write_result(envelope.read_request(request).id))
    link = TenuredLink(there, bench.tenure)
    request = envelope.write_request("1.0", "42", "takeOrders")
    link.call(request, 1.0)
    bench.clock.turn(6.0)

    with pytest.raises(NotLeader):
        link.call(request, 1.0)

    assert len(there.sent) == 1
