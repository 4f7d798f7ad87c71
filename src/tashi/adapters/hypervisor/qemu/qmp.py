"""A conversation with one QEMU's monitor, for threads that block.

The talking is done by the QEMU project's own client, in the reactor's thread. The conversation is
kept up for as long as it is open: a monitor that does not answer yet, or that hung up, is tried
again, and nobody else waits for it. Every command has a time limit.

Traps of the client, minded here: its default listener keeps every event for ever, so the events
are taken in its filter, which lets none pass; and it must be told to disconnect after QEMU hung
up, which raises whatever ended the conversation once more.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from qemu.qmp import ExecuteError, QMPClient, QMPError, Runstate
from qemu.qmp.message import Message

from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.domain.errors import HypervisorFailed

Details = Mapping[str, object]
Hears = Callable[[str, Details], None]

_SHORTEST_PAUSE_SECONDS: Final = 0.004
_LONGEST_PAUSE_SECONDS: Final = 5.0
_FAREWELL_SECONDS: Final = 1.0

# Whatever the client logs as an error is raised to us as well, and said there in our words.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class Monitor:
    """One QEMU's QMP socket; `hears` is told each event in the reactor's thread.

    `opens` is called there each time a conversation has begun.
    """

    def __init__(
        self, path: Path, reactor: Reactor, hears: Hears, opens: Callable[[], None]
    ) -> None:
        self._path = path
        self._reactor = reactor
        self._hears = hears
        self._opens = opens
        self._client: QMPClient | None = None
        self._talking = asyncio.Event()
        self._closed = False
        self._stop_talking = reactor.begin(self._keep_talking())

    def execute(
        self, command: str, arguments: Details | None = None, *, within_seconds: float
    ) -> object:
        """What QEMU answers; raises HypervisorFailed when it refuses or does not answer in time."""
        return self._reactor.call(self.ask(command, arguments, within_seconds=within_seconds))

    def interrupt(
        self, command: str, arguments: Details | None = None, *, within_seconds: float
    ) -> object:
        """`execute`, for the few commands that QEMU obeys even while it is stuck in another."""
        return self._reactor.call(
            self.ask(command, arguments, within_seconds=within_seconds, out_of_band=True)
        )

    def give(self, name: str, descriptor: int, *, within_seconds: float) -> None:
        """Hand QEMU an open file, under a name for later commands; ours stays open."""
        self._reactor.call(self.present(name, descriptor, within_seconds=within_seconds))

    async def ask(
        self,
        command: str,
        arguments: Details | None = None,
        *,
        within_seconds: float,
        out_of_band: bool = False,
    ) -> object:
        """`execute` or `interrupt`, for those who are in the reactor's thread."""
        with _in_our_words(command, within_seconds):
            async with asyncio.timeout(within_seconds):
                client = await self._speaker()
                return await client.execute(command, arguments, oob=out_of_band)

    def close(self) -> None:
        """End the conversation, and keep it up no more; whoever waits is told so."""
        self._stop_talking()
        self._reactor.post(self._give_up)

    async def present(self, name: str, descriptor: int, *, within_seconds: float) -> None:
        """`give`, for those who are in the reactor's thread."""
        with _in_our_words("getfd", within_seconds):
            async with asyncio.timeout(within_seconds):
                client = await self._speaker()
                client.send_fd_scm(descriptor)
                await client.execute("getfd", {"fdname": name})

    async def _speaker(self) -> QMPClient:
        await self._talking.wait()
        if self._closed or self._client is None:
            raise EOFError
        return self._client

    def _give_up(self) -> None:
        self._closed = True
        self._talking.set()

    async def _keep_talking(self) -> None:
        since = time.monotonic()
        while True:
            if await self._talk():
                since = time.monotonic()
            silent = time.monotonic() - since
            await asyncio.sleep(
                min(max(silent / 25, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
            )

    async def _talk(self) -> bool:
        """One conversation, to its end; whether there was any."""
        try:
            client = await self._connect()
        except (QMPError, OSError):
            return False
        try:
            self._client = client
            self._talking.set()
            self._opens()
            while client.runstate is Runstate.RUNNING:
                await client.runstate_changed()
        finally:
            if not self._closed:
                self._talking.clear()
            # Not to be broken off: the client's own tasks would be left without anybody.
            await asyncio.shield(asyncio.create_task(_part_from(client)))
        return True

    async def _connect(self) -> QMPClient:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.setblocking(False)
            line.connect(bytes(self._path))
            client = QMPClient()
            client.events.event_filter = self._hear
            await client.connect(line)
        except BaseException:
            line.close()
            raise
        return client

    def _hear(self, event: Message) -> bool:
        details = event.get("data", {})
        self._hears(str(event["event"]), details if isinstance(details, Mapping) else {})
        return False


async def _part_from(client: QMPClient) -> None:
    with suppress(QMPError, OSError, EOFError):
        async with asyncio.timeout(_FAREWELL_SECONDS):
            await client.disconnect()


def was_refused(failed: HypervisorFailed) -> bool:
    """Whether QEMU has answered that it does not do it: then it was not done."""
    return isinstance(failed.__cause__, ExecuteError)


@contextmanager
def _in_our_words(command: str, within_seconds: float) -> Iterator[None]:
    """Translate what the client raises into HypervisorFailed."""
    try:
        yield
    except ExecuteError as error:
        raise HypervisorFailed(f"QEMU refused {command}: {error}") from error
    except TimeoutError as error:
        raise HypervisorFailed(
            f"QEMU did not answer {command} within {within_seconds:g} s."
        ) from error
    except (QMPError, OSError, EOFError) as error:
        raise HypervisorFailed(f"QEMU hung up at {command}.") from error
