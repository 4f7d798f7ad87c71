"""What there is to see of the cluster right now, as readings of its metrics; pure.

It goes over all of the books: a program asks for it when somebody looks, and not too often.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from tashi.domain import metrics
from tashi.domain.books import Books
from tashi.domain.guest import Stats
from tashi.domain.host import Host
from tashi.domain.instance import Instance
from tashi.domain.metrics import Reading
from tashi.domain.states import HostState, InstanceState, Phase, facts

_MIB = 2**20


def readings(
    books: Books, stats: Callable[[Instance], Stats | None], now: float
) -> Iterator[Reading]:
    """Everything about these books at `now` (seconds since 1970); `stats` is what guests use."""
    instances = [one for one in books.instances.values() if one.state is not InstanceState.EXITED]
    yield from _of_instances(instances, now)
    yield from _of_hosts(books)
    for instance in instances:
        used = stats(instance)
        host = None if instance.host_id is None else books.hosts.get(instance.host_id)
        if used is not None and host is not None:
            yield from _of_guest(instance, host.name, used)


def _of_instances(instances: list[Instance], now: float) -> Iterator[Reading]:
    numbers = Counter(one.state for one in instances)
    for state in InstanceState:
        yield Reading(metrics.INSTANCES, numbers[state], (state.title,))
    for metric, phase in (
        (metrics.LONGEST_WAIT, Phase.WAITING),
        (metrics.LONGEST_MOVE, Phase.MOVING),
    ):
        ages = (now - one.changed_at for one in instances if facts(one.state).phase is phase)
        yield Reading(metric, max(0.0, max(ages, default=0.0)))


def _of_hosts(books: Books) -> Iterator[Reading]:
    numbers = Counter((one.state, one.up) for one in books.hosts.values())
    for state in HostState:
        for up in (True, False):
            yield Reading(metrics.HOSTS, numbers[state, up], (state.title, "yes" if up else "no"))
    for host in books.hosts.values():
        yield from _of_host(host, books)


def _of_host(host: Host, books: Books) -> Iterator[Reading]:
    used = books.used(host.id)
    for metric, value in (
        (metrics.HOST_UP, float(host.up)),
        (metrics.HOST_MEMORY, host.memory * _MIB),
        (metrics.HOST_MEMORY_USED, used.memory * _MIB),
        (metrics.HOST_CORES, host.cores),
        (metrics.HOST_CORES_USED, used.cores),
    ):
        yield Reading(metric, value, (host.name,))


def _of_guest(instance: Instance, host: str, used: Stats) -> Iterator[Reading]:
    labels = (instance.name, str(instance.id), host, str(instance.user_id))
    for metric, value in (
        (metrics.GUEST_CPU, used.cpu_load),
        (metrics.GUEST_MEMORY, float(used.rss)),
        (metrics.GUEST_READ, sum(disk.read_bytes for disk in used.disks)),
        (metrics.GUEST_WRITTEN, sum(disk.written_bytes for disk in used.disks)),
        (metrics.GUEST_RECEIVED, sum(nic.received_bytes for nic in used.nics)),
        (metrics.GUEST_SENT, sum(nic.sent_bytes for nic in used.nics)),
    ):
        yield Reading(metric, value, labels)
