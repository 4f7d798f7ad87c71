"""Everything that Tashi's daemons measure: one row each, from which adapters and pages are made.

Names follow Prometheus's rules (base units in the name, `_total` for what only grows). A daemon
tells only the rows that are its own. Counters and durations are told when something happens; a
gauge's *readings* are asked for when somebody wants to see them.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """How values of a metric follow each other."""

    GAUGE = "gauge"
    """Goes up and down."""
    COUNTER = "counter"
    """Only grows, and begins anew with its daemon."""
    DURATION = "histogram"
    """How many took how many seconds."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is measured; every value of it carries a word for each of the labels."""

    name: str
    kind: Kind
    words: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a gauge, with its labels' words in their order."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


_GUEST: Final = ("name", "id", "host", "user_id")
"""The instance's; a label `instance` would meet Prometheus's own, which is the daemon's address."""

BUILD: Final = Metric("tashi_build", Kind.GAUGE, "Always 1; says the version.", ("version",))
CERTIFICATE: Final = Metric(
    "tashi_certificate_end_timestamp_seconds",
    Kind.GAUGE,
    "When the daemon's certificate ends, in seconds since 1970, with authAndEncrypt.",
)
LOG_LINES: Final = Metric(
    "tashi_log_lines_total",
    Kind.COUNTER,
    "Lines that were logged, if publisherHandler is among the handlers.",
    ("level",),
)
CALLS: Final = Metric(
    "tashi_call_seconds",
    Kind.DURATION,
    "From a request's arrival to its answer; outcome is answered, refused or failed.",
    ("call", "outcome"),
)

COMMITS: Final = Metric("tashi_commit_seconds", Kind.DURATION, "How long the store took to commit.")
FAILED_COMMITS: Final = Metric(
    "tashi_failed_commits_total", Kind.COUNTER, "Commits that the store refused or lost."
)
STARTS: Final = Metric(
    "tashi_start_seconds", Kind.DURATION, "From a host's being chosen to the guest's running."
)
WAITS: Final = Metric(
    "tashi_wait_seconds", Kind.DURATION, "From an instance's waiting to a host's being chosen."
)
EVENTS: Final = Metric("tashi_next_event", Kind.GAUGE, "The number of the next event.")
EPOCH: Final = Metric("tashi_epoch", Kind.GAUGE, "How many reigns of cluster managers there were.")
INSTANCES: Final = Metric("tashi_instances", Kind.GAUGE, "Instances in that state.", ("state",))
LONGEST_WAIT: Final = Metric(
    "tashi_longest_wait_seconds", Kind.GAUGE, "How long the oldest instance that waits has done so."
)
LONGEST_MOVE: Final = Metric(
    "tashi_longest_order_seconds", Kind.GAUGE, "How long the oldest order has been under way."
)
JOBS: Final = Metric("tashi_jobs", Kind.GAUGE, "Jobs on images that are under way.")
HOSTS: Final = Metric(
    "tashi_hosts", Kind.GAUGE, "Hosts in that state; up is yes or no.", ("state", "up")
)
HOST_UP: Final = Metric("tashi_host_up", Kind.GAUGE, "1 when the host is heard.", ("host",))
HOST_MEMORY: Final = Metric(
    "tashi_host_memory_bytes", Kind.GAUGE, "Memory that the host offers to guests.", ("host",)
)
HOST_MEMORY_USED: Final = Metric(
    "tashi_host_memory_used_bytes", Kind.GAUGE, "Memory that instances have there.", ("host",)
)
HOST_CORES: Final = Metric("tashi_host_cores", Kind.GAUGE, "Cores that the host has.", ("host",))
HOST_CORES_USED: Final = Metric(
    "tashi_host_cores_used", Kind.GAUGE, "Cores that instances have there.", ("host",)
)
GUEST_CPU: Final = Metric(
    "tashi_guest_cpu_cores", Kind.GAUGE, "Cores that the guest keeps busy.", _GUEST
)
GUEST_MEMORY: Final = Metric(
    "tashi_guest_resident_bytes", Kind.GAUGE, "Memory of the host that its QEMU has.", _GUEST
)
GUEST_READ: Final = Metric(
    "tashi_guest_disk_read_bytes_per_second", Kind.GAUGE, "What it reads from disks.", _GUEST
)
GUEST_WRITTEN: Final = Metric(
    "tashi_guest_disk_written_bytes_per_second", Kind.GAUGE, "What it writes to disks.", _GUEST
)
GUEST_RECEIVED: Final = Metric(
    "tashi_guest_received_bytes_per_second", Kind.GAUGE, "What its network cards receive.", _GUEST
)
GUEST_SENT: Final = Metric(
    "tashi_guest_sent_bytes_per_second", Kind.GAUGE, "What its network cards send.", _GUEST
)

GUESTS: Final = Metric("tashi_guests", Kind.GAUGE, "Guests on this host by state.", ("state",))
UNHEARD: Final = Metric(
    "tashi_unheard_reports", Kind.GAUGE, "Reports that the cluster manager has yet to hear."
)

PROPOSALS: Final = Metric(
    "tashi_proposals_total",
    Kind.COUNTER,
    "Hosts proposed for instances; verdict is accepted or refused.",
    ("verdict",),
)
PLANS: Final = Metric("tashi_plan_seconds", Kind.DURATION, "How long choosing hosts took.")
UNPLACED: Final = Metric(
    "tashi_unplaced_instances", Kind.GAUGE, "Waiting instances that fit on no host now."
)

JOURNAL_NEXT: Final = Metric(
    "tashi_journal_next_event", Kind.GAUGE, "The number of the event that the journal has next."
)
OUTLET_EVENT: Final = Metric(
    "tashi_outlet_event", Kind.GAUGE, "The last event that was passed on there.", ("outlet",)
)
OUTLET_FAILING: Final = Metric(
    "tashi_outlet_failing", Kind.GAUGE, "1 while events cannot be passed on there.", ("outlet",)
)

EVERY_DAEMON: Final = (BUILD, CERTIFICATE, LOG_LINES)
METRICS: Final = {
    "clustermanager": (
        *EVERY_DAEMON,
        CALLS,
        COMMITS,
        FAILED_COMMITS,
        STARTS,
        WAITS,
        EVENTS,
        EPOCH,
        INSTANCES,
        LONGEST_WAIT,
        LONGEST_MOVE,
        JOBS,
        HOSTS,
        HOST_UP,
        HOST_MEMORY,
        HOST_MEMORY_USED,
        HOST_CORES,
        HOST_CORES_USED,
        GUEST_CPU,
        GUEST_MEMORY,
        GUEST_READ,
        GUEST_WRITTEN,
        GUEST_RECEIVED,
        GUEST_SENT,
    ),
    "nodemanager": (*EVERY_DAEMON, CALLS, GUESTS, UNHEARD),
    "scheduler": (*EVERY_DAEMON, PROPOSALS, PLANS, UNPLACED),
    "accounting": (*EVERY_DAEMON, JOURNAL_NEXT, OUTLET_EVENT, OUTLET_FAILING),
}
"""What each daemon tells, in the order of the page."""
