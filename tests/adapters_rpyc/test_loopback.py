"""The faults a test can ask the loopback for, each exactly when it is asked for."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tashi.adapters.rpyc.loopback import Delay, Loopback, Loss
from tashi.domain.errors import PeerSilent
from tashi.domain.proofs import Certificate
from tashi.ports.peers import Peer

SOON = 30.0


class Counter:
    """A handler that numbers the requests it gets."""

    def __init__(self) -> None:
        self.served = 0
        self.has_served = threading.Event()
        self.callers: list[Peer] = []

    def __call__(self, _: bytes, caller: Peer) -> bytes:
        self.served += 1
        self.callers.append(caller)
        self.has_served.set()
        return b"%d" % self.served


@pytest.mark.parametrize(
    ("loss", "served", "sent"),
    [(Loss.CONNECTION, 0, "no"), (Loss.REQUEST, 0, "perhaps"), (Loss.ANSWER, 1, "perhaps")],
)
def test_a_loss_befalls_one_call(loss: Loss, served: int, sent: str) -> None:
    counter = Counter()
    loopback = Loopback(counter)
    loopback.suffer(loss)

    with pytest.raises(PeerSilent) as caught:
        loopback.call(b"", SOON)

    assert (counter.served, caught.value.about["sent"]) == (served, sent)
    assert loopback.call(b"", SOON) == b"%d" % (served + 1)


def test_a_call_that_may_be_repeated_outlasts_the_losses() -> None:
    counter = Counter()
    loopback = Loopback(counter)
    loopback.suffer(Loss.CONNECTION, Loss.ANSWER, Loss.REQUEST)

    assert loopback.call(b"", SOON, repeatable=True) == b"2"


def test_a_peer_that_is_away_stays_away_until_it_is_back() -> None:
    loopback = Loopback(Counter())
    loopback.reachable = False
    with pytest.raises(PeerSilent):
        loopback.call(b"", SOON, repeatable=True)

    loopback.reachable = True

    assert loopback.call(b"", SOON) == b"1"


def test_a_delayed_answer_is_made_at_once_and_arrives_when_it_may() -> None:
    counter = Counter()
    loopback = Loopback(counter)
    may_arrive = threading.Event()
    loopback.suffer(Delay(may_arrive))

    with ThreadPoolExecutor(1) as threads:
        delayed = threads.submit(loopback.call, b"", SOON)
        assert counter.has_served.wait(SOON)
        overtaken_by = loopback.call(b"", SOON)
        may_arrive.set()

        assert (overtaken_by, delayed.result(SOON)) == (b"2", b"1")


def test_an_answer_delayed_beyond_the_time_is_silence() -> None:
    loopback = Loopback(Counter())
    loopback.suffer(Delay(threading.Event()))

    with pytest.raises(PeerSilent):
        loopback.call(b"", 0.01)


def test_the_handler_sees_the_peer_that_the_loopback_stands_for() -> None:
    counter = Counter()
    peer = Peer("10.0.0.1", 7, Certificate("nodemanager", "node1"))

    Loopback(counter, peer).call(b"", SOON)

    assert counter.callers == [peer]
    assert str(peer) == "10.0.0.1:7"
    assert str(Peer("uid 7", 0)) == "uid 7"
