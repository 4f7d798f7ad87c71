"""What a call costs the cluster manager in a full cluster, beside the same call in an empty one.

Usage: bench/growth.py [--quick] [--output table|json]

Two cluster managers in this process, their books in memory and their nodes played: one has a single
host and no instance, the other 1,000 hosts with 10,000 running instances and as many events. Both
answer the same calls, from the bytes of the request to those of the answer, in groups of 64 that
share a commit, in turns. Times are the processor's, in microseconds for each call; sockets and
disks are left out, for they do not know how large the cluster is.
"""

import gc
from collections.abc import Iterator, Sequence
from typing import Final

from instruments import played, report
from tashi.domain.identity import InstanceId, UserId
from tashi.domain.permissions import Caller, Role
from tashi.wire import forms

GROUP: Final = 64
EMPTY, FULL = (1, 0), (1_000, 10_000)
USER: Final = Caller(Role.USER, UserId(1000))
SCHEDULER: Final = Caller(Role.SCHEDULER)
NOTES: Final = (
    "a call's ratio says how much dearer the full cluster makes it; 1.0 is the aim",
    "tick: what the passing of a second costs, once",
)


def life(side: played.Manager) -> Iterator[tuple[str, float]]:
    """A group of instances comes, starts, is looked at and goes; each call and its cost."""
    wished = [
        forms.NewInstanceForm(name=f"w{number}", disks=(forms.DiskForm(played.IMAGE),))
        for number in range(GROUP)
    ]
    cost, answers = side.ask([side.request("createVm", USER, instance=one) for one in wished])
    yield "createVm", cost
    keys = [played.result(forms.InstanceForm, one).id for one in answers]
    host = side.session.host_id
    cost, _ = side.ask(
        [side.request("activateVm", SCHEDULER, instance_id=key, host_id=host) for key in keys]
    )
    yield "activateVm", cost
    yield "reportNode (started)", _report(side, keys, "Started")
    yield "reportNode (nothing)", _report(side, [None] * GROUP, "")
    since = side.manager.ledger.published.next_event - 1
    cost, _ = side.ask([side.request("watch", USER, since=since, timeout=1.0)] * GROUP)
    yield "watch", cost
    cost, _ = side.ask([side.request("getInstances", USER, instance_id=key) for key in keys])
    yield "getInstances --instance", cost
    cost, _ = side.ask([side.request("destroyVm", USER, instance_id=key) for key in keys])
    yield "destroyVm", cost
    yield "reportNode (ended)", _report(side, keys, "GuestEnded")
    yield "reportNode (cleared)", _report(side, keys, "Cleared")
    if len(side.manager.ledger.books.instances) != side.running:
        raise SystemExit("What was destroyed is not gone.")
    yield "tick", side.tick()


def _report(side: played.Manager, keys: Sequence[int | None], kind: str) -> float:
    books = side.manager.ledger.books
    requests = []
    for key in keys:
        record = None if key is None else books.instances[InstanceId(key)]
        reports = () if record is None else (
            forms.ReportForm(kind, record.id, record.attempt, record.operation, vm_id=7),
        )  # fmt: skip
        requests.append(
            side.request(
                "reportNode", played.NODE, session=side.session, number=next(side.reports),
                reports=reports,
            )
        )  # fmt: skip
    return side.ask(requests)[0]


def main() -> None:
    """Measure and print."""
    chosen = report.command_line(__doc__).parse_args()
    rounds = 20 if chosen.quick else 200
    sides = {"empty": played.Manager(*EMPTY), "full": played.Manager(*FULL)}
    gc.collect()
    gc.freeze()
    costs: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for name, side in sides.items():
            for call, cost in life(side):
                costs.setdefault(call, {}).setdefault(name, []).append(cost)
    rows: list[report.Row] = []
    for call, by_side in costs.items():
        empty, full = (report.median(by_side[name]) for name in ("empty", "full"))
        rows.append(
            {"call": call, "empty us": empty, "full us": full, "ratio": round(full / empty, 2)}
        )
    about: report.Row = {
        "full": f"{FULL[0]} hosts, {FULL[1]} instances",
        "rounds": rounds,
        "group": GROUP,
    }
    report.Report("growth", about, rows, NOTES).show(chosen.output)


if __name__ == "__main__":
    main()
