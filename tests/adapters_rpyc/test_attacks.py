"""The server under attack by raw sockets: it loses the attacker, and nobody else notices."""

import logging
import random
import select
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from adapters_rpyc.raw import (
    HASTY,
    PATIENCE_SECONDS,
    RawPeer,
    call_message,
    echo,
    serving,
)
from tashi.adapters.rpyc import frames, plain, protocol
from tashi.adapters.rpyc.gate import Gate
from tashi.adapters.rpyc.limits import MIB, Limits
from tashi.adapters.rpyc.server import WORKERS, EventedServer
from tashi.ports.peers import Peer

PATIENT = Limits(greeting_seconds=2 * PATIENCE_SECONDS, frame_seconds=2 * PATIENCE_SECONDS)


@pytest.fixture
def server() -> Iterator[EventedServer]:
    """A server with short deadlines, which an honest peer must still be able to use at the end."""
    with serving(limits=HASTY) as server:
        yield server
        with RawPeer(server.address) as honest:
            assert honest.call(b"are you well?") == b"are you well?"
        assert server._watch.threads == WORKERS + 1


BOMB = zlib.compress(bytes(200 * MIB), 9)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xff\xff\xff\x00", id="a frame of four gigabytes"),
        pytest.param(struct.pack("!LB", MIB + 1, 0), id="a frame one byte too long"),
        pytest.param(struct.pack("!LB", len(BOMB), 1) + BOMB + b"\n", id="a compressed bomb"),
        pytest.param(frames.frame(b""), id="an empty message"),
        pytest.param(frames.frame(b"\x01" + b"\x10" * 100_000), id="nesting without end"),
        pytest.param(frames.frame(b"\x01\x15\xff\xff\xff\xff"), id="a tuple without end"),
        pytest.param(frames.frame(protocol.reply(1, b"x")), id="an answer to nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: tashi\r\n\r\n", id="HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506), id="TLS"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="SSH"),
    ],
)
def test_what_no_peer_sends_ends_the_connection_at_once(
    server: EventedServer, content: bytes
) -> None:
    with RawPeer(server.address) as attacker:
        attacker.send(content)

        assert attacker.is_cut_off()


def test_a_request_that_comes_byte_by_byte_is_served_and_holds_nobody_up() -> None:
    with (
        serving(limits=PATIENT) as server,
        RawPeer(server.address) as slow,
        RawPeer(server.address) as quick,
    ):
        for byte in frames.frame(call_message(b"x")):
            slow.send(bytes((byte,)))
            quick.call(b"meanwhile")

        assert protocol.hear(slow.hear()) == protocol.Reply(1, b"x")


def test_a_request_that_trickles_past_its_deadline_is_not_waited_for(
    server: EventedServer,
) -> None:
    with RawPeer(server.address) as attacker:
        attacker.call(b"hello")
        for byte in frames.frame(call_message(b"x" * 1000)):
            attacker.send(bytes((byte,)))
            if select.select([attacker.sock], [], [], 0.02)[0]:
                break

        assert attacker.is_cut_off()


@pytest.mark.parametrize("sent", [b"", b"\x00", frames.frame(call_message(b"x" * 500))[:300]])
def test_silence_after_nothing_or_half_a_request_is_not_waited_for(
    server: EventedServer, sent: bytes
) -> None:
    with RawPeer(server.address) as attacker:
        attacker.send(sent)

        assert attacker.is_cut_off()


def test_half_a_request_after_an_honest_one_is_not_waited_for(server: EventedServer) -> None:
    with RawPeer(server.address) as attacker:
        attacker.call(b"hello")
        attacker.send(b"\x00\x00")

        assert attacker.is_cut_off()


def test_a_peer_that_asked_once_may_be_idle(server: EventedServer) -> None:
    with RawPeer(server.address) as idle, RawPeer(server.address) as silent:
        idle.call(b"hello")

        assert silent.is_cut_off()
        assert idle.call(b"still here") == b"still here"


def test_thousands_of_garbage_connections_leave_nothing_behind(server: EventedServer) -> None:
    noise = random.Random(7)

    for _ in range(2000):
        with socket.create_connection(server.address) as sock:
            sock.send(noise.randbytes(noise.randrange(1, 200)))
            if noise.random() < 0.3:
                reset = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    with RawPeer(server.address) as last:
        assert last.is_cut_off()

    assert not server._channels
    assert not server._timed
    assert not server._gate._inside


def test_silent_connections_cannot_keep_an_honest_one_out() -> None:
    with serving(limits=Limits(connections_per_host=8)) as server:
        silent = [RawPeer(server.address) for _ in range(40)]
        with RawPeer(server.address) as honest:
            answer = honest.call(b"hello")
        for peer in silent:
            peer.sock.close()

    assert answer == b"hello"


