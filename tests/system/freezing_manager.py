"""A cluster manager that freezes, as by SIGSTOP, at the next of the steps that somebody wishes.

    freezing_manager.py FILE

The file holds the wish: the name of a step of the store or the ledger. It is gone once the step was
come to.
"""

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from tashi.programs import daemon
from tashi.programs.clustermanager import ClusterManagerDaemon
from tashi.settings.load import Settings
from tashi.settings.search import Program


def on_step(wish: Path, step: str) -> None:
    """Freeze here if that is wished."""
    with suppress(FileNotFoundError):
        if wish.read_text() == step:
            wish.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)


def build(wish: Path, settings: Settings) -> ClusterManagerDaemon:
    """The daemon as its program builds it."""
    return ClusterManagerDaemon(settings, partial(on_step, wish))


def main(wish: str) -> int:
    """Run until told to end."""
    words = "A cluster manager that may freeze."
    made = partial(build, Path(wish))
    return daemon.run("clustermanager", words, Program.CLUSTER_MANAGER, made, [])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
