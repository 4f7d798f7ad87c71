"""The one thread in which this package waits: for monitors to speak and for processes to end.

It runs an asyncio loop; nothing that runs in it may block. The rest of the package is ordinary
blocking code in other threads, which hands a coroutine over and waits for its result.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from logging import getLogger
from typing import Final, TypeVar

from tashi.domain.errors import HypervisorFailed

_log = getLogger(__name__)

T = TypeVar("T")
Cancel = Callable[[], object]

_GRACE_SECONDS: Final = 2.0


def _closed() -> HypervisorFailed:
    return HypervisorFailed("This program is ending and talks to no QEMU any more.")


class Reactor:
    """An asyncio loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._own: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qemu", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[object, object, T]) -> T:
        """Run the coroutine in the loop and return what it returns; it limits its own time.

        Raises HypervisorFailed when the reactor is closed before it is done.
        """
        try:
            return self._submit(work).result()
        except CancelledError as cancelled:
            raise _closed() from cancelled

    def begin(self, work: Coroutine[object, object, None]) -> Cancel:
        """Let the coroutine run on its own; call what is returned to end it early."""
        return self._submit(self._keep(work)).cancel

    def post(self, function: Callable[[], object]) -> None:
        """Call the function in the loop's thread, soon."""
        with suppress(RuntimeError):  # the loop is closed: nobody is left who would care
            self._loop.call_soon_threadsafe(function)

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        """Call the function in the loop's thread after that time; called from that thread."""
        self._loop.call_later(seconds, function)

    def watch(self, descriptor: int, function: Callable[[], None]) -> None:
        """Call the function once, in the loop's thread, when the descriptor becomes readable."""

        def once() -> None:
            self._loop.remove_reader(descriptor)
            function()

        self.post(lambda: self._loop.add_reader(descriptor, once))

    def forget(self, descriptor: int, then: Callable[[], object]) -> None:
        """Watch the descriptor no more, then call the function (which may close it)."""

        def forget() -> None:
            self._loop.remove_reader(descriptor)
            then()

        self.post(forget)

    def close(self) -> None:
        """End whatever still runs in the loop, and the thread; harmless the second time."""
        if self._loop.is_closed():
            return
        self.call(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _submit(self, work: Coroutine[object, object, T]) -> "Future[T]":
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as over:
            work.close()
            raise _closed() from over

    async def _keep(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._own.add(task)
        try:
            await work
        except Exception:  # noqa: BLE001  # nobody waits for what comes of it
            _log.exception("%s failed in a way that it should not.", work)
        finally:
            self._own.discard(task)

    async def _end_all(self) -> None:
        for task in self._own:
            task.cancel()
        # What these began in their turn (the client's tasks) they also end; that takes a moment.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            _, late = await asyncio.wait(others, timeout=_GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
