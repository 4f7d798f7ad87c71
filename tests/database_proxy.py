"""A line to a database that breaks at the moment that it is told: a program, one line at a time.

    database_proxy.py SOCKET

It listens on a free port of loopback, says which, and passes everything on to the server at the
Unix socket. Its standard input takes the word for what is to befall the next commit, once, or the
line as a whole; each is answered with `ready`. What a client says is followed packet by packet
(MySQL's client protocol: a packet is three bytes of length, one of number, and its content; a query
begins with 0x03).
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

FAILS: Final = "FAILS"
"""The line is cut before the first statement of the transaction arrives."""
HALF_HAPPENS: Final = "HALF_HAPPENS"
"""The line is cut when the first rows have arrived."""
UNKNOWN_LOST: Final = "UNKNOWN_LOST"
"""The line is cut before COMMIT arrives."""
UNKNOWN_KEPT: Final = "UNKNOWN_KEPT"
"""COMMIT is carried out, and the line is cut before its answer arrives."""
FREEZES: Final = "FREEZES"
"""COMMIT is held back until `THAW` is said; the client hears nothing, whatever it does."""
THAW: Final = "THAW"
SILENCE: Final = "SILENCE"
"""Nothing passes any more, on no line, until `SPEAK` is said: nobody hears of it."""
SPEAK: Final = "SPEAK"

_HEAD: Final = 4
_QUERY: Final = 3
_PIECE: Final = 1 << 16
_STARTS: Final = {
    FAILS: b"UPDATE lease",
    HALF_HAPPENS: b"INSERT",
    UNKNOWN_LOST: b"COMMIT",
    UNKNOWN_KEPT: b"COMMIT",
    FREEZES: b"COMMIT",
}


class Mishap:
    """What is to befall the next commit."""

    def __init__(self) -> None:
        self.word = ""
        self.thawed = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    def told(self, word: str) -> None:
        """Take a word from standard input."""
        if word == THAW:
            self.thawed.set()
        elif word == SILENCE:
            self.open.clear()
        elif word == SPEAK:
            self.open.set()
        else:
            self.word = word

    def meets(self, statement: bytes) -> str:
        """The word, when the statement is the one that it is about; it holds once."""
        word = self.word
        if not word or not statement.upper().startswith(_STARTS[word].upper()):
            return ""
        self.word = ""
        return word


async def say_all(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mishap: Mishap
) -> None:
    """Pass on what the server says, until one side ends."""
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            await mishap.open.wait()
            writer.write(piece)
            await writer.drain()
    writer.close()


async def say_packets(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mishap: Mishap
) -> str:
    """Pass on what a client says, until it ends or meets with the mishap; which one that was."""
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(_HEAD)
            content = await reader.readexactly(int.from_bytes(head[:3], "little"))
            query = content[1:] if head[3] == 0 and content[:1] == bytes([_QUERY]) else b""
            word = mishap.meets(query)
            if word in {FAILS, UNKNOWN_LOST}:
                return word
            if word == FREEZES:
                await mishap.thawed.wait()
            await mishap.open.wait()
            writer.write(head + content)
            await writer.drain()
            if word:
                return word
    return ""


async def pass_on(
    socket: str, mishap: Mishap, client: asyncio.StreamReader, back: asyncio.StreamWriter
) -> None:
    """Serve one connection."""
    await mishap.open.wait()
    try:
        server, forth = await asyncio.open_unix_connection(socket)
    except OSError:
        back.close()
        return
    answers = asyncio.ensure_future(say_all(server, back, mishap))
    word = await say_packets(client, forth, mishap)
    if word:
        answers.cancel()
        with suppress(asyncio.CancelledError):
            await answers
    if word in {UNKNOWN_KEPT, HALF_HAPPENS, FREEZES}:
        with suppress(OSError):
            await server.read(_PIECE)  # the answer that nobody hears
    for writer in (forth, back):
        writer.close()


async def follow(take: Callable[[str], None]) -> None:
    """Take words from standard input until it ends."""
    words = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    while line := await words.readline():
        take(line.decode().strip())
        sys.stdout.write("ready\n")
        sys.stdout.flush()


async def main(socket: str) -> None:
    """Listen, and serve until standard input ends."""
    mishap = Mishap()
    server = await asyncio.start_server(
        lambda client, back: pass_on(socket, mishap, client, back), "127.0.0.1", 0
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await follow(mishap.told)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
