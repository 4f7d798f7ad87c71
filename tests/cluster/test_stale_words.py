"""What a node says too late, twice, or of another time never changes what is true now."""

import pytest

from cluster.cluster import Cluster, NodeSite
from tashi.domain.errors import NoSuchHostId, StaleSession
from tashi.domain.guest import Ending, GuestState
from tashi.domain.host import Machine
from tashi.domain.identity import InstanceId
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import InstanceState as S
from tashi.domain.states import Order
from tashi.nodemanager.remote import RemoteRegistrar
from tashi.wire import versions
from tashi.wire.calls import to_cluster_manager
from tashi.wire.forms import (
    GuestForm,
    InventoryForm,
    OrderForm,
    ReportForm,
    SessionForm,
)
from tashi.wire.methods import NODE_MANAGER
from tashi.wire.serving import Desk, Handler


class Puppet:
    """A node that does nothing by itself: a test reads its orders and speaks for it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self.orders: list[OrderForm] = []
        self._number = 0
        site = NodeSite(cluster, name, 9883, 4096, 4)
        site.wire.desk = Desk(NODE_MANAGER, self._handlers(), versions.NODE_MANAGER)
        site.uplink.desk = cluster.desk
        cluster.nodes[name] = site
        calls = to_cluster_manager(site.uplink, Caller(Role.NODE, name=name))
        self.registrar = RemoteRegistrar(calls)
        self.session = self.hello(site.machine)

    def hello(self, machine: Machine) -> SessionForm:
        """Open a session, from now on the present one."""
        self._number = 0
        self.session = self.registrar.register(machine, register=True)
        self._cluster.settle()
        return self.session

    def say(
        self,
        *reports: ReportForm,
        inventory: InventoryForm | None = None,
        number: int | None = None,
        session: SessionForm | None = None,
    ) -> None:
        """Report, under the next number and in the present session unless told otherwise."""
        self._number += number is None
        spoken = self._number if number is None else number
        self.registrar.report(session or self.session, spoken, reports, inventory)
        self._cluster.settle()

    def answer(self, kind: str) -> ReportForm:
        """The outcome of the last order."""
        last = self.orders[-1]
        return ReportForm(kind, last.instance_id, last.attempt, last.operation, vm_id=4711)

    def told(self) -> list[Order]:
        """The kinds of all orders so far."""
        return [order.order for order in self.orders]

    def _handlers(self) -> dict[str, Handler]:
        def take(
            _: object, __: str, epoch: int, session: int, number: int, orders: list[OrderForm]
        ) -> bool:
            self.orders.extend(orders)
            return True

        others: dict[str, Handler] = {
            name: lambda _, __, **_arguments: True for name in NODE_MANAGER
        }
        return {**others, "takeOrders": take, "liveCheck": lambda _, __, epoch: self.session}


def a_running_guest() -> tuple[Cluster, Puppet, InstanceId]:
    cluster = Cluster()
    puppet = Puppet(cluster, "h1")
    web = cluster.create("web")
    cluster.settle()
    puppet.say(puppet.answer("Started"))
    assert cluster.state(web) is S.RUNNING
    return cluster, puppet, web


def test_a_message_that_is_repeated_counts_once() -> None:
    cluster, puppet, web = a_running_guest()
    frozen = ReportForm("SeenPaused", web, 1, cluster.record(web).operation)
    puppet.say(frozen, number=5)
    cluster.command("unpauseVm", web)
    cluster.settle()
    puppet.say(puppet.answer("UnpauseDone"), number=6)

    puppet.say(frozen, number=5)

    assert cluster.state(web) is S.RUNNING


def test_a_message_of_an_earlier_session_is_refused() -> None:
    cluster, puppet, web = a_running_guest()
    ended = ReportForm("GuestEnded", web, 1, cluster.record(web).operation)
    before = puppet.session
    puppet.hello(cluster.nodes["h1"].machine)

    with pytest.raises(StaleSession):
        puppet.say(ended, session=before)

    assert cluster.state(web) is S.RUNNING


def test_a_message_from_a_host_that_nobody_knows_is_refused() -> None:
    cluster, puppet, web = a_running_guest()

    with pytest.raises(NoSuchHostId):
        puppet.say(session=SessionForm(99, 1, 1))

    assert cluster.state(web) is S.RUNNING


def test_the_outcome_of_an_earlier_operation_changes_nothing() -> None:
    cluster, puppet, web = a_running_guest()
    cluster.command("pauseVm", web)
    cluster.settle()
    paused = puppet.answer("PauseDone")
    puppet.say(paused)
    cluster.command("unpauseVm", web)
    cluster.settle()
    puppet.say(puppet.answer("UnpauseDone"))

    puppet.say(paused)

    assert cluster.state(web) is S.RUNNING


def test_the_end_of_an_earlier_attempt_does_not_end_the_present_one() -> None:
    cluster, puppet, web = a_running_guest()
    crashed = ReportForm("GuestEnded", web, 1, 1, how=Ending.CRASHED)
    puppet.say(crashed)
    cluster.let_pass(10)
    restarting = cluster.record(web)
    puppet.say(puppet.answer("Started"))

    puppet.say(crashed)

    assert (restarting.state, restarting.attempt) == (S.ACTIVATING, 2)
    assert cluster.state(web) is S.RUNNING
    assert Order.KILL not in puppet.told()


def test_a_start_on_a_host_that_is_not_in_the_record_is_undone_there_and_once() -> None:
    cluster, puppet, web = a_running_guest()
    other = Puppet(cluster, "h2")
    before = cluster.record(web)

    other.say(ReportForm("Started", web, 1, before.operation, vm_id=9))
    killed = ReportForm("GuestEnded", web, 1, other.orders[-1].operation, how=Ending.KILLED)
    other.say(killed)
    other.say(killed)

    assert cluster.record(web) == before
    assert other.told() == [Order.KILL]
    assert puppet.told() == [Order.START]


def test_an_inventory_of_another_session_proves_nothing() -> None:
    cluster, puppet, web = a_running_guest()

    puppet.say(inventory=InventoryForm(puppet.session.session + 1, ()))
    unproven = cluster.state(web)
    puppet.say(inventory=InventoryForm(puppet.session.session, ()))

    assert unproven is S.RUNNING
    assert cluster.state(web) is S.PENDING


def test_an_inventory_does_not_end_what_is_still_to_be_started() -> None:
    cluster = Cluster()
    puppet = Puppet(cluster, "h1")
    web = cluster.create("web")
    cluster.settle()

    puppet.say(inventory=InventoryForm(puppet.session.session, ()))

    assert cluster.state(web) is S.ACTIVATING
    assert cluster.record(web).attempt == 1


def test_a_guest_with_an_id_that_was_never_given_is_left_alone() -> None:
    cluster, puppet, web = a_running_guest()
    strange = GuestForm(web + 100, 1, 1, GuestState.RUNNING, 1)
    mine = GuestForm(web, 1, 1, GuestState.RUNNING, 4711)

    puppet.say(inventory=InventoryForm(puppet.session.session, (mine, strange)))

    assert puppet.told() == [Order.START]
    assert cluster.state(web) is S.RUNNING


def test_a_guest_that_froze_unheard_is_found_out_by_the_inventory() -> None:
    cluster, puppet, web = a_running_guest()
    frozen = GuestForm(web, 1, 1, GuestState.FROZEN, 4711)

    puppet.say(inventory=InventoryForm(puppet.session.session, (frozen,)))

    assert cluster.state(web) is S.PAUSED
