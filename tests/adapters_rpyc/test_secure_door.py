"""Who leaves before the handshake has begun."""

import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from adapters_rpyc.raw import RawPeer, echo
from certificates import Office
from tashi.adapters.rpyc.calling import Secrets
from tashi.adapters.rpyc.listening import listen
from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.peers import Link

SOON = 30.0
AT_ONCE = struct.pack("ii", 1, 0)


def test_who_breaks_off_before_being_let_in_keeps_nobody_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office(tmp_path)
    papers = Papers(office.issued("clustermanager"), shows=True)
    secrets = Secrets(Papers(office.issued("user", "ada")), "clustermanager")
    server = listen(echo, ("127.0.0.1", 0), section="Example", papers=papers)
    may_open, welcome = threading.Event(), server._welcome
    server._welcome = lambda: may_open.wait(SOON) and welcome()  # type: ignore[method-assign, assignment]
    server.serve()
    try:
        for _ in range(20):
            with RawPeer(server.address) as rude:
                rude.send(b"x")
                rude.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        with (
            closing(Link(("localhost", server.address[1]), secrets=secrets)) as link,
            ThreadPoolExecutor(1) as caller,
        ):
            answer = caller.submit(link.call, b"hello", SOON)
            may_open.set()
            assert answer.result(SOON) == b"hello"
    finally:
        server.stop()

    assert "No connection can be accepted" not in caplog.text
