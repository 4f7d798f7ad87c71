"""What a guest's agent says is read if it can be; nothing that it does holds anybody up."""

import asyncio
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.adapters.hypervisor.qemu.agent import addresses, read_cards

MAC = "52:54:00:00:00:07"
CARDS = {
    "return": [
        {
            "name": "lo",
            "ip-addresses": [
                {"ip-address-type": "ipv4", "ip-address": "127.0.0.1", "prefix": 8},
            ],
            "hardware-address": "00:00:00:00:00:00",
        },
        {
            "name": "eth0",
            "ip-addresses": [
                {"ip-address-type": "ipv4", "ip-address": "192.0.2.7", "prefix": 24},
                {"ip-address-type": "ipv6", "ip-address": "fe80::5054:ff:fe00:7", "prefix": 64},
                {"ip-address-type": "ipv6", "ip-address": "2001:db8::7", "prefix": 64},
            ],
            "hardware-address": MAC.upper(),
            "statistics": {"rx-bytes": 1},
        },
        {"name": "sit0"},
    ]
}
FOUND = [(MAC, "192.0.2.7"), (MAC, "2001:db8::7")]


def test_what_others_can_reach_a_guest_by_is_read() -> None:
    assert list(read_cards(msgspec.json.encode(CARDS))) == FOUND


@pytest.mark.parametrize(
    "answer",
    [b"", b"null", b'{"error": {"class": "CommandNotFound", "desc": "No."}}', b'{"return": {}}'],
)
def test_an_agent_that_cannot_say_says_nothing(answer: bytes) -> None:
    assert list(read_cards(answer)) == []


@given(st.binary())
def test_whatever_an_agent_answers_is_read_or_not(answer: bytes) -> None:
    assert list(read_cards(answer)) == []


@contextmanager
def an_agent(answers: Callable[[socket.socket], None]) -> Iterator[Path]:
    """A socket at which each caller is answered like that."""
    # Short, because the names of sockets are limited.
    with tempfile.TemporaryDirectory(prefix="tashi-") as folder:
        path = Path(folder) / "agent.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            thread = threading.Thread(target=_serve, args=(server, answers))
            thread.start()
            try:
                yield path
            finally:
                server.shutdown(socket.SHUT_RDWR)
                thread.join()


def _serve(server: socket.socket, answers: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            line, _ = server.accept()
            with line, suppress(OSError):
                answers(line)


def ask(path: Path) -> list[tuple[str, str]]:
    return asyncio.run(addresses(path, within_seconds=0.5))


def answer_well(line: socket.socket) -> None:
    with line.makefile("rwb") as stream:
        line.sendall(b"garbage of before\n")
        synced = msgspec.json.decode(stream.readline().lstrip(b"\xff"))
        line.sendall(b'\xff{"return": 0}\n')
        number = synced["arguments"]["id"]
        line.sendall(b"\xff" + msgspec.json.encode({"return": number}) + b"\n")
        assert msgspec.json.decode(stream.readline())["execute"] == "guest-network-get-interfaces"
        line.sendall(msgspec.json.encode(CARDS) + b"\n")


def test_an_agent_is_asked_past_what_was_said_before() -> None:
    with an_agent(answer_well) as path:
        assert ask(path) == FOUND
        assert ask(path) == FOUND


def hang_up(line: socket.socket) -> None:
    line.recv(1)


def stay_mute(line: socket.socket) -> None:
    while line.recv(1000):
        pass


def never_end(line: socket.socket) -> None:
    while True:
        line.sendall(b"x" * 10_000)


@pytest.mark.parametrize("badly", [hang_up, stay_mute, never_end])
def test_an_agent_that_does_not_answer_is_given_up(badly: Callable[[socket.socket], None]) -> None:
    with an_agent(badly) as path:
        assert ask(path) == []


def test_without_a_socket_there_is_no_answer() -> None:
    assert ask(Path("/nowhere/agent.sock")) == []
