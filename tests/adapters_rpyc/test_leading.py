"""Finding the one that leads among several, and moving on from one that does not any more."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest

from adapters_rpyc.raw import RawPeer, scripted, serving
from adapters_rpyc.test_link import introduce
from tashi.adapters.rpyc import peers
from tashi.adapters.rpyc.leading import LeaderLink
from tashi.adapters.rpyc.peers import Link
from tashi.domain.errors import NotLeader, PeerSilent
from tashi.ports.peers import Peer
from tashi.wire import envelope

SOON = 30.0
REQUEST = envelope.write_request("1.2", "42", "pauseVm")


class Manager:
    """One that leads when it is told to, and remembers what it was asked."""

    def __init__(self, name: str, *, leads: bool) -> None:
        self.name = name
        self.leads = leads
        self.sent = "no"
        self.asked: list[str] = []
        self.answer: Future[bytes] | None = None

    def __call__(self, request: bytes, _peer: Peer) -> bytes | Future[bytes]:
        _, call = envelope.glance(request)
        self.asked.append(call)
        if not self.leads:
            raise NotLeader(f"{self.name} stands by.", sent=self.sent)
        if call == "pauseVm" and self.answer is not None:
            return self.answer
        return self.name.encode()


class Bench:
    """Two of them behind one link."""

    def __init__(self, stack: ExitStack) -> None:
        self.one, self.two = Manager("one", leads=False), Manager("two", leads=True)
        servers = [stack.enter_context(serving(each)) for each in (self.one, self.two)]
        self.addresses = [server.address for server in servers]
        self.link = LeaderLink([Link(one) for one in self.addresses])
        stack.callback(self.link.close)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feel the pulse of a silent peer soon."""
    monkeypatch.setattr(peers, "QUIET_SECONDS", 0.2)


def nowhere() -> tuple[str, int]:
    with serving() as server:
        return server.address


def test_one_alone_that_is_not_there_is_named_at_once() -> None:
    address = nowhere()

    with (
        closing(LeaderLink([Link(address)])) as link,
        pytest.raises(PeerSilent, match=f"^127.0.0.1:{address[1]} cannot be reached for pauseVm"),
    ):
        link.call(REQUEST, 600.0)


def test_whoever_waits_for_one_that_is_not_there_hears_of_it_at_once_and_once() -> None:
    address, said = nowhere(), list[str]()
    link = LeaderLink([Link(address)], said.append)

    with closing(link):
        for _ in range(2):
            with pytest.raises(PeerSilent):
                link.call(REQUEST, 0.3, repeatable=True)

    [words] = said
    assert words.startswith(f"127.0.0.1:{address[1]} cannot be reached for pauseVm: Connection")


def test_one_alone_whose_own_lease_is_not_over_yet_is_waited_for() -> None:
    manager = Manager("one", leads=False)

    def leads_next_time(request: bytes, peer: Peer) -> bytes | Future[bytes]:
        try:
            return manager(request, peer)
        finally:
            manager.leads = True

    with serving(leads_next_time) as server, closing(LeaderLink([Link(server.address)])) as link:
        answer = link.call(REQUEST, SOON)

    assert answer == b"one"
    assert manager.asked == ["pauseVm", "pauseVm"]


def test_the_one_that_leads_is_found_and_kept_to(bench: Bench) -> None:
    answers = [bench.link.call(REQUEST, SOON) for _ in range(3)]

    assert answers == [b"two"] * 3
    assert bench.one.asked == ["pauseVm"]


def test_when_another_takes_over_calls_move_to_it(bench: Bench) -> None:
    bench.link.call(REQUEST, SOON)
    bench.one.leads, bench.two.leads = True, False

    assert bench.link.call(REQUEST, SOON) == b"one"


def test_a_round_asks_each_of_them_whatever_calls_of_other_threads_find_meanwhile(
    bench: Bench,
) -> None:
    class Shared(LeaderLink):
        """After each try another thread's call has come to think that the first one leads."""

        def _ask_one(self, *args: Any, **options: Any) -> bytes | PeerSilent | NotLeader:
            outcome = super()._ask_one(*args, **options)
            self._first = 0
            return outcome

    with closing(Shared([Link(one) for one in bench.addresses])) as link:
        answer = link.call(REQUEST, SOON)

    assert answer == b"two"
    assert bench.one.asked == ["pauseVm"]


