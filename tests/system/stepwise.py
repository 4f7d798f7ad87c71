"""A node manager that stops at each step of a start, a move or a save until it is told to go on.

    stepwise.py [SOCKET]

It asks whoever listens at the socket; where nobody does, it goes on. `Ambush` is who listens: it
lets every step pass but one, and whatever is to happen then happens between two known steps.
"""

import os
import socket
import sys
import threading
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final, Self

from tashi.programs import daemon
from tashi.programs.nodemanager import NodeManagerDaemon
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.nodemanager import NodeManagerSettings

PATIENCE_SECONDS: Final = 60.0
_NOT_ASKED: Final = {"called", "heard", "goes on"}
"""Steps of the thread that talks to every QEMU, which must not wait."""


def ask(place: str, name: str, step: str) -> None:
    """Wait until whoever listens there lets that node pass the step."""
    if step in _NOT_ASKED:
        return
    with suppress(OSError), closing(socket.socket(socket.AF_UNIX)) as line:
        line.connect(place)
        line.sendall(f"{name} {step}\n".encode())
        line.recv(1)


def build(place: str, settings: Settings) -> NodeManagerDaemon:
    """The daemon as its program builds it, which asks at every step."""
    name = settings.of(NodeManagerSettings).host_name or socket.gethostname()
    return NodeManagerDaemon(settings, partial(ask, place, name))


def main(place: str) -> int:
    """Run until told to end."""
    words = "A node manager that can be stopped at any step."
    return daemon.run("nodemanager", words, Program.NODE_MANAGER, partial(build, place), [])


class Ambush:
    """Lets nodes pass all their steps but the one that somebody lies in wait at. To be closed."""

    def __init__(self, place: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen(64)
        self._awaited: set[str] = set()
        self._caught = threading.Event()
        self._who = ""
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._listen, name="ambush")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hold up nobody any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.release()

    def lie_in_wait(self, step: str, *names: str) -> None:
        """Catch the first of these nodes that comes to that step."""
        self._caught.clear()
        self._awaited = {f"{name} {step}" for name in names}

    def wait(self) -> str:
        """Wait until somebody is caught, and say who; fails when nobody comes."""
        assert self._caught.wait(PATIENCE_SECONDS), f"Nobody came to {self._awaited}."
        return self._who

    def release(self) -> None:
        """Let whoever was caught go on, if it still lives."""
        self._awaited = set()
        held, self._held = self._held, []
        for line in held:
            line.close()

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                line, _ = self._listener.accept()
                self._meet(line)

    def _meet(self, line: socket.socket) -> None:
        with line.makefile() as stream:
            said = stream.readline().strip()
        if said in self._awaited:
            self._awaited, self._who = set(), said.partition(" ")[0]
            self._held.append(line)
            self._caught.set()
        else:
            line.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or [os.devnull]))
