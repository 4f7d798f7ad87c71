"""The signals of a daemon: numbers in a pipe, and a thread of their own that reads them.

What Python calls a signal handler runs in the main thread, between any two of its steps: also while
that thread holds a lock that the handler would wait for, for ever. So ours do nothing. The numbers
are written by the interpreter's own handler, in C, which takes no lock (`signal.set_wakeup_fd`).
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

_ENOUGH: Final = 256


def heed(told: Callable[[signal.Signals], None], *watched: signal.Signals) -> None:
    """Tell of each of these signals, in a thread of its own, until the process ends.

    They lose their usual effect. Main thread only, and once.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in watched:
        signal.signal(number, _noted_in_c)
    threading.Thread(target=_listen, args=(reading, told), name="signals", daemon=True).start()


def _noted_in_c(_number: int, _frame: FrameType | None) -> None:
    """Without some function here there would be no number in the pipe."""


def _listen(reading: int, told: Callable[[signal.Signals], None]) -> None:
    while True:
        for number in os.read(reading, _ENOUGH):
            told(signal.Signals(number))
