"""What every way to the nodes promises the cluster manager: orders taken up, once and in order.

Over the wire to a node of the test's, over the wire to the real one, and without any wire.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import pytest

from cluster.cluster import Cluster
from examples import a_host, running, waiting
from fakes.links import DirectLink
from fakes.nodes import FakeNodes, silence
from tashi.clustermanager.remote import RemoteNodes
from tashi.domain.errors import HypervisorFailed, NoSuchVm, PeerSilent, StaleSession
from tashi.domain.host import Host
from tashi.domain.identity import Attempt, Epoch, HostId, InstanceId, NetworkId, Operation, Session
from tashi.domain.instance import Forward, Nic, OnExit
from tashi.domain.instructions import NodeOrder
from tashi.domain.permissions import Caller
from tashi.domain.states import Order
from tashi.ports.nodes import Nodes
from tashi.wire import versions
from tashi.wire.forms import ConsoleForm, OrderForm, SessionForm
from tashi.wire.methods import NODE_MANAGER
from tashi.wire.orders import order_record
from tashi.wire.screens import ScreenForm, TypedForm
from tashi.wire.serving import Desk, Handler

WEB, ATTEMPT, NEXT = InstanceId(1), Attempt(1), Operation(1_000)


class Site(Protocol):
    """A node with an open session and one running guest, and the way to it."""

    nodes: Nodes
    host: Host
    epoch: Epoch

    def fall_silent(self) -> None:
        """Answer nothing any more."""
        ...


class NoWire:
    """The fake itself."""

    def __init__(self) -> None:
        self.fake = FakeNodes()
        self.nodes: Nodes = self.fake
        self.epoch = Epoch(1)
        self.host = replace(a_host(), session=Session(4), address="10.0.0.1", port=9883)
        self.fake.sessions[self.host.name] = self.host.session
        self.fake.guests.add((WEB, ATTEMPT))

    def fall_silent(self) -> None:
        self.fake.mishaps.append(silence())


class OverTheWire(NoWire):
    """The fake behind the real rows, forms and desk."""

    def __init__(self) -> None:
        super().__init__()
        self.connected: list[tuple[str, int]] = []
        self.links: list[DirectLink] = []
        desk = Desk(NODE_MANAGER, handlers(self.fake, self.host), versions.NODE_MANAGER)

        def connect(address: str, port: int) -> DirectLink:
            self.connected.append((address, port))
            self.links.append(DirectLink(desk.answer))
            return self.links[-1]

        self.nodes = RemoteNodes(connect)


class RealNode:
    """A whole node manager behind its wire."""

    def __init__(self) -> None:
        cluster = Cluster()
        self._site = cluster.add_node("h1")
        cluster.create("web")
        cluster.settle()
        self.epoch = cluster.manager.ledger.epoch
        self.host = cluster.manager.ledger.books.host(HostId(1))
        self.nodes: Nodes = RemoteNodes(lambda host, _: cluster.nodes[host].wire)

    def fall_silent(self) -> None:
        self._site.wire.cut = True


def handlers(fake: FakeNodes, host: Host) -> Mapping[str, Handler]:
    def take(
        _: Caller, __: str, epoch: int, session: int, number: int, orders: tuple[OrderForm, ...]
    ) -> bool:
        of = replace(host, session=Session(session))
        records = [order_record(order, host.id) for order in orders]
        fake.take_orders(of, Epoch(epoch), number, records)
        return True

    def check(_: Caller, __: str, epoch: int) -> SessionForm:
        fake.live_check(host, Epoch(epoch))
        return SessionForm(host.id, epoch, host.session)

    def reset(_: Caller, __: str, instance_id: int, attempt: int) -> bool:
        fake.reset(host, InstanceId(instance_id), Attempt(attempt))
        return True

    def show(
        _: Caller, __: str, instance_id: int, attempt: int, password: str, on_socket: bool
    ) -> ScreenForm:
        guest = InstanceId(instance_id), Attempt(attempt)
        place = fake.start_vnc(host, *guest, password, on_socket=on_socket)
        return ScreenForm(place.address, place.port, place.socket, place.tls)

    def hide(_: Caller, __: str, instance_id: int, attempt: int) -> bool:
        fake.stop_vnc(host, InstanceId(instance_id), Attempt(attempt))
        return True

    def type_in(_: Caller, __: str, instance_id: int, attempt: int, data: bytes) -> bool:
        fake.type_console(host, InstanceId(instance_id), Attempt(attempt), data)
        return True

    def read(_: Caller, __: str, instance_id: int, offset: int, timeout: float) -> TypedForm:
        return TypedForm(*fake.read_console(host, InstanceId(instance_id), offset, timeout))

    def console(_: Caller, __: str, instance_id: int, offset: int, timeout: float) -> ConsoleForm:
        return ConsoleForm(*fake.console(host, InstanceId(instance_id), offset, timeout))

    return {
        "takeOrders": take,
        "liveCheck": check,
        "resetVm": reset,
        "getConsole": console,
        "readConsole": read,
        "typeConsole": type_in,
        "startVnc": show,
        "stopVnc": hide,
    }


@pytest.fixture(params=[NoWire, OverTheWire, RealNode])
def site(request: pytest.FixtureRequest) -> Site:
    make: Callable[[], Site] = request.param
    return make()


def an_order(order: Order, operation: int = NEXT) -> NodeOrder:
    return NodeOrder(HostId(1), order, WEB, ATTEMPT, Operation(operation))


def test_orders_are_taken_up_and_again_when_repeated(site: Site) -> None:
    batch = [an_order(Order.PAUSE), an_order(Order.UNPAUSE, NEXT + 1)]

    site.nodes.take_orders(site.host, site.epoch, 2, batch)
    site.nodes.take_orders(site.host, site.epoch, 2, batch)
    site.nodes.take_orders(site.host, site.epoch, 3, [])


def test_orders_of_another_session_are_refused(site: Site) -> None:
    other = replace(site.host, session=Session(site.host.session + 1))

    with pytest.raises(StaleSession):
        site.nodes.take_orders(other, site.epoch, 2, [an_order(Order.PAUSE)])


def test_a_node_that_lives_lets_it_be_known(site: Site) -> None:
    site.nodes.live_check(site.host, site.epoch)


def test_a_guest_is_reset_and_one_of_another_attempt_is_not(site: Site) -> None:
    site.nodes.reset(site.host, WEB, ATTEMPT)

    with pytest.raises(NoSuchVm):
        site.nodes.reset(site.host, WEB, Attempt(2))
    with pytest.raises(NoSuchVm):
        site.nodes.reset(site.host, InstanceId(2), ATTEMPT)


def test_a_display_is_shown_on_a_port_or_on_a_socket(site: Site) -> None:
    on_a_port = site.nodes.start_vnc(site.host, WEB, ATTEMPT, "secret", on_socket=False)
    on_a_socket = site.nodes.start_vnc(site.host, WEB, ATTEMPT, "secret", on_socket=True)
    site.nodes.stop_vnc(site.host, WEB, ATTEMPT)

    assert (on_a_port.port, on_a_port.socket) == (5900, "")
    assert (on_a_socket.port, bool(on_a_socket.socket)) == (0, True)


def test_what_is_typed_is_for_the_guest_that_was_meant(site: Site) -> None:
    site.nodes.type_console(site.host, WEB, ATTEMPT, b"\x03\xff")

    with pytest.raises(NoSuchVm):
        site.nodes.type_console(site.host, WEB, Attempt(2), b"x")
    with pytest.raises(NoSuchVm):
        site.nodes.start_vnc(site.host, WEB, Attempt(2), "secret", on_socket=False)
    with pytest.raises(NoSuchVm):
        site.nodes.stop_vnc(site.host, WEB, Attempt(2))


def test_the_console_is_read_to_the_byte(site: Site) -> None:
    assert site.nodes.read_console(site.host, WEB, 2, 0.0) == (b"OT\n", 5)


@pytest.mark.parametrize(("offset", "text"), [(0, "BOOT\n"), (2, "OT\n"), (-2, "T\n"), (99, "")])
def test_the_console_is_read_from_an_offset_to_its_end(site: Site, offset: int, text: str) -> None:
    assert site.nodes.console(site.host, WEB, offset, 0.0) == (text, 5)


def test_nobody_answers_is_told_by_every_call(site: Site) -> None:
    site.fall_silent()
    with pytest.raises(PeerSilent):
        site.nodes.take_orders(site.host, site.epoch, 2, [])
    site.fall_silent()
    with pytest.raises(PeerSilent):
        site.nodes.live_check(site.host, site.epoch)
    site.fall_silent()
    with pytest.raises(PeerSilent):
        site.nodes.reset(site.host, WEB, ATTEMPT)
    site.fall_silent()
    with pytest.raises(PeerSilent):
        site.nodes.console(site.host, WEB, 0, 0.0)


def test_orders_arrive_as_they_were_given() -> None:
    site = OverTheWire()
    nic = Nic(NetworkId(1), "52:54:00:00:00:01", "10.0.2.15", (Forward(80, 40080),))
    record = replace(running(waiting()), nics=(nic,), hints={"clock": "utc"}, on_exit=OnExit.STOP)
    start = NodeOrder(site.host.id, Order.START, WEB, ATTEMPT, NEXT, record)
    kill = an_order(Order.KILL)

    site.nodes.take_orders(site.host, site.epoch, 7, [start, kill])

    assert site.fake.taken == [(site.host.name, 7, (start, kill))]


def test_what_went_wrong_at_the_node_arrives_as_its_own_class() -> None:
    site = OverTheWire()
    site.fake.mishaps.append(HypervisorFailed("QEMU does not answer."))

    with pytest.raises(HypervisorFailed, match="QEMU does not answer"):
        site.nodes.reset(site.host, WEB, ATTEMPT)


def test_a_link_is_kept_while_the_address_stays_the_same() -> None:
    site = OverTheWire()
    moved = replace(site.host, port=9884)

    for host in (site.host, site.host, moved, moved):
        site.nodes.live_check(host, site.epoch)

    assert site.connected == [("10.0.0.1", 9883), ("10.0.0.1", 9884)]
    assert [link.closed for link in site.links] == [True, False]


def test_the_link_to_a_host_that_is_forgotten_is_closed() -> None:
    site = OverTheWire()
    site.nodes.live_check(site.host, site.epoch)

    site.nodes.forget(site.host.id)
    site.nodes.forget(site.host.id)
    closed = [link.closed for link in site.links]
    site.nodes.live_check(site.host, site.epoch)

    assert closed == [True]
    assert [link.closed for link in site.links] == [True, False]


def test_who_reads_and_types_on_consoles_has_a_link_beside_that_of_the_orders() -> None:
    site = OverTheWire()

    site.nodes.live_check(site.host, site.epoch)
    for _ in range(2):
        site.nodes.console(site.host, WEB, 0, 0.0)
    site.nodes.forget(site.host.id)

    assert site.connected == [("10.0.0.1", 9883)] * 2
    assert [link.closed for link in site.links] == [True, True]
