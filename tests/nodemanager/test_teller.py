"""What is true right now is told soon, or not at all; nothing piles up and nobody waits."""

from fakes.clock import HandTurnedClock
from fakes.registrar import FakeRegistrar, silence
from fakes.workers import HandWorkers
from nodemanager.machine import FACTS, Machine
from tashi.domain.guest import Glimpse, Progress, Stats
from tashi.domain.identity import InstanceId, Operation
from tashi.domain.states import Order
from tashi.nodemanager.inbox import Inbox
from tashi.nodemanager.teller import MOST_GUESTS_AT_ONCE, Teller
from tashi.wire.forms import SessionForm

STATS = Stats(seconds=15.0, cpu_load=0.5, rss=1000, vsize=2000)


class Bench:
    """A teller to a cluster manager of the test's."""

    def __init__(self) -> None:
        self.workers = HandWorkers(HandTurnedClock())
        self.registrar = FakeRegistrar()
        self.inbox = Inbox()
        self.session = self.registrar.register(FACTS, register=False)
        self.is_open = True
        self.teller = Teller(self.registrar, self.workers, self.inbox.post, self._open_session)

    def _open_session(self) -> SessionForm | None:
        return self.session if self.is_open else None

    def settle(self) -> None:
        self.inbox.turn(0.0)
        while self.workers.run_all():
            self.inbox.turn(0.0)


def far(done: int, key: int = 7, operation: int = 1) -> Glimpse:
    progress = Progress(done=done, total=100)
    return Glimpse(instance_id=InstanceId(key), operation=Operation(operation), progress=progress)


def used(key: int = 7, operation: int = 1) -> Glimpse:
    return Glimpse(instance_id=InstanceId(key), operation=Operation(operation), stats=STATS)


def test_what_is_told_arrives() -> None:
    bench = Bench()

    bench.teller.tell([far(10), used(8)])
    bench.settle()

    assert bench.registrar.told == [far(10), used(8)]


def test_nothing_to_tell_is_not_told() -> None:
    bench = Bench()

    bench.teller.tell([])

    assert bench.workers.run_all() == 0


def test_while_one_message_is_under_way_only_the_latest_waits() -> None:
    bench = Bench()

    for done in (10, 20, 30):
        bench.teller.tell([far(done)])
    bench.settle()

    assert bench.registrar.told == [far(10), far(30)]


def test_what_the_later_does_not_speak_of_is_told_with_it() -> None:
    bench = Bench()

    bench.teller.tell([far(0, key=1)])
    bench.teller.tell([used()])
    bench.teller.tell([far(20)])
    bench.teller.tell([used()])
    bench.settle()

    both = Glimpse(
        instance_id=InstanceId(7), operation=Operation(1), stats=STATS, progress=far(20).progress
    )
    assert bench.registrar.told == [far(0, key=1), both]


def test_the_progress_of_an_operation_that_is_over_is_not_told_for_the_next() -> None:
    bench = Bench()

    bench.teller.tell([far(0, key=1)])
    bench.teller.tell([far(20)])
    bench.teller.tell([used(operation=2)])
    bench.settle()

    assert bench.registrar.told == [far(0, key=1), used(operation=2)]


def test_what_nobody_hears_is_dropped_and_the_next_is_told() -> None:
    bench = Bench()
    bench.registrar.mishaps = [silence()]

    bench.teller.tell([far(10)])
    bench.settle()
    bench.teller.tell([far(20)])
    bench.settle()

    assert bench.registrar.told == [far(20)]


def test_without_a_session_nothing_is_told_and_nothing_is_kept() -> None:
    bench = Bench()
    bench.is_open = False

    bench.teller.tell([far(10)])
    bench.is_open = True
    bench.teller.tell([far(20, key=8)])
    bench.settle()

    assert bench.registrar.told == [far(20, key=8)]


def test_a_session_that_is_over_costs_no_more_than_what_was_told_in_it() -> None:
    bench = Bench()
    bench.registrar.end_session()

    bench.teller.tell([far(10)])
    bench.settle()

    assert bench.registrar.told == []


def test_many_guests_are_told_of_in_pieces() -> None:
    bench = Bench()
    keys = range(1, MOST_GUESTS_AT_ONCE + 2)

    bench.teller.tell([used(key) for key in keys])
    bench.settle()

    assert [one.instance_id for one in bench.registrar.told] == list(keys)


def test_the_progress_of_a_save_is_told_under_its_operation() -> None:
    machine = Machine()
    machine.begin()
    machine.tell(machine.order(Order.START))
    save = machine.order(Order.SAVE)

    machine.tell(save)

    [glimpse] = machine.registrar.told
    assert (glimpse.instance_id, glimpse.operation) == (save.instance_id, save.operation)
    assert glimpse.progress is not None
    assert 0 < glimpse.progress.done < glimpse.progress.total
