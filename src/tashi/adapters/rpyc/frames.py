"""The stream of bytes cut into messages, as rpyc's `Channel` frames them.

A frame is a length (4 bytes), a flag for compression, the content and a newline. rpyc's own
channel believes the length and inflates without limit; here both the content as sent and the
content inflated have one limit, a frame over it is refused as soon as its header is there, and
nothing is set aside for bytes that have not come. Gathering never waits: it takes what there is.
"""

import zlib
from struct import Struct
from typing import Final

from tashi.adapters.rpyc.plain import Malformed

HEADER: Final = Struct("!LB")
END: Final = b"\n"
AROUND: Final = HEADER.size + len(END)


def frame(message: bytes) -> bytes:
    """Wrap a message for sending; always uncompressed."""
    return b"".join((HEADER.pack(len(message), 0), message, END))


class Gatherer:
    """Collects the bytes of one connection and gives back whole messages of at most `limit`."""

    __slots__ = ("_bytes", "_limit")

    def __init__(self, limit: int) -> None:
        self._bytes = bytearray()
        self._limit = limit

    @property
    def holds_part(self) -> bool:
        """Whether there are bytes that no message has been made of yet."""
        return bool(self._bytes)

    @property
    def holds_whole(self) -> bool:
        """Whether `take` has something to say without more bytes."""
        if len(self._bytes) < HEADER.size:
            return False
        length: int = HEADER.unpack_from(self._bytes)[0]
        return length > self._limit or len(self._bytes) >= AROUND + length

    def feed(self, received: bytes) -> None:
        """Add what has just been received."""
        self._bytes += received

    def take(self) -> bytes | None:
        """Take the next whole message, None if its end is still to come.

        Raises Malformed when this is no frame, or one over the limit.
        """
        if not self.holds_whole:
            return None
        length, compressed = HEADER.unpack_from(self._bytes)
        if length > self._limit or compressed > 1:
            raise Malformed(f"a frame claims {length} bytes where {self._limit} are allowed")
        whole = AROUND + length
        if self._bytes[whole - 1] != END[0]:
            raise Malformed("a frame does not end where its header says")
        with memoryview(self._bytes) as view:
            content = bytes(view[HEADER.size : whole - 1])
        del self._bytes[:whole]
        return self._inflated(content) if compressed else content

    def _inflated(self, content: bytes) -> bytes:
        """Undo compression, which a stock rpyc peer uses above 3,000 bytes."""
        inflater = zlib.decompressobj()
        try:
            message = inflater.decompress(content, self._limit)
        except zlib.error as wrong:
            raise Malformed("a compressed frame cannot be inflated") from wrong
        if not inflater.eof or inflater.unused_data:
            raise Malformed(f"a frame inflates to more than {self._limit} bytes, or to no whole")
        return message
