"""What the daemon says: a pipe from its standard output and error into the log, line by line.

One pipe serves every run of the daemon, so a guest or script that inherited it may go on speaking
after a restart. The keeper holds both ends: reading never meets an end, only silence. The last few
lines of the present run are remembered, for when it has to be given up.
"""

import os
from collections import deque
from contextlib import suppress

from tashi.supervisor.lines import Lines
from tashi.supervisor.logbook import LogBook

# All that a pipe holds unless it is told otherwise (pipe(7)).
PIPE_CAPACITY = 64 * 1024
REMEMBERED = 20


class Words:
    """The daemon's words on their way into the log; `hearing` is readable when there are some."""

    def __init__(self, log: LogBook) -> None:
        self._log = log
        self._lines = Lines()
        self._last: deque[bytes] = deque(maxlen=REMEMBERED)
        self.hearing, self.speaking = os.pipe()
        os.set_blocking(self.hearing, False)

    def relay(self) -> None:
        """Pass on what has been said by now, as far as it is whole lines."""
        with suppress(BlockingIOError):
            self._pass_on(self._lines.feed(os.read(self.hearing, PIPE_CAPACITY)))

    def finish(self) -> None:
        """Pass on all that a run which has ended has said, a line without its end included."""
        self.relay()  # once is enough: more than this cannot have been left in the pipe
        self._pass_on(self._lines.finish())

    def forget(self) -> None:
        """Begin to remember anew, for the next run."""
        self._last.clear()

    def remembered(self) -> str:
        """Return the last lines of this run, each with its end."""
        return "".join(line.decode(errors="replace") + "\n" for line in self._last)

    def close(self) -> None:
        """Close the pipe; what still speaks into it is told so by an error."""
        os.close(self.hearing)
        os.close(self.speaking)

    def _pass_on(self, lines: list[bytes]) -> None:
        for line in lines:
            self._log.put(line)
        self._last.extend(lines)
