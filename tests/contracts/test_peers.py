"""What every way of calling a peer promises: rpyc over TCP, and the loopback in one process."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest

from certificates import Office
from tashi.adapters.rpyc.calling import Secrets
from tashi.adapters.rpyc.listening import listen
from tashi.adapters.rpyc.loopback import Loopback
from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.peers import Link
from tashi.domain.errors import NoRoom, PeerSilent, TashiError
from tashi.ports.peers import Caller, Handler, Peer, Promise
from tashi.wire import envelope

Connect: TypeAlias = Callable[[Handler], Caller]

SOON = 30.0
REQUEST = envelope.write_request("1.0", "42", "getHosts")


def over_rpyc(handler: Handler, stack: ExitStack) -> Caller:
    server = listen(handler, ("127.0.0.1", 0), section="Example")
    server.serve()
    stack.callback(server.stop)
    link = Link(server.address)
    stack.callback(link.close)
    return link


def over_loopback(handler: Handler, stack: ExitStack) -> Caller:
    loopback = Loopback(handler)
    stack.callback(loopback.close)
    return loopback


def over_tls(handler: Handler, stack: ExitStack) -> Caller:
    folder = stack.enter_context(TemporaryDirectory())
    office = Office(Path(folder))
    shown = Papers(office.issued("clustermanager"), shows=True)
    server = listen(handler, ("127.0.0.1", 0), section="Example", papers=shown)
    server.serve()
    stack.callback(server.stop)
    secrets = Secrets(Papers(office.folder), "clustermanager")
    link = Link(("localhost", server.address[1]), secrets=secrets)
    stack.callback(link.close)
    return link


@pytest.fixture(params=[over_rpyc, over_tls, over_loopback])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    with ExitStack() as stack:
        yield lambda handler: request.param(handler, stack)


def carried(answer: bytes) -> TashiError:
    with pytest.raises(TashiError) as caught:
        envelope.read_answer(answer, "42")
    return caught.value


class Desk:
    """A handler that keeps every request until the test answers it."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Future[bytes]] = {}
        self.arrived = threading.Semaphore(0)

    def __call__(self, request: bytes, _: Peer) -> Promise | bytes:
        if request == b"quick":
            return b"at once"
        promise: Future[bytes] = Future()
        self.kept[request] = promise
        self.arrived.release()
        return promise

    def wait_for(self, number: int) -> None:
        for _ in range(number):
            assert self.arrived.acquire(timeout=SOON)


@pytest.mark.parametrize("size", [0, 1, 300, 5_000, 1_000_000])
def test_requests_and_answers_arrive_byte_for_byte(connect: Connect, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    caller = connect(lambda request, _: request[::-1])

    assert caller.call(content, SOON) == content[::-1]


def test_the_handler_is_told_who_calls(connect: Connect) -> None:
    caller = connect(lambda _, peer: repr((type(peer), peer.proof)).encode())

    assert caller.call(b"hello", SOON) == repr((Peer, None)).encode()


@pytest.mark.parametrize("later", [False, True])
def test_an_error_of_tashi_reaches_the_caller_whole(connect: Connect, later: bool) -> None:
    def refuse(_: bytes, __: Peer) -> bytes | Promise:
        error = NoRoom("Host 3 has no room.", host=3)
        if not later:
            raise error
        promise: Future[bytes] = Future()
        promise.set_exception(error)
        return promise

    error = carried(connect(refuse).call(REQUEST, SOON))

    assert type(error) is NoRoom
    assert (error.message, error.about) == ("Host 3 has no room.", {"host": 3})


def stumble(_: bytes, __: Peer) -> bytes:
    raise KeyError("secret")


def give_up(_: bytes, __: Peer) -> Promise:
    promise: Future[bytes] = Future()
    promise.cancel()
    return promise


def answer_nonsense(_: bytes, __: Peer) -> bytes:
    return "text"  # type: ignore[return-value]  # what a mistaken handler might do


def promise_nonsense(_: bytes, __: Peer) -> Promise:
    promise: Future[bytes] = Future()
    promise.set_result(None)  # type: ignore[arg-type]  # what a mistaken handler might do
    return promise


@pytest.mark.parametrize("mistake", [stumble, give_up, answer_nonsense, promise_nonsense])
def test_a_mistake_of_the_handler_is_logged_once_and_told_without_details(
    connect: Connect, mistake: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    caller = connect(mistake)

    with caplog.at_level(logging.ERROR):
        error = carried(caller.call(REQUEST, SOON))

    assert (error.kind, error.message) == ("Broken", envelope.BROKEN)
    assert [record.message for record in caplog.records] == ["getHosts (request 42) broke"]
    assert caplog.records[0].exc_info


def test_an_answer_that_no_peer_would_take_is_refused_in_its_place(
    connect: Connect,
) -> None:
    caller = connect(lambda request, _: bytes(64 * 1024 * 1024 + 1))

    error = carried(caller.call(REQUEST, SOON))

    assert error.message.endswith("ask for less.")


def test_calls_that_wait_hold_up_no_other(connect: Connect) -> None:
    desk = Desk()
    caller = connect(desk)
    requests = [b"%d" % number for number in range(40)]
    with ThreadPoolExecutor(len(requests)) as threads:
        calls = [threads.submit(caller.call, request, SOON) for request in requests]
        desk.wait_for(len(requests))

        meanwhile = caller.call(b"quick", SOON)
        for request in reversed(requests):
            desk.kept[request].set_result(b"answer to " + request)

        assert meanwhile == b"at once"
        assert [call.result() for call in calls] == [b"answer to " + one for one in requests]


def test_many_threads_share_a_caller(connect: Connect) -> None:
    caller = connect(lambda request, _: b"<" + request + b">")
    requests = [b"%d" % number for number in range(200)]

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda request: caller.call(request, SOON), requests))

    assert answers == [b"<" + request + b">" for request in requests]


def test_who_gets_no_answer_in_time_is_told_so(connect: Connect) -> None:
    desk = Desk()
    caller = connect(desk)

    with pytest.raises(PeerSilent, match="did not answer getHosts") as caught:
        caller.call(REQUEST, 0.05)

    assert caught.value.about["sent"] == "perhaps"


def test_an_answer_that_comes_too_late_is_not_taken_for_another(connect: Connect) -> None:
    desk = Desk()
    caller = connect(desk)
    with pytest.raises(PeerSilent):
        caller.call(b"first", 0.05)

    desk.wait_for(1)
    desk.kept[b"first"].set_result(b"late")

    assert caller.call(b"quick", SOON) == b"at once"


def test_closing_a_caller_ends_the_calls_under_way(connect: Connect) -> None:
    desk = Desk()
    caller = connect(desk)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(caller.call, REQUEST, SOON)
        desk.wait_for(1)

        caller.close()

        with pytest.raises(PeerSilent):
            call.result(SOON)


def test_a_closed_caller_calls_nobody(connect: Connect) -> None:
    desk = Desk()
    caller = connect(desk)
    caller.close()
    caller.close()

    with pytest.raises(PeerSilent) as caught:
        caller.call(REQUEST, SOON, repeatable=True)

    assert caught.value.about["sent"] == "no"
    assert not desk.kept


@pytest.mark.parametrize("kind", [Link, Loopback])
def test_every_caller_has_the_signatures_of_the_port(kind: type[Link | Loopback]) -> None:
    for name in ("call", "close"):
        assert signature(getattr(kind, name)) == signature(getattr(Caller, name))
