"""What every way to the cluster manager promises a node: sessions, and reports heard once.

Over the wire to a manager of the test's, over the wire to the real one, and without any wire.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import pytest

from cluster.cluster import Cluster, Wire
from fakes.links import DirectLink
from fakes.registrar import FakeRegistrar, silence
from tashi import __version__
from tashi.domain.errors import HostNameMismatch, NoSuchHost, PeerSilent, StaleSession
from tashi.domain.guest import DiskRates, Ending, Glimpse, GuestState, NicRates, Progress, Stats
from tashi.domain.host import Machine
from tashi.domain.identity import InstanceId, Mib, NetworkId, Operation
from tashi.domain.permissions import Caller, Role
from tashi.nodemanager.outbox import Registrar
from tashi.nodemanager.remote import RemoteRegistrar
from tashi.wire import versions
from tashi.wire.calls import Calls, to_cluster_manager
from tashi.wire.forms import (
    ForwardForm,
    GuestForm,
    InventoryForm,
    MachineForm,
    NicForm,
    ReportForm,
    SessionForm,
    to_record,
)
from tashi.wire.glimpses import GlimpseForm
from tashi.wire.methods import CLUSTER_MANAGER
from tashi.wire.serving import Desk, Handler

H1 = Machine(
    name="h1",
    memory=Mib(4096),
    cores=4,
    version=__version__,
    address="10.0.0.1",
    port=9883,
    boot_id="boot-1",
    networks=(NetworkId(1), NetworkId(999)),
)
ME = Caller(Role.NODE, name="h1")
REPORT = ReportForm(
    "Started",
    instance_id=7,
    attempt=2,
    operation=30,
    words="Ünder way.",
    vm_id=4711,
    nics=(NicForm(1, "52:54:00:00:00:07", "10.0.2.15", (ForwardForm(22, 40022),)),),
    saved="7-30",
    incoming="there",
    how=Ending.POWERED_OFF,
    disks_remain=False,
)
GLIMPSE = Glimpse(
    instance_id=InstanceId(7),
    operation=Operation(30),
    stats=Stats(
        seconds=15.0,
        cpu_load=0.25,
        rss=10**8,
        vsize=10**9,
        balloon=2**27,
        disks=(DiskRates(name="disk0", reads=1.0, writes=2.0, read_bytes=3.0, written_bytes=4.0),),
        nics=(
            NicRates(
                mac="52:54:00:00:00:07",
                received_packets=1.0,
                sent_packets=2.0,
                received_bytes=3.0,
                sent_bytes=4.0,
            ),
        ),
    ),
    progress=Progress(done=1, total=2, rate=3.0, words="memory"),
)
INVENTORY = InventoryForm(1, (GuestForm(7, 2, 30, GuestState.RUNNING, 4711),))


class Office(Protocol):
    """A cluster manager that knows no host yet, and the way to it."""

    registrar: Registrar

    def fall_silent(self) -> None:
        """Answer nothing any more."""
        ...


class NoWire:
    """The fake itself."""

    def __init__(self) -> None:
        self.fake = FakeRegistrar(known="")
        self.registrar: Registrar = self.fake

    def fall_silent(self) -> None:
        self.fake.mishaps.append(silence())


class OverTheWire(NoWire):
    """The fake behind the real rows, forms and desk."""

    def __init__(self) -> None:
        super().__init__()
        rows = {name: CLUSTER_MANAGER[name] for name in handlers(self.fake)}
        desk = Desk(rows, handlers(self.fake), versions.CLUSTER_MANAGER)
        calls = Calls(
            rows=rows,
            version=versions.CLUSTER_MANAGER.version,
            link=DirectLink(desk.answer),
            who=ME,
        )
        self.registrar = RemoteRegistrar(calls)


class RealManager:
    """A whole cluster manager behind its wire."""

    def __init__(self) -> None:
        cluster = Cluster()
        self._wire = Wire(cluster)
        self._wire.desk = cluster.desk
        self.registrar: Registrar = RemoteRegistrar(to_cluster_manager(self._wire, ME))

    def fall_silent(self) -> None:
        self._wire.cut = True


def handlers(fake: FakeRegistrar) -> Mapping[str, Handler]:
    def register(_: Caller, __: str, machine: MachineForm, register: bool) -> SessionForm:
        return fake.register(to_record(machine, Machine), register=register)

    def report(
        _: Caller,
        __: str,
        session: SessionForm,
        number: int,
        reports: tuple[ReportForm, ...],
        inventory: InventoryForm | None,
    ) -> bool:
        fake.report(session, number, reports, inventory)
        return True

    def tell(
        _: Caller, __: str, host_id: int, session: int, guests: tuple[GlimpseForm, ...]
    ) -> bool:
        in_session = SessionForm(host_id, fake.epoch, session)
        fake.tell(in_session, [to_record(one, Glimpse) for one in guests])
        return True

    return {"registerNodeManager": register, "reportNode": report, "tellGuests": tell}


@pytest.fixture(params=[NoWire, OverTheWire, RealManager])
def office(request: pytest.FixtureRequest) -> Office:
    make: Callable[[], Office] = request.param
    return make()


def test_an_unknown_host_is_refused_unless_it_may_register_itself(office: Office) -> None:
    with pytest.raises(NoSuchHost):
        office.registrar.register(H1, register=False)

    opened = office.registrar.register(H1, register=True)

    assert opened.session > 0
    assert opened.epoch > 0


def test_a_host_that_registers_again_keeps_its_id_and_gets_another_session(office: Office) -> None:
    first = office.registrar.register(H1, register=True)
    second = office.registrar.register(H1, register=False)

    assert second.host_id == first.host_id
    assert second.epoch == first.epoch
    assert second.session > first.session


def test_reports_are_taken_in_the_open_session_and_again_when_repeated(office: Office) -> None:
    session = office.registrar.register(H1, register=True)

    office.registrar.report(session, 1, (), None)
    office.registrar.report(session, 2, (REPORT,), InventoryForm(session.session, ()))
    office.registrar.report(session, 2, (REPORT,), InventoryForm(session.session, ()))
    office.registrar.report(session, 1, (), None)


def test_a_session_is_over_once_another_is_open(office: Office) -> None:
    first = office.registrar.register(H1, register=True)
    second = office.registrar.register(H1, register=True)

    with pytest.raises(StaleSession):
        office.registrar.report(first, 1, (), None)
    with pytest.raises(StaleSession):
        office.registrar.tell(first, (GLIMPSE,))
    office.registrar.report(second, 1, (), None)
    office.registrar.tell(second, (GLIMPSE,))


def test_a_session_that_was_never_opened_is_over(office: Office) -> None:
    session = office.registrar.register(H1, register=True)

    with pytest.raises(StaleSession):
        office.registrar.report(SessionForm(session.host_id, 1, session.session + 1), 1, (), None)


def test_nobody_answers_is_told_by_every_call(office: Office) -> None:
    session = office.registrar.register(H1, register=True)

    office.fall_silent()
    with pytest.raises(PeerSilent):
        office.registrar.register(H1, register=True)
    office.fall_silent()
    with pytest.raises(PeerSilent):
        office.registrar.report(session, 1, (), None)
    office.fall_silent()
    with pytest.raises(PeerSilent):
        office.registrar.tell(session, (GLIMPSE,))


def test_another_living_machine_of_that_name_is_refused() -> None:
    office = RealManager()
    office.registrar.register(H1, register=True)

    with pytest.raises(HostNameMismatch):
        office.registrar.register(replace(H1, address="10.0.0.2", boot_id="boot-2"), register=True)


def test_glimpses_arrive_as_they_were_told() -> None:
    office = OverTheWire()
    session = office.registrar.register(H1, register=True)
    plain = Glimpse(instance_id=InstanceId(8), operation=Operation(31))

    office.registrar.tell(session, (GLIMPSE, plain))

    assert office.fake.told == [GLIMPSE, plain]


@pytest.mark.parametrize("networks", [None, (), (NetworkId(1), NetworkId(999))])
def test_a_machine_arrives_as_it_was_sent(networks: tuple[NetworkId, ...] | None) -> None:
    office = OverTheWire()
    machine = replace(H1, networks=networks)

    office.registrar.register(machine, register=True)

    assert office.fake.machines == [machine]


@pytest.mark.parametrize("inventory", [None, INVENTORY])
def test_reports_and_inventories_arrive_as_they_were_sent(inventory: InventoryForm | None) -> None:
    office = OverTheWire()
    session = office.registrar.register(H1, register=True)
    plain = ReportForm("Cleared", 1, 1, 1)

    office.registrar.report(session, 5, (REPORT, plain), inventory)

    assert office.fake.taken == [(5, (REPORT, plain), inventory)]
