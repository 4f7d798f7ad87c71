"""The one writer of a node: it notes first and does after, in one session at a time."""

import pytest

from nodemanager.machine import Machine
from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.domain.errors import StaleSession
from tashi.domain.guest import GuestState
from tashi.domain.identity import Epoch, InstanceId
from tashi.domain.states import Order
from tashi.ports.hypervisor import GuestSpec, Happening, News, Running
from tashi.wire.forms import SessionForm

SEVEN = InstanceId(7)


def test_orders_are_noted_before_they_are_acknowledged_and_done_after() -> None:
    machine = Machine()
    machine.begin()

    taken = machine.tell(machine.order(Order.START), settle=False)
    noted, running = dict(machine.notebook.pages()), machine.hypervisor.running()
    machine.settle()

    assert taken.result(0)
    assert list(noted) == [SEVEN]
    assert running == set()
    assert machine.hypervisor.running() == {SEVEN}
    assert machine.reported() == ["Started"]


def test_a_life_from_start_to_end_leaves_nothing_behind() -> None:
    machine = Machine()
    machine.begin()

    machine.tell(machine.order(Order.START))
    machine.tell(machine.order(Order.PAUSE))
    machine.tell(machine.order(Order.UNPAUSE))
    machine.tell(machine.order(Order.KILL))

    assert machine.reported() == ["Started", "PauseDone", "UnpauseDone", "GuestEnded"]
    assert machine.hypervisor.kept() == set()
    assert machine.notebook.pages() == {}


def test_a_batch_that_is_repeated_is_taken_up_once() -> None:
    machine = Machine()
    machine.begin()
    start = machine.order(Order.START)

    first = machine.tell(start, number=1)
    again = machine.tell(start, number=1)
    late = machine.tell(machine.order(Order.KILL), number=1)

    assert (first.result(0), again.result(0), late.result(0)) == (True, True, True)
    assert machine.hypervisor.running() == {SEVEN}
    assert machine.reported() == ["Started"]


class Busy(SimulatedHypervisor):
    """Takes its time for moves and saves: what is called back is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.called_back: list[str] = []

    def send(self, guest: InstanceId, incoming: str) -> None:
        """It leaves later."""

    def cancel(self, guest: InstanceId, what: str) -> None:
        self.called_back.append(what)


@pytest.mark.parametrize(
    ("order", "then", "what"),
    [
        (Order.SEND, Order.CANCEL_SEND, "there:7000"),
        (Order.SEND, Order.KILL, "there:7000"),
        (Order.SAVE, Order.KILL, "7-2"),
        (Order.START, Order.KILL, "7-a1"),
        (Order.PAUSE, Order.KILL, ""),
    ],
)
def test_what_is_called_back_is_named_also_before_it_has_begun(
    order: Order, then: Order, what: str
) -> None:
    busy = Busy()
    machine = Machine(hypervisor=busy)
    machine.begin()
    machine.tell(machine.order(Order.START))

    machine.tell(machine.order(order, incoming="there:7000"), settle=False)
    machine.tell(machine.order(then))

    assert busy.called_back == [what]


# ---- sessions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("epoch", "session"), [(1, 2), (1, 0), (0, 1)])
def test_orders_of_another_session_or_an_earlier_reign_are_refused(
    epoch: int, session: int
) -> None:
    machine = Machine()
    machine.begin()

    taken = machine.node.take_orders(Epoch(epoch), session, 1, [machine.order(Order.START)])
    machine.settle()

    assert isinstance(taken.exception(0), StaleSession)
    assert machine.hypervisor.kept() == set()


def test_orders_that_overtake_the_answer_to_our_hello_are_taken_once_it_is_there() -> None:
    machine = Machine()
    machine.manager.begin()

    early = machine.tell(machine.order(Order.START), session=1, number=1, settle=False)
    waiting = early.done()
    repeated = machine.tell(machine.order(Order.START), session=1, number=1, settle=False)
    stale = machine.tell(machine.order(Order.KILL), session=99, number=1, settle=False)
    machine.settle()

    assert not waiting
    assert early.result(0)
    assert repeated.result(0)
    assert isinstance(stale.exception(0), StaleSession)
    assert machine.hypervisor.running() == {SEVEN}
    assert machine.reported() == ["Started"]


def test_early_orders_stand_in_the_first_inventory() -> None:
    machine = Machine()
    machine.manager.begin()

    machine.tell(machine.order(Order.START), session=1, number=1, settle=False)
    machine.settle()

    [inventory] = machine.registrar.inventories
    assert [(one.instance_id, one.state) for one in inventory.guests] == [
        (SEVEN, GuestState.STARTING)
    ]


def test_a_new_reign_makes_the_node_open_another_session() -> None:
    machine = Machine()
    machine.begin()
    machine.registrar.epoch = 2

    same = machine.node.live_check(Epoch(1))
    machine.node.live_check(Epoch(2))
    machine.settle()

    assert same == SessionForm(1, 1, 1)
    assert machine.node.live_check(Epoch(2)) == SessionForm(1, 2, 2)
    assert machine.notebook.epoch() == 2


def test_a_check_before_the_first_session_is_answered_with_none() -> None:
    machine = Machine()
    machine.manager.begin()

    assert machine.node.live_check(Epoch(1)) == SessionForm(0, 0, 0)


def test_an_earlier_reign_is_not_followed_and_said_why(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    machine.notebook.keep_epoch(Epoch(5))

    machine.restart()

    assert machine.registrar.taken == []
    assert "tashi-admin restore" in caplog.text
    assert machine.notebook.epoch() == 5


# ---- what happens by itself ---------------------------------------------------------------------


class UnluckyHypervisor(SimulatedHypervisor):
    """Something befalls each guest in the very moment in which it runs."""

    def __init__(self, what: Happening) -> None:
        super().__init__()
        self._what = what

    def start(self, spec: GuestSpec) -> Running:
        running = super().start(spec)
        if self._what is Happening.ENDED:
            self.crash(spec.instance_id)
        else:
            self.freeze(spec.instance_id, "Its disk is full.")
        return running


@pytest.mark.parametrize(
    ("what", "then"), [(Happening.ENDED, "GuestEnded"), (Happening.FROZE, "SeenPaused")]
)
def test_what_befalls_a_guest_before_its_start_is_told_is_told_after_it(
    what: Happening, then: str
) -> None:
    machine = Machine(hypervisor=UnluckyHypervisor(what))
    machine.begin()

    machine.tell(machine.order(Order.START))

    assert machine.reported() == ["Started", then]


def test_news_of_a_guest_that_nobody_knows_is_no_news() -> None:
    machine = Machine()
    machine.begin()

    machine.node._happened(News(InstanceId(99), Happening.ENDED))

    assert machine.reported() == []
