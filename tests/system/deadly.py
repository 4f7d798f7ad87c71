"""A cluster manager that dies, as by `kill -9`, when it comes to a step for the so-many-th time.

    deadly.py STEP TIMES

The steps are those of the store and of the ledger. A flat file is begun anew after little growth,
so that the swap of a snapshot is met often, also while it holds many answers.
"""

import os
import signal
import sys
import threading
from functools import partial
from typing import Final

from tashi.adapters.store.flatfile import FlatFile
from tashi.programs import daemon
from tashi.programs.clustermanager import ClusterManagerDaemon
from tashi.programs.directories import base_data
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.parts import DATABASE
from tashi.settings.sections.stores import PickledSettings

GROWTH: Final = 0.02
LEAST_GROWTH: Final = 6_000
LEDGER_STEPS: Final = ("committed", "published", "dispatched")


class Countdown:
    """Counts one step down, whichever thread comes to it, and kills this process at the last."""

    def __init__(self, deadly: str, times: int) -> None:
        self._deadly = deadly
        self._left = times
        self._lock = threading.Lock()

    def __call__(self, step: str) -> None:
        if step != self._deadly:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def build(on_step: Countdown, settings: Settings) -> ClusterManagerDaemon:
    """The daemon as its program builds it; a flat file is one that is soon begun anew."""
    if base_data(settings) == DATABASE:
        return ClusterManagerDaemon(settings, on_step)
    file = settings.of(PickledSettings).file
    store = FlatFile(file, on_step=on_step, growth=GROWTH, least_growth=LEAST_GROWTH)
    return ClusterManagerDaemon(settings, on_step, store=store)


def main(deadly: str, times: str) -> int:
    """Run until the step, or until told to end."""
    words = "A cluster manager that is about to die."
    countdown = Countdown(deadly, int(times))
    return daemon.run(
        "clustermanager", words, Program.CLUSTER_MANAGER, partial(build, countdown), []
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
