"""Servers that echo, each run in a process of its own: ``servers.py NAME`` prints its port first.

* ``ThreadedServer`` is rpyc's own, used as its documentation shows;
* ``tashi`` is the class that Tashi's daemons serve with, its handler answering at once;
* ``tashi over TLS`` is that with certificates of an authority made for it;
* ``promised`` is the same with a handler that answers every request through a Future, which one
  other thread completes, as the cluster manager's ledger does.
"""

import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import rpyc
from rpyc.utils.server import ThreadedServer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # when run as a program

from tashi.adapters.pki import authority
from tashi.adapters.rpyc.listening import listen
from tashi.adapters.rpyc.papers import Papers
from tashi.ports.peers import Peer


class Running(NamedTuple):
    """A server in a process of its own."""

    port: int
    pid: int


RPYC = "ThreadedServer"
TASHI = "tashi"
PROMISED = "promised"
SECURE = "tashi over TLS"


@contextmanager
def running(name: str) -> Iterator[Running]:
    """The server in a process of its own, which ends with the block."""
    command = [sys.executable, __file__, name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Running(int(process.stdout.readline()), process.pid)
        finally:
            process.kill()


def serve(name: str) -> None:
    """Echo until the parent goes away."""
    with TemporaryDirectory() as folder:
        papers = papers_in(Path(folder)) if name == SECURE else None
    promised = name == PROMISED
    port = serve_threaded() if name == RPYC else serve_tashi(promised=promised, papers=papers)
    print(port, flush=True)
    sys.stdin.read()


def serve_threaded() -> int:
    """Serve with rpyc's own server; returns the port."""

    class Echo(rpyc.Service):  # type: ignore[misc]  # rpyc has no types
        def exposed_call(self, request: bytes) -> bytes:
            return request

    quiet = {"logger": logging.getLogger("quiet")}
    server = ThreadedServer(Echo(), hostname="127.0.0.1", port=0, protocol_config=quiet)
    server.listener.listen()
    threading.Thread(target=server.start, daemon=True).start()
    port: int = server.port
    return port


def papers_in(folder: Path) -> Papers:
    """A cluster manager's, of an authority of its own; read at once, so the folder may go."""
    now = datetime.now(UTC)
    authority.begin(folder / "pki", now)
    authority.issue(
        folder / "pki", authority.Wanted("clustermanager", "localhost"), folder / "own", now
    )
    return Papers(folder / "own", shows=True)


def serve_tashi(*, promised: bool, papers: Papers | None = None) -> int:
    """Serve with Tashi's; returns the port."""
    waiting: queue.SimpleQueue[tuple[Future[bytes], bytes]] = queue.SimpleQueue()

    def promise(request: bytes, _: Peer) -> Future[bytes]:
        answer: Future[bytes] = Future()
        waiting.put((answer, request))
        return answer

    def keep_promises() -> None:
        while True:
            answer, request = waiting.get()
            answer.set_result(request)

    threading.Thread(target=keep_promises, daemon=True).start()
    handler = promise if promised else lambda request, _: request
    server = listen(handler, ("127.0.0.1", 0), section="bench", papers=papers)
    server.serve()
    port: int = server.port
    return port


if __name__ == "__main__":
    serve(sys.argv[1])
