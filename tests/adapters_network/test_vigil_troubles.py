"""A vigil goes on, whatever goes wrong while it listens or mends."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Final

import pytest

from tashi.adapters.network import vigil
from tashi.adapters.network.vigil import Vigil

SECONDS: Final = 60.0
REMOVAL: Final = struct.pack("=IHHIIBxxx", 20, 10 << 8 | 2, 0, 0, 0, 7)


class Ear(socket.socket):
    """Hears what the other end says; words that mean trouble are raised."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        said = super().recv(size, flags)
        if said == b"trouble":
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return said


@pytest.fixture
def mouth(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Says what the vigil's ear hears."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear = Ear(fileno=theirs.detach())
    ear.setblocking(False)
    monkeypatch.setattr(vigil, "_ear", lambda: ear)
    monkeypatch.setattr(vigil, "_AGAIN_SECONDS", 0.01)
    with ours:
        yield ours


@pytest.mark.parametrize("wrong", [OSError("No nft."), ValueError("What is this?")])
def test_what_nobody_thought_of_in_mending_is_logged_and_tried_again(
    mouth: socket.socket, wrong: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    tries: SimpleQueue[int] = SimpleQueue()
    troubles = [wrong]

    def mend() -> None:
        tries.put(1)
        if troubles:
            raise troubles.pop()

    looked_after = Vigil(mend)
    mouth.send(REMOVAL)
    for _ in range(2):
        tries.get(timeout=SECONDS)
    looked_after.close()

    assert str(wrong) in caplog.text


def test_what_goes_wrong_in_listening_is_logged_and_mended_for(
    mouth: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    mended: SimpleQueue[int] = SimpleQueue()

    looked_after = Vigil(lambda: mended.put(1))
    mouth.send(b"trouble")
    mended.get(timeout=SECONDS)
    looked_after.close()

    assert "Cannot allocate memory" in caplog.text
