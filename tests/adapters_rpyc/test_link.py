"""Calling a peer that is away, restarts, misbehaves, or is not Tashi's own server at all."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rpyc
from rpyc.utils.server import OneShotServer

from adapters_rpyc.raw import RawPeer, echo, scripted, serving
from tashi.adapters.rpyc import frames, plain, protocol
from tashi.adapters.rpyc.peers import Link
from tashi.domain.errors import BadRequest, PeerSilent
from tashi.wire import envelope

SOON = 30.0
REQUEST = envelope.write_request("1.0", "42", "pauseVm")


def silence(address: tuple[str, int], seconds: float = SOON, **how: bool) -> PeerSilent:
    """What a link says when it gets no answer from there."""
    link = Link(address)
    try:
        with pytest.raises(PeerSilent) as caught:
            link.call(REQUEST, seconds, **how)
    finally:
        link.close()
    return caught.value


def introduce(peer: RawPeer) -> None:
    """Play the server's part until the first call."""
    for _ in range(2):
        told = protocol.understand(peer.hear())
        assert isinstance(told, protocol.Told)
        peer.tell(told.answer)


def after_introduction(*messages: bytes) -> Callable[[RawPeer], None]:
    """A server that answers the first call with these messages and waits for the end."""

    def conversation(peer: RawPeer) -> None:
        introduce(peer)
        peer.hear()
        peer.send(b"".join(messages))
        peer.hear()

    return conversation


@pytest.fixture
def stock_server() -> Iterator[tuple[str, int]]:
    """An unmodified rpyc server with one exposed method, for one client."""

    class Echo(rpyc.Service):  # type: ignore[misc]  # rpyc has no types
        def exposed_call(self, request: bytes) -> bytes:
            return b"<" + request + b">"

    server = OneShotServer(Echo(), hostname="127.0.0.1", port=0)
    thread = server._start_in_thread()
    yield "127.0.0.1", server.port
    thread.join()


def test_any_rpyc_server_with_our_method_can_be_called(stock_server: tuple[str, int]) -> None:
    link = Link(stock_server)

    answers = [link.call(b"x" * size, SOON) for size in (0, 300, 50_000)]
    link.close()

    assert answers == [b"<" + b"x" * size + b">" for size in (0, 300, 50_000)]


def test_a_peer_that_is_away_is_named_with_what_it_was_asked() -> None:
    with serving() as server:
        address = server.address

    error = silence(address)

    assert error.message == (
        f"127.0.0.1:{address[1]} cannot be reached for pauseVm: Connection refused."
    )
    assert error.about == {"peer": f"127.0.0.1:{address[1]}", "sent": "no"}


@pytest.mark.parametrize("host", ["", "bad..name", "x" * 300])
def test_a_name_that_cannot_be_is_a_silent_peer(host: str) -> None:
    assert silence((host, 0)).about["sent"] == "no"


def test_a_peer_that_restarts_is_reached_again() -> None:
    with serving() as server:
        link = Link(server.address)
        link.call(b"before", SOON)

    with serving(port=server.port):
        answer = link.call(b"after", SOON)
        link.close()

    assert answer == b"after"


def test_a_call_that_may_be_repeated_outlasts_lost_connections() -> None:
    def hear_and_leave(peer: RawPeer) -> None:
        introduce(peer)
        peer.hear()

    with scripted(
        lambda peer: None,
        hear_and_leave,
        after_introduction(frames.frame(protocol.reply(3, b"at last"))),
    ) as address:
        link = Link(address)

        answer = link.call(REQUEST, SOON, repeatable=True)
        link.close()

    assert answer == b"at last"


def test_a_call_that_may_not_be_repeated_is_sent_once() -> None:
    heard: list[bytes] = []

    def hear_and_leave(peer: RawPeer) -> None:
        introduce(peer)
        heard.append(peer.hear())

    with scripted(hear_and_leave, hear_and_leave) as address:
        error = silence(address)

    assert len(heard) == 1
    assert error.message == (
        f"127.0.0.1:{address[1]} was lost before it answered pauseVm: it closed the connection; "
        "it may have carried it out."
    )
    assert error.about["sent"] == "perhaps"


def test_a_silent_peer_is_given_up_in_time_and_called_over_a_new_line() -> None:
    with scripted(
        after_introduction(), after_introduction(frames.frame(protocol.reply(3, b"back")))
    ) as address:
        link = Link(address)
        with pytest.raises(PeerSilent, match=r"did not answer pauseVm within 0\.05 s"):
            link.call(REQUEST, 0.05)

        answer = link.call(REQUEST, SOON)
        link.close()

    assert answer == b"back"


def test_a_peer_that_accepts_and_says_nothing_is_given_up_in_time() -> None:
    def say_nothing(peer: RawPeer) -> None:
        peer.hear()
        peer.hear()

    with scripted(say_nothing) as address:
        error = silence(address, 0.05)

    assert error.about["sent"] == "no"