@pytest.mark.parametrize(
    "limits", [Limits(connections_per_host=4), Limits(connections=4)], ids=["per host", "in all"]
)
def test_a_host_has_only_so_many_connections(limits: Limits) -> None:
    with serving(limits=limits) as server:
        talking = [RawPeer(server.address) for _ in range(4)]
        for peer in talking:
            peer.call(b"hello")

        with RawPeer(server.address) as fifth:
            turned_away = fifth.is_cut_off()
        still_served = [peer.call(b"again") for peer in talking]
        for peer in talking:
            peer.sock.close()

    assert turned_away
    assert still_served == [b"again"] * 4


def test_who_is_not_trusted_is_turned_away_unread_with_one_line_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Suspicious(Gate):
        def trusts(self, host: str) -> bool:
            return False

    with serving(door=Suspicious((), 100)) as server, caplog.at_level(logging.WARNING):
        for _ in range(20):
            with RawPeer(server.address) as stranger:
                stranger.tell(call_message(b"hello"))
                assert stranger.is_cut_off()

    assert [record.message for record in caplog.records] == [
        "Closed a connection of 127.0.0.1: it is in none of the trustedNetworks of [Security]."
    ]


def test_every_request_of_rpyc_but_ours_is_refused_and_reaches_no_service() -> None:
    served: list[bytes] = []

    def note(request: bytes, _: Peer) -> bytes:
        served.append(request)
        return request

    with serving(note) as server, RawPeer(server.address) as attacker:
        for handler in range(4, 21):
            for rest in ((), ("__class__",), ("call", (b"x",), ()), ((b"x", b"y"), ())):
                boxed = tuple((1, item) for item in rest)
                for subject in (protocol.Ours.ROOT, protocol.Ours.METHOD, ("os.system", 1, 2)):
                    content = (handler, (2, ((3, subject), *boxed)))
                    attacker.ask(b"\x01" + plain.write((9, content)))

        assert attacker.call(b"honest") == b"honest"
    assert served == [b"honest"]


def test_who_does_not_read_its_answers_is_lost_and_holds_up_nobody_who_completes_them() -> None:
    kept: list[Future[bytes]] = []
    arrived = threading.Semaphore(0)

    def keep(request: bytes, _: Peer) -> bytes | Future[bytes]:
        if request == b"hello":
            return request
        kept.append(Future())
        arrived.release()
        return kept[-1]

    with serving(keep, HASTY) as server, RawPeer(server.address) as attacker:
        attacker.tell(*(call_message(b"big", number) for number in range(8)))
        for _ in range(8):
            assert arrived.acquire(timeout=PATIENCE_SECONDS)

        for promise in kept:
            promise.set_result(bytes(8 * MIB))
        with RawPeer(server.address) as honest:
            assert honest.call(b"hello") == b"hello"

        assert attacker.is_reset()


def test_who_does_not_read_an_answer_that_took_long_is_lost_though_nothing_else_happens() -> None:
    asked, goes_on = threading.Event(), threading.Event()

    def keep(_request: bytes, _: Peer) -> bytes:
        asked.set()
        assert goes_on.wait(PATIENCE_SECONDS)
        return bytes(8 * MIB)

    with serving(keep, HASTY) as server, RawPeer(server.address) as attacker:
        attacker.tell(call_message(b"big", 1))
        assert asked.wait(PATIENCE_SECONDS)
        while server._timed:  # who keeps watch by now finds that nobody is on the clock
            asked.wait(0)
        goes_on.set()

        assert attacker.is_reset()


def test_what_a_peer_leaves_unread_is_bounded() -> None:
    kept: list[Future[bytes]] = []
    arrived = threading.Semaphore(0)

    def keep(_: bytes, __: Peer) -> Future[bytes]:
        kept.append(Future())
        arrived.release()
        return kept[-1]

    limits = Limits(answer_bytes=MIB, unread_seconds=1000.0)
    with serving(keep, limits) as server, RawPeer(server.address) as attacker:
        attacker.tell(*(call_message(b"big", number) for number in range(16)))
        for _ in range(16):
            assert arrived.acquire(timeout=PATIENCE_SECONDS)

        for promise in kept:
            promise.set_result(bytes(MIB))

        assert attacker.is_reset()


def test_an_answer_that_fits_no_buffer_arrives_in_full() -> None:
    answer = bytes(16 * MIB)

    with serving(lambda _, __: answer) as server, RawPeer(server.address) as peer:
        assert peer.call(b"all of it") == answer


def test_a_server_that_runs_out_of_descriptors_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Short(EventedServer):
        trouble = 1

        def _admit(self, sock: socket.socket, peer: Peer) -> None:
            if self.trouble:
                self.trouble -= 1
                sock.close()
                raise OSError(24, "Too many open files")
            super()._admit(sock, peer)

    server = Short(echo, ("127.0.0.1", 0), Gate((), 100), HASTY)
    server.serve()
    try:
        with RawPeer(server.address) as unlucky:
            assert unlucky.is_cut_off()
        with RawPeer(server.address) as honest:
            assert honest.call(b"hello") == b"hello"
    finally:
        server.stop()

    assert "No connection can be accepted" in caplog.text
