"""Workers of which one keeps watch, and is relieved when something holds it up.

Threads that share one interpreter get in each other's way: when eight of them took up calls, a
third of the processor's time went into handing the interpreter from one to the other. So one does
all there is to do, a thing after the other, and the others sleep. When a thing takes long (a
handler looks into a folder that hangs, or has very much to write), whoever is at it keeps that
only, and somebody else keeps watch from then on. So what never ends costs one worker, and holds up
the rest for a moment.

Who was relieved may still be at work while the next one is: things must allow for that.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS: Final = 0.01
"""How long a thing may take before somebody else goes on with the others."""

log = logging.getLogger("tashi.rpyc")


class _Shift:
    """The time that one worker keeps watch; it may be relieved only while it is at a thing.

    So whoever is not at anything knows that it still keeps watch, and may wait for what comes next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_it = False
        self.things = 0
        self.is_over = False

    def begin(self) -> None:
        with self._lock:
            self.things += 1
            self._at_it = True

    def end(self) -> None:
        with self._lock:
            self._at_it = False

    def relieve(self, thing: int) -> bool:
        """End the shift, if it is still at the thing of that number; False if it has got on."""
        with self._lock:
            if self.is_over or not self._at_it or self.things != thing:
                return False
            self.is_over = True
            return True


class Watch(Generic[T]):
    """Has one worker `wait` until there are things to do, and `attend` to one after the other."""

    def __init__(
        self,
        wait: Callable[[], Iterable[T]],
        attend: Callable[[T], None],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._wait = wait
        self._attend = attend
        self._patience = patience_seconds
        self._things: deque[T] = deque()
        self._vacant = threading.Semaphore(1)
        self._shift = _Shift()
        self._busy = threading.Event()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def threads(self) -> int:
        """How many threads there are: the workers, and who relieves them."""
        return sum(thread.is_alive() for thread in self._threads)

    def set(self, workers: int, name: str) -> None:
        """Begin, with so many workers; returns at once."""
        for number, job in enumerate([*[self._keep] * workers, self._relieve]):
            thread = threading.Thread(target=job, name=f"{name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self, patience_seconds: float) -> bool:
        """Send everybody home, once a `wait` that is under way returns; False if one is stuck."""
        self._over.set()
        self._busy.set()
        self._vacant.release()
        until = time.monotonic() + patience_seconds
        others = [one for one in self._threads if one is not threading.current_thread()]
        for thread in others:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in others)

    def _keep(self) -> None:
        while self._vacant.acquire() and not self._over.is_set():
            shift = self._shift = _Shift()
            while not (shift.is_over or self._over.is_set()):
                self._take_a_turn(shift)
        self._vacant.release()  # the next one goes home, too

    def _take_a_turn(self, shift: _Shift) -> None:
        try:
            if not self._things:
                self._things.extend(self._wait())
            if self._things:
                self._do(self._things.popleft(), shift)
        except Exception:
            log.exception("A worker stumbled over a mistake of ours; it goes on.")

    def _do(self, thing: T, shift: _Shift) -> None:
        shift.begin()
        if not self._busy.is_set():
            self._busy.set()
        try:
            self._attend(thing)
        finally:
            shift.end()

    def _relieve(self) -> None:
        """Look, while there is work, whether whoever keeps watch gets on with it."""
        while not self._over.is_set():
            self._busy.wait()
            self._busy.clear()
            shift = self._shift
            thing = shift.things
            self._over.wait(self._patience)
            if shift.relieve(thing):
                self._vacant.release()
