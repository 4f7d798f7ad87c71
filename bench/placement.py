"""How long one placement decision takes, beside a scan of all hosts.

Usage: bench/placement.py [--quick] [--output table|json]

Two clusters, 100 hosts with 1,000 instances and 1,000 hosts with 10,000, most of them with no host
to spare for a large instance. Both sides decide about the same waiting instances, in turns:

* ours: `plan` with the ranking that the scheduler keeps, including the draft of the books;
* scan: ask the filters about every host, take the best of those that remain.

Times are medians in microseconds. `refresh` is what a change of one host costs the ranking, and
`batch` what one instance costs in a plan for 256. `hopeless` is a plan for 1,000 instances that fit
nowhere, per instance.
"""

import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from time import perf_counter

from instruments import report
from tashi.domain.books import Books, books_of
from tashi.domain.host import Host
from tashi.domain.identity import HostId, InstanceId, Mib, UserId
from tashi.domain.instance import Instance
from tashi.domain.placement.filters import Policy, first_refusal
from tashi.domain.placement.plan import Round, plan
from tashi.domain.placement.ranking import Ranking
from tashi.domain.states import InstanceState

POLICY = Policy(version="1.0")
SIZES = ((100, 1_000), (1_000, 10_000))
GIB = 1024
NOTES = ("ratio: how many times longer the scan takes than ours, in the same run",)


def cluster(hosts: int, instances: int) -> Books:
    """A well filled cluster: ten instances a host on average, of mixed sizes, spread at random."""
    chance = random.Random(hosts)
    machines = [
        Host(id=HostId(n), name=f"n{n}", up=True, memory=Mib(64 * GIB), cores=64, version="1.0")
        for n in range(1, hosts + 1)
    ]
    books = books_of(machines)
    for n in range(1, instances + 1):
        one = waiting(n, chance.choice((1, 2, 4)), chance.choice((1, 2, 4, 8)) * GIB)
        home = HostId(chance.randint(1, hosts))
        books = books.put(replace(one, state=InstanceState.RUNNING, host_id=home))
    return books


def waiting(number: int, cores: int, memory: int) -> Instance:
    """An instance that waits for a host."""
    return Instance(
        id=InstanceId(number), name=f"i{number}", user_id=UserId(number % 20),
        cores=cores, memory=Mib(memory), disks=(),
    )  # fmt: skip


def by_scan(books: Books, one: Instance) -> HostId | None:
    """The straightforward way: look at every host."""
    fitting = [h for h in books.hosts.values() if first_refusal(books, h, one, POLICY) is None]
    if not fitting:
        return None
    return min(fitting, key=lambda h: (books.used(h.id).memory - h.memory, h.id)).id


def microseconds(work: Callable[[], object]) -> float:
    """How long the work takes, once."""
    began = perf_counter()
    work()
    return (perf_counter() - began) * 1e6


def measure(hosts: int, instances: int, rounds: int) -> report.Row:
    """All figures of one cluster; stops if the two sides ever disagree."""
    books = cluster(hosts, instances)
    ranking = Ranking(books, POLICY)
    ours, scan = [], []
    for one in questions(instances, rounds):
        asked = books.put(one)
        found = plan(asked, ranking, Round([one.id]), POLICY).proposals
        if (found[0].host_id if found else None) != by_scan(asked, one):
            raise SystemExit(f"The two ways disagree about {one}.")
        ours.append(microseconds(partial(plan, asked, ranking, Round([one.id]), POLICY)))
        scan.append(microseconds(partial(by_scan, asked, one)))
    middle, by_scanning = report.median(ours), report.median(scan)
    return {
        "hosts": hosts,
        "instances": instances,
        "ours us": middle,
        "worst us": round(max(ours), 1),
        "scan us": by_scanning,
        "ratio": round(by_scanning / middle, 1),
        "batch us": round(many(books, ranking, instances, [(1, 256)] * 256), 1),
        "hopeless us": round(many(books, ranking, instances, [(65, 256)] * 1_000), 1),
        "refresh us": round(refreshing(books, rounds), 1),
    }


def questions(instances: int, rounds: int) -> Iterator[Instance]:
    """Waiting instances of mixed sizes."""
    chance = random.Random(rounds)
    for n in range(rounds):
        yield waiting(instances + 1 + n, chance.choice((1, 2, 4)), chance.choice((1, 2, 8)) * GIB)


def many(books: Books, ranking: Ranking, instances: int, sizes: list[tuple[int, int]]) -> float:
    """What one instance costs in a plan for many."""
    ones = [waiting(instances + 1 + n, *size) for n, size in enumerate(sizes)]
    for one in ones:
        books = books.put(one)
    ids = [one.id for one in ones]
    return microseconds(partial(plan, books, ranking, Round(ids), POLICY)) / len(sizes)


def refreshing(books: Books, rounds: int) -> float:
    """What it costs to tell the ranking that a host changed; the change itself is not counted."""
    ranking = Ranking(books, POLICY)
    chance = random.Random(rounds)
    times = []
    for _ in range(rounds):
        host = HostId(chance.randint(1, len(books.hosts)))
        record = books.hosts[host]
        changed = books.put(replace(record, memory=Mib(record.memory - chance.randint(1, GIB))))
        times.append(microseconds(partial(ranking.refresh, changed, host)))
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    chosen = report.command_line(__doc__).parse_args()
    rounds = 100 if chosen.quick else 1_000
    rows = [measure(hosts, instances, rounds) for hosts, instances in SIZES]
    about: report.Row = {"rounds": rounds, "baseline": "scan", "times": "microseconds"}
    report.Report("placement", about, rows, NOTES).show(chosen.output)


if __name__ == "__main__":
    main()
