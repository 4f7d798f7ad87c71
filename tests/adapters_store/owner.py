"""An owner of a flat file that says which commits were acknowledged, and dies where it is told.

    owner.py FILE STEP TIMES

kills itself, as by `kill -9`, when it comes to that step for the so-many-th time. With `never` as
the step it goes on until somebody else kills it.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path

from contracts.commits import a_commit, an_instance
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.store.steps import Step
from tashi.domain.journal import Commit, Put

LEAST_GROWTH = 3000


def nth_commit(number: int) -> Commit:
    """What this owner commits under that number: few records, so that most of it is forgotten."""
    instance = an_instance(number % 7 + 1, f"web-{number}")
    return a_commit(number, Put(instance), forget=max(0, number - 5))


def main(file: str, deadly: str, times: str) -> None:
    left = int(times)

    def on_step(step: Step) -> None:
        nonlocal left
        left -= step == deadly
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    store = FlatFile(Path(file), on_step=on_step, least_growth=LEAST_GROWTH)
    for number in count(store.load().number + 1):
        store.commit(nth_commit(number))
        os.write(sys.stdout.fileno(), b"%d\n" % number)


if __name__ == "__main__":
    main(*sys.argv[1:])
