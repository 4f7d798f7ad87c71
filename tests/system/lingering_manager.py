"""A cluster manager that lingers between answering whoever asked for a change and the batch's end.

    lingering_manager.py FILE

It does for as long as there is that file; only then does it write by itself what the log is to say.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tashi.programs import daemon, heldlines
from tashi.programs.clustermanager import ClusterManagerDaemon
from tashi.settings.load import Settings
from tashi.settings.search import Program

_LOOK_AGAIN_SECONDS: Final = 0.01


@contextmanager
def lingering(
    wish: Path, asked: list[str], held: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Hold lines as `held` does, and longer when somebody has asked for something."""
    with held():
        asked.clear()
        yield
        while asked and wish.exists():
            time.sleep(_LOOK_AGAIN_SECONDS)


def build(wish: Path, settings: Settings) -> ClusterManagerDaemon:
    """The daemon as its program builds it."""
    asked: list[str] = []

    def note(record: logging.LogRecord) -> bool:
        asked.append(record.name)
        return True

    logging.getLogger("tashi.audit").addFilter(note)
    heldlines.held = partial(lingering, wish, asked, heldlines.held)
    return ClusterManagerDaemon(settings)


def main(wish: str) -> int:
    """Run until told to end."""
    words = "A cluster manager that may linger."
    made = partial(build, Path(wish))
    return daemon.run("clustermanager", words, Program.CLUSTER_MANAGER, made, [])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
