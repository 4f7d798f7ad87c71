"""Bytes from a pipe, cut into lines.

A pipe hands over whatever is in it; a log wants whole lines. The law: the lines do not depend on
how the bytes were chunked. A line that never ends is cut, so that memory stays bounded.
"""

LONGEST_LINE = 64 * 1024


class Lines:
    """Collects chunks and gives back the lines that are complete."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without their line ends."""
        *complete, rest = (self._rest + chunk).split(b"\n")
        lines = [piece for line in complete for piece in self._cut(line)]
        *overlong, self._rest = self._cut(rest)
        return lines + overlong

    def finish(self) -> list[bytes]:
        """Return the line that was begun but not ended, if there is one, and forget it."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []

    def _cut(self, line: bytes) -> list[bytes]:
        starts = range(0, len(line), self._longest) or [0]
        return [line[start : start + self._longest] for start in starts]
