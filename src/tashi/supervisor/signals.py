"""Signals as bytes in a pipe, so that they can be waited for like everything else."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENOUGH = 256


@contextmanager
def as_bytes(*watched: signal.Signals) -> Iterator[int]:
    """Give a descriptor that becomes readable when a watched signal arrives, one byte for each.

    The signals lose their usual effect meanwhile. Main thread only.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = {number: signal.signal(number, lambda *_: None) for number in watched}
    woken_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(woken_before)
        for number, effect in before.items():
            signal.signal(number, effect)
        os.close(reading)
        os.close(writing)


def arrived(descriptor: int) -> list[signal.Signals]:
    """Return the signals that have arrived since the last call, in their order."""
    return [signal.Signals(number) for number in os.read(descriptor, ENOUGH)]
