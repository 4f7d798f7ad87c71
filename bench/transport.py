"""Calls per second and latency of Tashi's rpyc server, beside rpyc's own ThreadedServer.

Usage: bench/transport.py [--quick] [--output table|json]

Both servers echo the same 300 bytes, each in a process of its own, over TCP on loopback. The
clients are raw connections on one epoll loop, so that their cost is small and the same for both.
Rounds alternate between the servers; the figures are medians over the rounds. `promised` is Tashi's
server with a handler that answers every request through a Future, completed by one other thread, as
the cluster manager's does. `tashi over TLS` is Tashi's server with certificates; `to plain` is the
ratio to the same server without.
"""

from itertools import repeat

from instruments import report
from instruments.callers import Round, call_for
from instruments.servers import PROMISED, RPYC, SECURE, TASHI, running

REQUEST = b"x" * 300
SERVERS = (RPYC, TASHI, PROMISED, SECURE)
CONNECTIONS = (1, 8, 64)


def compare(connections: int, rounds: int, seconds: float) -> list[report.Row]:
    """One row for each server, with the ratio to rpyc's own."""
    measured: dict[str, list[Round]] = {name: [] for name in SERVERS}
    for _ in range(rounds):
        for name in SERVERS:
            with running(name) as server:
                asked = [repeat(REQUEST)] * connections
                measured[name].append(
                    call_for(
                        seconds, server.port, asked, server=server.pid, over_tls=name == SECURE
                    )
                )
    rates = {name: report.median(one.per_second for one in measured[name]) for name in SERVERS}
    return [row(name, connections, every, rates) for name, every in measured.items()]


def row(name: str, connections: int, every: list[Round], rates: dict[str, float]) -> report.Row:
    """The figures of one server."""
    return {
        "server": name,
        "connections": connections,
        "calls/s": round(rates[name]),
        "ratio": round(rates[name] / rates[RPYC], 2),
        "to plain": round(rates[name] / rates[TASHI], 2),
        "median ms": report.median((one.median_ms for one in every), 3),
        "p99 ms": report.median((one.p99_ms for one in every), 2),
        "cpu us": report.median(one.cpu_us for one in every),
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