def test_a_peer_that_does_not_greet_is_not_waited_for_as_long_as_a_call() -> None:
    def say_nothing(peer: RawPeer) -> None:
        peer.hear()
        peer.hear()

    with scripted(say_nothing) as address:
        link = Link(address, connect_seconds=0.05)

        with pytest.raises(PeerSilent, match=r"no connection within 0\.05 s") as caught:
            link.call(REQUEST, SOON)
        link.close()

    assert caught.value.about["sent"] == "no"


def test_a_peer_that_takes_nothing_in_holds_nobody_beyond_the_time() -> None:
    given_up = threading.Event()

    def read_no_more(peer: RawPeer) -> None:
        introduce(peer)
        given_up.wait(SOON)

    with scripted(*[read_no_more] * 2) as address, ThreadPoolExecutor(16) as threads:
        link = Link(address)
        calls = [threads.submit(link.call, bytes(1_000_000), 0.3) for _ in range(16)]
        errors = [call.exception(SOON) for call in calls]
        given_up.set()
        link.close()

    assert [type(error) for error in errors] == [PeerSilent] * 16


class Queue:
    """A lock that tells when somebody comes to take it."""

    def __init__(self) -> None:
        self.comers = threading.Semaphore(0)
        self._lock = threading.Lock()

    def acquire(self, timeout: float) -> bool:
        self.comers.release()
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        self._lock.release()


def test_who_waits_for_a_connection_that_fails_does_not_try_again_in_turn() -> None:
    attempts: list[bytes] = []
    queue = Queue()

    def hang_up_when_all_wait(peer: RawPeer) -> None:
        attempts.append(peer.hear())
        for _ in range(8):
            assert queue.comers.acquire(timeout=SOON)

    with scripted(*[hang_up_when_all_wait] * 8) as address, ThreadPoolExecutor(8) as threads:
        link = Link(address)
        link._dialling = queue  # type: ignore[assignment]  # to see who waits
        calls = [threads.submit(link.call, REQUEST, SOON) for _ in range(8)]
        errors = [call.exception(SOON) for call in calls]
        link.close()

    assert [type(error) for error in errors] == [PeerSilent] * 8
    assert len(attempts) == 1


NESTED = b"\x01" + plain.write((1, (4, (2, ((3, ("builtins.object", 1, 1)), (1, "__class__"))))))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(frames.frame(NESTED), id="a request within the answer"),
        pytest.param(
            frames.frame(b"\x02" + plain.write((3, (4, ("x.Y", 1, 2))))), id="a reference"
        ),
        pytest.param(frames.frame(b"\x02" + plain.write((3, (1, "text")))), id="a text"),
        pytest.param(frames.frame(b"\x02" + plain.write((3, (1, None)))), id="nothing"),
        pytest.param(b"\xff\xff\xff\xff\x00", id="a frame of four gigabytes"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(frames.frame(b"\x03" + plain.write((3, 1))), id="an exception"),
        pytest.param(frames.frame(b"\x01" + plain.write((1, (2, (1, ()))))), id="a goodbye"),
    ],
)
def test_a_peer_that_sends_more_or_less_than_an_answer_is_not_believed(message: bytes) -> None:
    with scripted(after_introduction(message)) as address:
        error = silence(address)

    assert error.message.startswith(f"127.0.0.1:{address[1]} was lost before it answered pauseVm")
    assert error.message.isprintable()


def test_an_answer_nobody_asked_for_is_passed_over() -> None:
    stray = frames.frame(protocol.reply(99, b"stray"))
    with scripted(after_introduction(stray, frames.frame(protocol.reply(3, b"mine")))) as address:
        link = Link(address)

        answer = link.call(REQUEST, SOON)
        link.close()

    assert answer == b"mine"


def test_a_peer_without_our_method_is_told_from_one_that_is_away() -> None:
    def refuse(peer: RawPeer) -> None:
        peer.hear()
        peer.tell(b"\x03" + plain.write((1, (("builtins", "KeyError"), ("no\n root",), (), ""))))
        peer.hear()

    with scripted(refuse) as address:
        error = silence(address)

    assert 'it refused with "no� root"' in error.message


def test_an_answer_over_the_limit_is_not_taken_in() -> None:
    with serving(echo) as server:
        link = Link(server.address, answer_bytes=1000)

        with pytest.raises(PeerSilent, match="1000 are allowed"):
            link.call(b"x" * 2000, SOON)
        assert link.call(b"short", SOON) == b"short"
        link.close()


def test_a_request_that_no_peer_takes_is_refused_before_it_is_sent() -> None:
    with pytest.raises(BadRequest, match="more than any peer takes"):
        Link(("127.0.0.1", 9)).call(bytes(1 << 20), SOON)


def test_calling_needs_no_import_of_rpyc(checkout: Path) -> None:
    program = "import sys, tashi.adapters.rpyc.peers; print('rpyc' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(checkout / "src")},
        stdout=subprocess.PIPE,
        check=True,
    )

    assert done.stdout == b"False\n"
