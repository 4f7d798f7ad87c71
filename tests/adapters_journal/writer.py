"""A node manager's notebook at work: pages are written and torn out until the process is killed.

    writer.py FOLDER

says the number of each round once its page is durable.
"""

import os
import sys
from itertools import count
from pathlib import Path

from tashi.adapters.journal.notebook import FolderNotebook
from tashi.domain.identity import Epoch, InstanceId

GUEST, PASSING = InstanceId(1), InstanceId(2)


def page(number: int) -> bytes:
    """The page of a round: as long as its number says, and the same from end to end."""
    return b"%d," % number * (number % 500 + 1)


def main(folder: str) -> None:
    notebook = FolderNotebook(Path(folder), "h1")
    for number in count(notebook.epoch() + 1):
        notebook.write(PASSING, page(number))
        notebook.write(GUEST, page(number))
        notebook.keep_epoch(Epoch(number))
        notebook.tear_out(PASSING)
        os.write(sys.stdout.fileno(), b"%d\n" % number)


if __name__ == "__main__":
    main(*sys.argv[1:])