def test_a_call_whose_own_time_is_up_moves_nobody_off_the_one_that_leads(bench: Bench) -> None:
    bench.link.call(REQUEST, SOON)
    bench.two.answer = Future()

    with pytest.raises(PeerSilent):
        bench.link.call(REQUEST, 0.05)
    bench.two.answer.set_result(b"late")
    bench.two.answer = None
    bench.link.call(REQUEST, SOON)

    assert bench.one.asked == ["pauseVm"]


def test_a_take_over_is_waited_for(bench: Bench) -> None:
    bench.two.leads = False

    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(bench.link.call, REQUEST, 60.0)
        while len(bench.one.asked) < 2:
            pass
        bench.one.leads = True
        answer = call.result(SOON)

    assert answer == b"one"


def test_when_nobody_leads_in_time_every_ones_words_are_said(bench: Bench) -> None:
    bench.two.leads = False

    with pytest.raises(NotLeader) as caught:
        bench.link.call(REQUEST, 0.3)

    assert caught.value.message == (
        "No cluster manager led within 0.3 s. one stands by. two stands by."
    )
    assert caught.value.about["sent"] == "no"


def test_when_nobody_is_there_that_is_said_at_once() -> None:
    first, second = nowhere(), nowhere()
    link = LeaderLink([Link(first), Link(second)])

    with pytest.raises(PeerSilent, match=r"^No cluster manager can be reached\. ") as caught:
        link.call(REQUEST, 600.0)
    link.close()

    assert str(link) == f"127.0.0.1:{first[1]} and 127.0.0.1:{second[1]}"
    assert caught.value.about["sent"] == "no"


def test_one_that_is_away_is_passed_over(bench: Bench) -> None:
    link = LeaderLink([Link(nowhere()), Link(bench.addresses[1])])

    answer = link.call(REQUEST, SOON)
    link.close()

    assert answer == b"two"


@pytest.mark.parametrize("repeatable", [True, False])
def test_what_may_have_been_done_is_asked_of_another_only_if_it_may_be_repeated(
    bench: Bench, repeatable: bool
) -> None:
    bench.one.sent = "perhaps"

    if repeatable:
        assert bench.link.call(REQUEST, SOON, repeatable=True) == b"two"
    else:
        with pytest.raises(NotLeader, match="one stands by"):
            bench.link.call(REQUEST, SOON)
        assert bench.two.asked == []


def test_a_closed_link_calls_nobody(bench: Bench) -> None:
    bench.link.close()

    with pytest.raises(PeerSilent):
        bench.link.call(REQUEST, 600.0, repeatable=True)


# ---- the pulse ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("hasty")
def test_one_that_hangs_is_given_up_long_before_the_call_is(bench: Bench) -> None:
    def hang(peer: RawPeer) -> None:
        introduce(peer)
        while True:
            peer.hear()

    with scripted(hang) as address:
        link = LeaderLink([Link(address), Link(bench.addresses[1])])
        answer = link.call(REQUEST, 600.0, repeatable=True)
        link.close()

    assert answer == b"two"


@pytest.mark.usefixtures("hasty")
def test_one_that_only_takes_long_is_waited_for(bench: Bench) -> None:
    bench.two.answer = Future()

    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(bench.link.call, REQUEST, 60.0)
        while bench.two.asked.count("getReign") < 3:
            pass
        bench.two.answer.set_result(b"at last")
        answer = call.result(SOON)

    assert answer == b"at last"
    assert bench.two.asked.count("pauseVm") == 1


@pytest.mark.usefixtures("hasty")
def test_one_that_stops_leading_while_it_is_waited_for_is_left(bench: Bench) -> None:
    bench.two.answer = Future()

    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(bench.link.call, REQUEST, 60.0, repeatable=True)
        while "pauseVm" not in bench.two.asked:
            pass
        bench.one.leads, bench.two.leads = True, False
        answer = call.result(SOON * 2)
    bench.two.answer.set_result(b"too late")

    assert answer == b"one"
