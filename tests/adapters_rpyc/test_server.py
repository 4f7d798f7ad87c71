"""The server as honest programs meet it: any rpyc client, pipelining, stopping."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import rpyc

from adapters_rpyc.raw import PATIENCE_SECONDS, RawPeer, call_message, echo, serving
from tashi.adapters.rpyc import protocol
from tashi.adapters.rpyc.limits import Limits
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.rpyc.server import EventedServer
from tashi.domain.errors import PeerSilent
from tashi.ports.peers import Peer


@pytest.fixture
def server() -> Iterator[EventedServer]:
    with serving() as server:
        yield server


@pytest.fixture
def stock(server: EventedServer) -> Iterator[rpyc.Connection]:
    """An unmodified rpyc client."""
    connection = rpyc.connect(*server.address)
    yield connection
    connection.close()


@pytest.mark.parametrize("size", [0, 1, 300, 3_001, 900_000])
def test_a_stock_rpyc_client_can_call(stock: rpyc.Connection, size: int) -> None:
    assert stock.root.call(b"x" * size) == b"x" * size


def test_a_stock_rpyc_client_can_ping_call_asynchronously_and_keep_the_method(
    stock: rpyc.Connection,
) -> None:
    stock.ping()
    call = stock.root.call

    asked = [rpyc.async_(call)(b"%d" % number) for number in range(20)]

    assert [one.value for one in asked] == [b"%d" % number for number in range(20)]
    assert call(b"again") == b"again"


@pytest.mark.parametrize(
    "reach",
    [
        pytest.param(lambda root: root.exposed_call, id="another name"),
        pytest.param(lambda root: root.__dict__, id="an attribute"),
        pytest.param(repr, id="repr"),
        pytest.param(hash, id="hash"),
        pytest.param(dir, id="dir"),
        pytest.param(lambda root: root.call("text"), id="a text"),
        pytest.param(lambda root: root.call(bytearray(b"x")), id="a reference"),
        pytest.param(lambda root: root.call([]), id="a list"),
        pytest.param(lambda root: root.call(), id="no argument"),
        pytest.param(lambda root: root.call(b"x", b"y"), id="two arguments"),
        pytest.param(lambda root: root.call(request=b"x"), id="a keyword"),
        pytest.param(lambda root: root.call.__self__, id="inside the method"),
        pytest.param(lambda root: setattr(root, "call", 1), id="setting"),
    ],
)
def test_a_stock_rpyc_client_reaches_nothing_else(stock: rpyc.Connection, reach: object) -> None:
    assert callable(reach)

    with pytest.raises(AttributeError, match="There is nothing here but") as caught:
        reach(stock.root)

    assert "/tashi/" not in str(caught.value)
    assert stock.root.call(b"still here") == b"still here"


def test_requests_sent_in_one_go_are_all_answered(server: EventedServer) -> None:
    with RawPeer(server.address) as peer:
        peer.tell(*(call_message(b"%d" % number, number) for number in range(500)))

        answers = [protocol.hear(peer.hear()) for _ in range(500)]

    assert answers == [protocol.Reply(number, b"%d" % number) for number in range(500)]


def test_answers_come_as_they_are_ready_not_as_they_were_asked() -> None:
    promise: Future[bytes] = Future()

    def handler(request: bytes, _: Peer) -> bytes | Future[bytes]:
        return promise if request == b"slow" else request

    with serving(handler) as server, RawPeer(server.address) as peer:
        peer.tell(call_message(b"slow", 1), call_message(b"quick", 2))
        first = protocol.hear(peer.hear())
        promise.set_result(b"slow")
        second = protocol.hear(peer.hear())

    assert (first, second) == (protocol.Reply(2, b"quick"), protocol.Reply(1, b"slow"))


def test_a_peer_has_only_so_many_requests_under_way() -> None:
    arrived: queue.Queue[Future[bytes]] = queue.Queue()

    def keep(_: bytes, __: Peer) -> Future[bytes]:
        promise: Future[bytes] = Future()
        arrived.put(promise)
        return promise

    with serving(keep, Limits(in_progress=4)) as server, RawPeer(server.address) as peer:
        peer.tell(*(call_message(b"", number) for number in range(10)))
        under_way = [arrived.get(timeout=PATIENCE_SECONDS) for _ in range(4)]
        with RawPeer(server.address) as other:
            other.ask(protocol.ask_root(1))
        beyond = arrived.qsize()
        for _ in range(6):
            under_way.pop(0).set_result(b"")
            peer.hear()
            under_way.append(arrived.get(timeout=PATIENCE_SECONDS))
        for promise in under_way:
            promise.set_result(b"")
            peer.hear()

    assert beyond == 0
    assert arrived.empty()


def test_a_peer_that_leaves_while_its_answer_is_made_harms_nobody() -> None:
    promise: Future[bytes] = Future()
    arrived = threading.Event()

    def handler(request: bytes, _: Peer) -> bytes | Future[bytes]:
        if request != b"slow":
            return request
        arrived.set()
        return promise

    with serving(handler) as server:
        with RawPeer(server.address) as leaver:
            leaver.tell(call_message(b"slow"))
            assert arrived.wait(PATIENCE_SECONDS)
        with RawPeer(server.address) as other:
            promise.set_result(b"for nobody")

            assert other.call(b"hello") == b"hello"


def test_stopping_sends_the_answers_that_become_ready() -> None:
    promise: Future[bytes] = Future()
    arrived = threading.Event()

    def handler(_: bytes, __: Peer) -> Future[bytes]:
        arrived.set()
        return promise

    with serving(handler) as server, RawPeer(server.address) as peer:
        peer.tell(call_message(b"last"))
        assert arrived.wait(PATIENCE_SECONDS)
        with ThreadPoolExecutor(1) as threads:
            stopping = threads.submit(server.stop, PATIENCE_SECONDS)
            promise.set_result(b"done")

            assert protocol.hear(peer.hear()) == protocol.Reply(1, b"done")
            stopping.result(PATIENCE_SECONDS)


def test_stopping_waits_for_nobody_longer_than_its_grace() -> None:
    arrived = threading.Event()

    def never(_: bytes, __: Peer) -> Future[bytes]:
        arrived.set()
        return Future()

    with serving(never) as server, RawPeer(server.address) as peer:
        peer.tell(call_message(b"last"))
        assert arrived.wait(PATIENCE_SECONDS)

        server.stop(grace_seconds=0.01)
        server.stop()

        assert peer.is_cut_off()
        assert not server.active


def test_a_stopped_server_is_gone_for_stock_clients_too() -> None:
    with serving() as server:
        connection = rpyc.connect(*server.address)
        call = connection.root.call
        server.stop()

        with pytest.raises(EOFError):
            call(b"hello")


def test_a_server_that_never_served_can_be_stopped() -> None:
    with serving() as server:
        port = server.port
    unused = EventedServer(echo, ("127.0.0.1", port), server._gate, Limits())

    unused.close()

    with pytest.raises(PeerSilent):
        Link(unused.address).call(b"hello", 1.0)


def test_what_must_be_done_before_promised_answers_is_done_before_each() -> None:
    arrived: queue.Queue[Future[bytes]] = queue.Queue()
    told: queue.Queue[str] = queue.Queue()

    def keep(request: bytes, _: Peer) -> Future[bytes]:
        promise: Future[bytes] = Future()
        if request == b"at once":
            promise.set_result(b"")
        else:
            arrived.put(promise)
        return promise

    with serving(keep) as server, RawPeer(server.address) as peer:
        server.later.before = lambda: told.put("before")
        for request in (b"slow", b"at once", b"slow"):
            peer.tell(call_message(request))
            if request == b"slow":
                arrived.get(timeout=PATIENCE_SECONDS).set_result(b"")
            peer.hear()
            told.put("heard")

    assert [told.get() for _ in range(told.qsize())] == 3 * ["before", "heard"]
