"""The machine's two clocks, as `tashi.ports.clock` promises them."""

import time


class SystemClock:
    """A Clock that reads the kernel's."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment, also those in which the machine was suspended.

        A leader that was asleep is to know that another may lead by now (decision 0025).
        """
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()
