"""Writes `doc/metrics.md` from the rows of `metrics`."""

from tashi.domain.metrics import METRICS, Metric

_HEAD = """\
# What Tashi measures

This page is made by `make docs` from `src/tashi/domain/metrics.py`. How metrics are shown and to
whom they are told is in [operations.md](operations.md#metrics). A histogram of seconds is three
series, `…_bucket`, `…_sum` and `…_count`. Prometheus also finds what its own library tells of every
process (`process_cpu_seconds_total`, `process_resident_memory_bytes` …); Ganglia is told gauges and
counters, with the labels' words as part of the name.

Calls that wait for news by design (`watch`, `getJob`) are measured like others: leave them out of
whatever looks for slow calls.
"""


def page() -> str:
    """The page, in Markdown."""
    parts = [_HEAD]
    for daemon, metrics in METRICS.items():
        parts.append(f"\n## {daemon}\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n")
        parts += [_row(metric) for metric in metrics]
    return "".join(parts)


def _row(metric: Metric) -> str:
    labels = ", ".join(metric.labels) or "-"
    return f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.words} |\n"


if __name__ == "__main__":
    print(page(), end="")
