"""What there is to see of a cluster, as readings, and how long waits and starts take."""

from dataclasses import replace

from examples import a_host, held, running, waiting
from tashi.clustermanager.gauges import readings
from tashi.clustermanager.timing import Timing
from tashi.domain import metrics
from tashi.domain.books import books_of
from tashi.domain.guest import DiskRates, NicRates, Stats
from tashi.domain.identity import EventNumber, InstanceId
from tashi.domain.instance import Instance
from tashi.domain.journal import Change, Drop, Entry, Kind, Put
from tashi.domain.metrics import Metric
from tashi.domain.states import InstanceState as S

Values = dict[tuple[Metric, tuple[str, ...]], float]
DISK = DiskRates(name="d0", reads=1, writes=1, read_bytes=10, written_bytes=20)
NIC = NicRates(mac="m", received_packets=1, sent_packets=1, received_bytes=30, sent_bytes=40)
STATS = Stats(seconds=15, cpu_load=0.5, rss=1000, vsize=2000, disks=(DISK, DISK), nics=(NIC,))


def values(*records: object, used: Stats | None = None, now: float = 0.0) -> Values:
    books = books_of(records)  # type: ignore[arg-type]
    return {(one.metric, one.labels): one.value for one in readings(books, lambda _: used, now)}


def test_instances_are_counted_by_state_and_those_that_are_over_not_at_all() -> None:
    over = replace(waiting(4), state=S.EXITED)

    found = values(waiting(1), waiting(2), running(waiting(3)), over, a_host())

    assert found[metrics.INSTANCES, ("Pending",)] == 2
    assert found[metrics.INSTANCES, ("Running",)] == 1
    assert found[metrics.INSTANCES, ("Exited",)] == found[metrics.INSTANCES, ("Held",)] == 0


def test_the_oldest_that_waits_and_the_oldest_order_are_told_apart() -> None:
    moving = replace(running(waiting(3)), state=S.SUSPENDING, changed_at=70.0)

    found = values(
        replace(waiting(1), changed_at=60.0), replace(held(2), changed_at=90.0), moving, now=100.0
    )

    assert found[metrics.LONGEST_WAIT, ()] == 40
    assert found[metrics.LONGEST_MOVE, ()] == 30


def test_a_clock_that_was_set_back_makes_no_age_negative() -> None:
    assert values(replace(waiting(1), changed_at=60.0), now=50.0)[metrics.LONGEST_WAIT, ()] == 0


def test_hosts_are_counted_and_told_with_what_is_given_out() -> None:
    silent = replace(a_host(2), up=False)

    found = values(a_host(1, memory=4096, cores=4), silent, running(waiting(3, memory=1024)))

    assert found[metrics.HOSTS, ("Normal", "yes")] == found[metrics.HOSTS, ("Normal", "no")] == 1
    assert (found[metrics.HOST_UP, ("n1",)], found[metrics.HOST_UP, ("n2",)]) == (1, 0)
    assert found[metrics.HOST_MEMORY, ("n1",)] == 4 * 2**30
    assert found[metrics.HOST_MEMORY_USED, ("n1",)] == 2**30
    assert (found[metrics.HOST_CORES, ("n1",)], found[metrics.HOST_CORES_USED, ("n1",)]) == (4, 1)


def test_a_guest_is_told_by_its_instance_with_the_sums_of_its_devices() -> None:
    found = values(running(waiting(3)), a_host(), used=STATS)

    labels = ("i3", "3", "n1", "500")
    assert found[metrics.GUEST_CPU, labels] == 0.5
    assert found[metrics.GUEST_MEMORY, labels] == 1000
    assert (found[metrics.GUEST_READ, labels], found[metrics.GUEST_WRITTEN, labels]) == (20, 40)
    assert (found[metrics.GUEST_RECEIVED, labels], found[metrics.GUEST_SENT, labels]) == (30, 40)


# ---- how long ---------------------------------------------------------------------------------


class Times:
    """A meter that remembers what took how long."""

    def __init__(self) -> None:
        self.told: list[tuple[Metric, float]] = []

    def count(self, metric: Metric, *labels: str) -> None:
        raise AssertionError(f"{metric.name} {labels} is no duration")

    def took(self, metric: Metric, seconds: float, *labels: str) -> None:
        assert labels == ()
        self.told.append((metric, seconds))

    def ask(self, source: object) -> None:
        raise AssertionError(f"{source} is no duration")


def story(*moments: tuple[float, Instance | None]) -> list[tuple[Metric, float]]:
    times = Times()
    timing = Timing(times)
    for at, record in moments:
        change: Change = Put(record) if record else Drop(Kind.INSTANCE, InstanceId(1))
        timing.note([Entry(EventNumber(1), at=0.0, line="", by="", change=change)], at)
    return times.told


def test_a_wait_ends_with_a_host_and_a_start_with_a_running_guest() -> None:
    activating = replace(waiting(1), state=S.ACTIVATING)

    told = story((1.0, waiting(1)), (4.0, activating), (4.5, running(waiting(1))))

    assert told == [(metrics.WAITS, 3.0), (metrics.STARTS, 0.5)]


def test_a_start_that_fails_is_a_new_wait() -> None:
    activating = replace(waiting(1), state=S.ACTIVATING)

    told = story((1.0, activating), (2.0, held(1)), (7.0, activating), (8.0, None))

    assert told == [(metrics.WAITS, 5.0)]


def test_other_changes_of_a_waiting_instance_do_not_begin_its_wait_anew() -> None:
    renamed = replace(waiting(1), name="other")

    told = story((1.0, waiting(1)), (3.0, renamed), (4.0, replace(renamed, state=S.ACTIVATING)))

    assert told == [(metrics.WAITS, 3.0)]


def test_what_was_under_way_at_the_beginning_is_not_timed() -> None:
    assert story((1.0, running(waiting(1))), (2.0, None)) == []
