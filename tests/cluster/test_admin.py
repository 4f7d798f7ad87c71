"""What administrators and askers do, in a whole cluster."""

from dataclasses import replace
from typing import Any

import pytest

from cluster.cluster import Cluster, NodeSite
from fakes.users import FakeDirectory
from tashi.domain.catalogue import User
from tashi.domain.errors import (
    HostStateError,
    NoSuchUser,
    NotPermitted,
    PeerSilent,
    Refused,
    TashiError,
    TooOld,
)
from tashi.domain.identity import HostId, UserId
from tashi.domain.permissions import ROOT, Caller, Role
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.wire.answers import ReservationForm, SlotsForm
from tashi.wire.calls import Calls
from tashi.wire.forms import (
    ConsoleForm,
    DiskForm,
    EventsForm,
    HostForm,
    InstanceForm,
    NetworkForm,
    NewInstanceForm,
    SnapshotForm,
    UserForm,
    VerdictForm,
)
from tashi.wire.images import ImageForm


def admin(cluster: Cluster) -> Calls:
    return cluster.calls(ROOT, Role.ADMIN)


def hosts(cluster: Cluster) -> dict[str, HostForm]:
    found = cluster.calls().call("getHosts", tuple[HostForm, ...])
    return {host.name: host for host in found}


def test_a_drained_host_gets_no_new_instances_and_keeps_those_it_has() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    first = cluster.create("first")
    cluster.settle()

    host = hosts(cluster)["h1"]
    admin(cluster).call("setHostState", HostForm, host_id=host.id, state=HostState.DRAINED)
    second = cluster.create("second")
    cluster.settle()
    drained = cluster.state(first), cluster.state(second)
    admin(cluster).call("setHostState", HostForm, host_id=host.id, state=HostState.NORMAL)
    cluster.settle()

    assert drained == (S.RUNNING, S.PENDING)
    assert cluster.state(second) is S.RUNNING


def test_a_reserved_host_takes_instances_of_its_users_only() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    key = hosts(cluster)["h1"].id

    with pytest.raises(NoSuchUser):
        admin(cluster).call("addReservation", ReservationForm, host_id=key, user_id=7)
    admin(cluster).call("addUser", UserForm, user_id=7, name="ada")
    reserved = admin(cluster).call("addReservation", ReservationForm, host_id=key, user_id=7)
    web = cluster.create("web")
    cluster.settle()
    waiting = cluster.state(web)
    admin(cluster).call("delReservation", ReservationForm, host_id=key, user_id=7)
    cluster.settle()

    assert reserved.users == (7,)
    assert waiting is S.PENDING
    assert cluster.state(web) is S.RUNNING
    assert cluster.calls().call("getReservation", ReservationForm, host_id=key).users == ()
    with pytest.raises(HostStateError):
        admin(cluster).call("delReservation", ReservationForm, host_id=key, user_id=7)


def test_who_asks_after_a_user_that_the_directory_is_asked_for_keeps_nobody_waiting() -> None:
    directory = FakeDirectory("alice")
    cluster = Cluster(directory=directory)
    cluster.add_node("h1")
    cluster.settle()
    key = hosts(cluster)["h1"].id
    meanwhile = []
    directory.while_asked = lambda: meanwhile.append(set(hosts(cluster)))

    directory.names.append("bob")
    cluster.clock.turn(10.0)
    reserved = admin(cluster).call("addReservation", ReservationForm, host_id=key, user_id=501)
    directory.names.append("carol")
    cluster.clock.turn(10.0)
    wanted = NewInstanceForm(name="web", disks=(DiskForm("web.qcow2"),), user_id=502)
    created = admin(cluster).call("createVm", InstanceForm, instance=wanted)
    cluster.clock.turn(10.0)
    with pytest.raises(NoSuchUser):
        admin(cluster).call("addReservation", ReservationForm, host_id=key, user_id=9)

    assert reserved.users == (501,)
    assert created.user_id == 502
    assert meanwhile == [{"h1"}] * 3


def test_hosts_are_added_noted_and_removed_only_when_nothing_is_left_on_them() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    key = hosts(cluster)["h1"].id

    added = admin(cluster).call("addHost", HostForm, name="spare")
    noted = admin(cluster).call("setHostNotes", HostForm, host_id=added.id, notes="rack 4")
    with pytest.raises(HostStateError, match="web"):
        admin(cluster).call("delHost", HostForm, host_id=key)
    with pytest.raises(Refused, match="already"):
        admin(cluster).call("addHost", HostForm, name="spare")
    admin(cluster).call("delHost", HostForm, host_id=added.id)

    assert noted.notes == "rack 4"
    assert not added.up
    assert set(hosts(cluster)) == {"h1"}
    assert cluster.state(web) is S.RUNNING


