"""The word that a guest has left, from the source's node to the target's, while it stands still.

Else it would stand still until the cluster manager has heard of it, and has written it down, and
has told the target. The word goes over a line of its own, which is there before it is needed:

    the source draws a word, and says its hash behind the pledge when it comes for the memory
    it calls at the door once more, and says its key
    it says the word, after it has written down for good that the guest never runs there again
    the target, which knows the hash, lets the guest run, and says so

Until it is said nobody but the source knows the word: it is in no book, and whoever listens learns
it when it is true. So it may be late or come again; when it is lost, the cluster manager's order
says the same. The target's QEMU must not go on by itself: the source's would run on, too, if it
never learned that all had arrived.
"""

import asyncio
import hmac
import logging
import secrets
import socket
from contextlib import suppress
from hashlib import sha256
from typing import Final

from tashi.adapters.hypervisor.qemu.lines import call
from tashi.adapters.hypervisor.qemu.moves import Door
from tashi.domain.errors import HypervisorFailed

_LOG: Final = logging.getLogger(__name__)
_RUNS: Final = b"+"
_WORD_BYTES: Final = 16
_ANSWER_SECONDS: Final = 0.5


class Word:
    """The source's end. To be closed."""

    def __init__(self, door: Door, address: str) -> None:
        self._word = secrets.token_hex(_WORD_BYTES).encode()
        self._door = door
        self._address = address
        self._line: socket.socket | None = None

    @property
    def knock(self) -> bytes:
        """What the source says when it comes for the memory."""
        pledge = self._door.pledge.encode()
        return pledge + _hash(self._word) if pledge else self._door.key.encode()

    def get_ready(self) -> None:
        """Have a line on which it can be said; without one, it is not said."""
        if not self._door.pledge:
            return
        try:
            self._line = call((self._door.address, self._door.memory), self._address)
            self._line.sendall(self._door.key.encode())
        except (HypervisorFailed, OSError) as error:
            _LOG.info("That a guest has left cannot be said to its target: %s", error)

    def say(self) -> None:
        """Say that the guest has left, and wait a moment for the answer that it runs.

        Until then this machine has better things to do than to clear away what is left of it.
        """
        if self._line is None:
            return
        try:
            self._line.settimeout(_ANSWER_SECONDS)
            self._line.sendall(self._word)
            answer = self._line.recv(len(_RUNS))
        except OSError as error:
            _LOG.info("Whether the target has heard that a guest has left is not known: %s", error)
        else:
            if answer != _RUNS:
                _LOG.info("The target does not run a guest that has left: it is told again.")

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()


async def pledged(door: Door, line: socket.socket) -> bytes | None:
    """What somebody who comes for the memory pledges: a hash, or nothing; None: has no key."""
    said = await hear(line, len(door.key))
    if hmac.compare_digest(said, door.key.encode()):
        return b""
    if not hmac.compare_digest(said, door.pledge.encode()):
        return None
    return await hear(line, len(_hash(b"")))


async def is_heard(pledge: bytes, line: socket.socket) -> bool:
    """Wait for the word on a line; whether it was the one that was pledged."""
    said = await hear(line, 2 * _WORD_BYTES)
    return hmac.compare_digest(_hash(said), pledge)


async def answer(line: socket.socket) -> None:
    """Say that the guest runs."""
    with suppress(OSError):  # who asked has gone again
        await asyncio.get_running_loop().sock_sendall(line, _RUNS)


async def hear(line: socket.socket, most: int) -> bytes:
    """So many bytes of a line, or fewer when no more come; nothing from one that breaks."""
    loop, said = asyncio.get_running_loop(), b""
    with suppress(OSError):
        while len(said) < most and (more := await loop.sock_recv(line, most - len(said))):
            said += more
    return said


def _hash(word: bytes) -> bytes:
    return sha256(word).hexdigest().encode()
