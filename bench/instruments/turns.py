"""The rate of something that is done again and again by one program."""

import time
from collections.abc import Callable


def in_turns(act: Callable[[], object], seconds: float) -> float:
    """How often a second it is done, each time after the other, tried for so many seconds."""
    done, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds:
        act()
        done += 1
    return done / taken