def test_networks_and_users_are_added_and_removed() -> None:
    cluster = Cluster()
    calls = admin(cluster)

    calls.call("addNetwork", NetworkForm, network_id=999, name="lab")
    calls.call("addUser", UserForm, user_id=1000, name="alice")
    networks = cluster.calls().call("getNetworks", tuple[NetworkForm, ...])
    users = cluster.calls().call("getUsers", tuple[UserForm, ...])
    cluster.create("web")
    with pytest.raises(Refused, match="still owns"):
        calls.call("delUser", UserForm, user_id=1000)
    with pytest.raises(Refused, match="still used"):
        calls.call("delNetwork", NetworkForm, network_id=1)
    calls.call("delNetwork", NetworkForm, network_id=999)

    assert [(one.id, one.default) for one in networks] == [(1, True), (999, False)]
    assert [one.name for one in users] == ["alice"]
    assert [one.id for one in cluster.calls().call("getNetworks", tuple[NetworkForm, ...])] == [1]


def test_nobody_is_added_over_somebody_else_of_the_directory() -> None:
    cluster = Cluster(directory=FakeDirectory("alice", "bob"))  # 500 and 501
    calls = admin(cluster)
    cluster.settle()

    for key, name in ((500, "mallory"), (7, "bob"), (501, "alice")):
        with pytest.raises(Refused, match=r"directory of users has user 50. \("):
            calls.call("addUser", UserForm, user_id=key, name=name)
    calls.call("addUser", UserForm, user_id=501, name="bob")

    users = cluster.calls().call("getUsers", tuple[UserForm, ...])
    assert {(one.id, one.name) for one in users} == {(500, "alice"), (501, "bob")}


def test_a_user_who_stood_before_the_directorys_is_removed_whatever_that_one_owns() -> None:
    cluster = Cluster(directory=FakeDirectory())
    calls = admin(cluster)
    calls.call("addUser", UserForm, user_id=500, name="mallory")
    wanted = NewInstanceForm(name="web", disks=(DiskForm("web.qcow2"),), user_id=500)
    calls.call("createVm", InstanceForm, instance=wanted)
    with pytest.raises(Refused, match="still owns"):
        calls.call("delUser", UserForm, user_id=500)

    assert isinstance(cluster.directory, FakeDirectory)
    cluster.directory.names.append("alice")
    cluster.clock.turn(10_000.0)
    cluster.calls().call("getUsers", tuple[UserForm, ...])
    cluster.settle()
    calls.call("delUser", UserForm, user_id=500)

    assert [one.name for one in cluster.calls().call("getUsers", tuple[UserForm, ...])] == ["alice"]


def test_a_user_who_is_added_anew_has_not_the_password_of_who_was_removed() -> None:
    cluster = Cluster()
    calls = admin(cluster)
    calls.call("addUser", UserForm, user_id=1000, name="alice")
    cluster.settle()
    cluster.passwords.set(User(UserId(1000), "alice"), "open sesame")
    cluster.passwords.is_away = True
    calls.call("delUser", UserForm, user_id=1000)
    cluster.settle()
    cluster.passwords.is_away = False
    left = dict(cluster.passwords.kept)

    calls.call("addUser", UserForm, user_id=1000, name="alice")
    cluster.settle()

    assert left
    assert not cluster.passwords.kept


@pytest.mark.parametrize(
    ("call", "gives", "arguments"),
    [
        ("addHost", HostForm, {"name": "no spaces"}),
        ("addHost", HostForm, {"name": "a\nb"}),
        ("addNetwork", NetworkForm, {"network_id": 5000, "name": "far"}),
        ("addNetwork", NetworkForm, {"network_id": 5, "name": "a;b"}),
        ("addUser", UserForm, {"user_id": -1, "name": "nobody"}),
        ("setHostNotes", HostForm, {"host_id": 1, "notes": "a\nb"}),
        ("setHostState", HostForm, {"host_id": 1, "state": HostState.VERSION_MISMATCH}),
        ("setHostState", HostForm, {"host_id": 99, "state": HostState.NORMAL}),
        ("delHost", HostForm, {"host_id": 99}),
        ("delNetwork", NetworkForm, {"network_id": 99}),
        ("delUser", UserForm, {"user_id": 99}),
    ],
)
def test_impossible_wishes_are_refused(call: str, gives: type, arguments: dict[str, Any]) -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    before = cluster.store.load()

    with pytest.raises(TashiError):
        admin(cluster).call(call, gives, **arguments)

    assert cluster.store.load() == before


def test_what_is_for_administrators_is_refused_to_users() -> None:
    cluster = Cluster()

    with pytest.raises(NotPermitted):
        cluster.calls().call("addHost", HostForm, name="mine")
    with pytest.raises(NotPermitted):
        cluster.calls().call("placeVms", tuple[VerdictForm, ...], proposals=())


