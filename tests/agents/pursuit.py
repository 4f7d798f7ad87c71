"""An accounting daemon at work: a history that goes on is followed until the process is killed.

    pursuit.py FOLDER

says the number of each event once the journal and the log have it, and ends with the last one.
"""

import os
import sys
from pathlib import Path

from fakes.clock import HandTurnedClock
from fakes.history import FakeHistory, instance
from fakes.workers import HandWorkers
from tashi.adapters.accounting.bookmark import Bookmark
from tashi.adapters.accounting.lines import LineLog
from tashi.adapters.accounting.reading import FolderReader
from tashi.adapters.accounting.writing import FolderWriter
from tashi.agents.delivery import LONGEST_PAUSE_SECONDS, Delivery
from tashi.agents.follower import Follower
from tashi.domain.metrics import OUTLET_EVENT
from tashi.domain.states import InstanceState as S

LAST = 400
LOG = "accounting.log"
VOLUME_BYTES = 2_000
_BEGAN = 1_700_000_000.0


def at(number: int) -> float:
    """When that event happened."""
    return _BEGAN + number


def history_to(history: FakeHistory, number: int) -> None:
    """Let happen what happens up to that event."""
    while history.next <= number:
        history.now = at(history.next)
        history.put(instance(history.next % 5 + 1, S.RUNNING), f"EVENT {history.next}")


def passed_on(delivery: Delivery) -> float:
    """Up to which event the log has them all."""
    return next(one.value for one in delivery.readings() if one.metric is OUTLET_EVENT)


def main(folder: str) -> None:
    history, clock = FakeHistory(), HandTurnedClock()
    workers = HandWorkers(clock)
    journal = FolderWriter(Path(folder))
    log = LineLog(Path(folder) / LOG, Bookmark(Path(folder) / "outlets/log.json"))
    delivery = Delivery(log, FolderReader(Path(folder)), workers)
    follower = Follower(history.calls()[0], journal, clock, VOLUME_BYTES, delivery.news)
    history_to(history, (journal.next() or 1) - 1)
    delivery.news()
    while passed_on(delivery) != LAST:
        follower.turn()
        clock.turn(LONGEST_PAUSE_SECONDS)  # whatever failed is tried again
        workers.run_all()
        os.write(sys.stdout.fileno(), b"%d\n" % history.next)
        history_to(history, min(history.next + 2, LAST))


if __name__ == "__main__":
    main(*sys.argv[1:])
