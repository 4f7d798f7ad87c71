"""The machine's two clocks, as `tashi.ports.clock` promises them."""

import time


class SystemClock:
    """A Clock that reads the kernel's."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()