def test_an_administrator_may_create_for_known_users_and_a_user_only_for_themselves() -> None:
    cluster = Cluster()
    admin(cluster).call("addUser", UserForm, user_id=7, name="seven")

    wanted = NewInstanceForm(name="theirs", disks=(DiskForm("web.qcow2"),), user_id=7)
    made = admin(cluster).call("createVm", InstanceForm, instance=wanted)

    assert made.user_id == 7
    with pytest.raises(NotPermitted):
        cluster.calls(UserId(8)).call("createVm", InstanceForm, instance=wanted)


def test_slots_count_what_is_free_now() -> None:
    cluster = Cluster()
    cluster.add_node("h1", memory=1024, cores=4)
    cluster.settle()

    empty = cluster.calls().call("getSlots", SlotsForm, cores=1, memory=256)
    cluster.create("web", memory=256)
    cluster.settle()
    fuller = cluster.calls().call("getSlots", SlotsForm, cores=1, memory=256)

    assert (empty.count, fuller.count) == (4, 3)


def test_images_say_who_uses_them() -> None:
    cluster = Cluster()
    web = cluster.create("web")

    images = {one.name: one for one in cluster.calls().call("getImages", tuple[ImageForm, ...])}

    assert images["web.qcow2"].used_by == (web,)
    assert images["data.qcow2"].used_by == ()


def test_a_snapshot_and_the_events_after_it_give_the_same_books() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    snapshot = cluster.calls().call("getSnapshot", SnapshotForm)

    web = cluster.create("web")
    cluster.settle()
    events = cluster.calls().call("watch", EventsForm, since=snapshot.next, timeout=0.0)
    mine = cluster.calls().call(
        "watch", EventsForm, since=snapshot.next, timeout=0.0, instance_id=web
    )

    assert [one.number for one in events.events] == list(range(snapshot.next, events.next))
    assert [one.line for one in mine.events][:2] == ["CM VM REQUEST", "CM VM ACTIVATE"]
    assert mine.events[-1].instance is not None
    assert mine.events[-1].instance.state is S.RUNNING


def test_events_that_are_gone_or_never_were_are_too_old() -> None:
    cluster = Cluster()

    for since in (-1, 0, 10**18):
        with pytest.raises(TooOld):
            cluster.calls().call("watch", EventsForm, since=since, timeout=5.0)


def test_the_console_of_a_guest_is_read_through_its_node_by_its_owner() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    arguments: dict[str, Any] = {"instance_id": web, "offset": 0, "timeout": 0.0}

    piece = cluster.calls().call("getConsole", ConsoleForm, **arguments)

    assert (piece.text, piece.offset) == ("BOOT\n", 5)
    with pytest.raises(NotPermitted):
        cluster.calls(UserId(5)).call("getConsole", ConsoleForm, **arguments)


def test_the_console_on_a_host_that_is_silent_is_refused_at_once_with_the_hosts_name() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    node.uplink.cut = node.wire.cut = True
    cluster.let_pass(40)

    with pytest.raises(PeerSilent, match=r"h1, where instance 1 \(web\) is, is silent"):
        cluster.calls().call("getConsole", ConsoleForm, instance_id=web, offset=0, timeout=0.0)


def test_a_reset_reaches_the_guest_and_is_refused_for_one_that_does_not_run() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    with pytest.raises(TashiError):
        cluster.command("resetVm", web)
    cluster.settle()

    answer = cluster.command("resetVm", web)

    assert answer.state is S.RUNNING


def test_what_is_known_of_a_silent_host_is_shown_as_decayed() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    cluster.create("web")
    cluster.settle()

    fresh = cluster.calls().call("getInstances", tuple[InstanceForm, ...])
    node.uplink.cut = node.wire.cut = True
    cluster.scheduling = False
    cluster.clock.turn(31)
    old = cluster.calls().call("getInstances", tuple[InstanceForm, ...])

    assert [one.decayed for one in (*fresh, *old)] == [False, True]
    assert hosts(cluster)["h1"].decayed


def test_a_second_machine_of_the_same_name_is_refused_while_the_first_lives() -> None:
    cluster = Cluster()
    first = cluster.add_node("h1")
    cluster.settle()
    session = cluster.manager.ledger.books.host(HostId(1)).session

    twin = NodeSite(cluster, "h1", 9999, 4096, 4)
    twin.machine = replace(twin.machine, address="elsewhere", boot_id="another")
    twin.start()
    twin.workers.run_all()
    cluster.settle()

    assert cluster.manager.ledger.books.host(HostId(1)).session == session
    assert first.manager is not None


def test_who_asks_for_users_before_the_first_list_holds_nobody_up() -> None:
    cluster = Cluster()  # its directory has been asked, and has not answered yet
    ask = cluster.manager.handlers()["getUsers"]

    waiting = ask(Caller(Role.USER, UserId(1000)), "1", user_id=None, name=None)
    done_early = waiting.done()
    cluster.workers.run_all()

    assert not done_early
    assert waiting.result(0) == ()
