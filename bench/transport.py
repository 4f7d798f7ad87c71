"""Calls per second and latency of Tashi's rpyc server, beside rpyc's own ThreadedServer.

Usage: bench/transport.py [--quick] [--output table|json]

Both servers echo the same 300 bytes, each in a process of its own, over plain TCP on loopback. The
clients are raw connections on one epoll loop, so that their cost is small and the same for both.
Rounds alternate between the servers; the figures are medians over the rounds. `promised` is Tashi's
server with a handler that answers every request through a Future, completed by one other thread, as
the cluster manager's does.
"""

from itertools import repeat

from instruments import report
from instruments.callers import Round, call_for
from instruments.servers import PROMISED, RPYC, TASHI, running

REQUEST = b"x" * 300
SERVERS = (RPYC, TASHI, PROMISED)
CONNECTIONS = (1, 8, 64)


def compare(connections: int, rounds: int, seconds: float) -> list[report.Row]:
    """One row for each server, with the ratio to rpyc's own."""
    measured: dict[str, list[Round]] = {name: [] for name in SERVERS}
    for _ in range(rounds):
        for name in SERVERS:
            with running(name) as port:
                measured[name].append(call_for(seconds, port, [repeat(REQUEST)] * connections))
    base = report.median(one.per_second for one in measured[RPYC])
    return [row(name, connections, every, base) for name, every in measured.items()]


def row(name: str, connections: int, every: list[Round], base: float) -> report.Row:
    """The figures of one server."""
    rate = report.median(one.per_second for one in every)
    return {
        "server": name,
        "connections": connections,
        "calls/s": round(rate),
        "ratio": round(rate / base, 2),
        "median ms": report.median((one.median_ms for one in every), 3),
        "p99 ms": report.median((one.p99_ms for one in every), 2),
    }


def main() -> None:
    """Measure and print."""
    chosen = report.command_line(__doc__).parse_args()
    rounds, seconds = (3, 1.0) if chosen.quick else (7, 3.0)
    about: report.Row = {
        "echoed bytes": len(REQUEST),
        "rounds": rounds,
        "seconds": seconds,
        "baseline": RPYC,
    }
    rows = [row for connections in CONNECTIONS for row in compare(connections, rounds, seconds)]
    report.Report("transport", about, rows).show(chosen.output)


if __name__ == "__main__":
    main()
