"""What users used, worked out from events as `tashi-client watch --output json` prints them.

    python -I -S usage_by_hand.py BEGIN END < events

An independent reckoning for tests to hold Tashi's own against. It imports nothing of Tashi and goes
another way: it lays out each instance's whole life first, and measures it afterwards.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

PAID = {
    *("Running", "Pausing", "Paused", "Unpausing", "Suspending"),
    *("MigratePrep", "MigrateTrans", "Altering", "ShuttingDown"),
}
Life = list[tuple[float, Any]]


def lives(lines: Iterable[str]) -> dict[int, Life]:
    """For each instance the moments at which something became of it, and what."""
    found: dict[int, Life] = defaultdict(list)
    for line in lines:
        event = json.loads(line)
        if event["kind"] == "instance":
            found[event["key"]].append((event["at"], event.get("instance")))
    return found


def reckon(lines: Iterable[str], begin: float, end: float) -> dict[int, list[float]]:
    """For each user: how many instances, their seconds, core seconds and MiB seconds."""
    used: dict[int, list[float]] = defaultdict(lambda: [0, 0.0, 0.0, 0.0])
    for life in lives(lines).values():
        owner, total = -1, [0.0, 0.0, 0.0]
        for (since, stood), (until, _) in pairwise([*life, (end, None)]):
            if stood is None or stood["state"] not in PAID:
                continue
            seconds = max(0.0, min(until, end) - max(since, begin))
            owner = stood["userId"]
            total[0] += seconds
            total[1] += seconds * stood["cores"]
            total[2] += seconds * stood["memory"]
        if total[0] > 0:
            sums = used[owner]
            used[owner] = [sums[0] + 1, *(a + b for a, b in zip(sums[1:], total, strict=True))]
    return used


if __name__ == "__main__":
    reckoned = reckon(sys.stdin, float(sys.argv[1]), float(sys.argv[2]))
    sys.stdout.write(json.dumps(reckoned))
