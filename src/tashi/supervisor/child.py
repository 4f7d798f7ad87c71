"""One run of the daemon: the process, from its start to its reaping.

It is known by its pidfd, so a signal can never reach another process that got the same number, and
its end wakes whoever waits on `descriptor`. Its process group is left alone.
"""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


class Child:
    """A started process; `OSError` when it cannot be started."""

    def __init__(self, command: tuple[str, ...], folder: Path, words: int) -> None:
        # A session of its own keeps a terminal's Ctrl-C away: the keeper alone says when to end.
        # SIGPIPE stays ignored, so that a daemon whose keeper was killed outlives its next line.
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
            restore_signals=False,
        )
        self.descriptor = os.pidfd_open(self.pid)

    @property
    def pid(self) -> int:
        """The number of the process, for people to read."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send the process, and nothing that it has started, a signal."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def reap(self) -> int:
        """Return the exit code, or the negated signal; waits until the process has ended."""
        status = self._process.wait()
        os.close(self.descriptor)
        return status
