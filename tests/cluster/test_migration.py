"""Moving a running guest to another host, and what may go wrong on the way."""

from dataclasses import replace

import pytest

from cluster.cluster import Cluster
from tashi.domain.engine import Engine
from tashi.domain.errors import HostStateError, IncorrectState, NoRoom
from tashi.domain.host import Host
from tashi.domain.identity import InstanceId
from tashi.domain.permissions import ROOT, Role
from tashi.domain.states import InstanceState as S
from tashi.wire.answers import WhyForm
from tashi.wire.forms import HostForm, InstanceForm


def two_hosts() -> tuple[Cluster, InstanceId]:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    cluster.add_node("h2")
    cluster.settle()
    return cluster, web


def host(cluster: Cluster, name: str) -> Host:
    return cluster.manager.ledger.books.host_named(name)


def migrate(cluster: Cluster, web: InstanceId, name: str) -> InstanceForm:
    return cluster.calls().call(
        "migrateVm", InstanceForm, instance_id=web, host_id=host(cluster, name).id
    )


def crossing_unheard() -> tuple[Cluster, InstanceId]:
    """A guest on its way from h1 to h2, whose source neither tells nor is told anything."""
    cluster, web = two_hosts()
    cluster.ether.mute = True
    cluster.nodes["h1"].uplink.cut = True
    migrate(cluster, web, "h2")
    cluster.settle()
    return cluster, web


def test_a_guest_moves_with_its_disks_and_runs_on_the_target_only() -> None:
    cluster, web = two_hosts()
    cluster.nodes["h1"].hypervisor.write(web)

    migrate(cluster, web, "h2")
    cluster.settle()

    record = cluster.record(web)
    assert (record.state, record.host_id) == (S.RUNNING, host(cluster, "h2").id)
    assert cluster.running_guests(web) == ["h2"]
    assert cluster.nodes["h1"].hypervisor.kept() == set()
    assert cluster.nodes["h2"].hypervisor.writes(web) == 1
    assert cluster.nodes["h1"].notebook.pages() == {}


def test_a_target_that_cannot_take_the_guest_leaves_it_where_it_is() -> None:
    cluster, web = two_hosts()
    cluster.nodes["h2"].hypervisor.start_fails = "No memory."

    migrate(cluster, web, "h2")
    cluster.settle()

    assert cluster.state(web) is S.RUNNING
    assert cluster.record(web).reason == "No memory."
    assert cluster.running_guests(web) == ["h1"]
    assert cluster.nodes["h2"].notebook.pages() == {}


def test_a_send_that_fails_leaves_the_guest_running_and_clears_the_target() -> None:
    cluster, web = two_hosts()
    cluster.nodes["h1"].hypervisor.send_fails = "The network is down."

    migrate(cluster, web, "h2")
    cluster.settle()

    assert cluster.state(web) is S.RUNNING
    assert cluster.running_guests(web) == ["h1"]
    assert cluster.nodes["h2"].hypervisor.kept() == set()


def test_a_target_without_room_is_refused_beforehand_with_the_numbers() -> None:
    cluster, web = two_hosts()
    cluster.add_node("small", memory=64)
    cluster.settle()

    with pytest.raises(NoRoom, match="64 short"):
        migrate(cluster, web, "small")
    with pytest.raises(HostStateError, match="already"):
        migrate(cluster, web, "h1")

    assert cluster.state(web) is S.RUNNING


def engine(machine: str, qemu: str = "7.2.0") -> Engine:
    return Engine(qemu=qemu, accel="tcg", machines=(machine,))


def test_a_target_that_cannot_go_on_with_the_guest_is_refused_beforehand() -> None:
    cluster, web = two_hosts()
    old = cluster.add_node("old")
    old.kill()
    old.hypervisor.runs_with = engine("pc-q35-6.2", "6.2.0")
    old.start()
    cluster.settle()

    with pytest.raises(NoRoom) as caught:
        migrate(cluster, web, "old")
    why = cluster.calls().call("why", WhyForm, instance_id=web)

    assert caught.value.message == (
        "instance 1 (web) cannot go to old, which has QEMU 6.2.0, which is older than 7.2.0, in "
        "which it runs."
    )
    assert {one.host: [reason.rule for reason in one.reasons] for one in why.hosts} == {
        "h2": [],
        "old": ["qemu", "machineType"],
    }


def test_a_guest_keeps_what_it_was_booted_on_and_the_books_know_its_qemu() -> None:
    cluster, web = two_hosts()
    booted = cluster.record(web).hardware
    new = cluster.add_node("new")
    new.kill()
    new.hypervisor.runs_with = Engine(
        qemu="8.0.0", accel="tcg", machines=("pc-q35-7.2", "pc-q35-8.0")
    )
    new.start()
    cluster.settle()

    migrate(cluster, web, "new")
    cluster.settle()
    moved = cluster.record(web).hardware
    with pytest.raises(NoRoom, match=r"older than 8\.0\.0"):
        migrate(cluster, web, "h2")
    cluster.command("suspendVm", web)
    cluster.settle()
    cluster.command("resumeVm", web)
    cluster.settle()

    assert booted is not None
    assert booted.host_id == host(cluster, "h1").id
    assert moved == replace(booted, qemu="8.0.0")
    assert cluster.record(web).hardware == moved
    assert cluster.running_guests(web) == ["new"]


def test_an_instance_that_starts_anew_takes_what_there_is() -> None:
    cluster, web = two_hosts()
    cluster.command("stopVm", web)
    cluster.settle()
    node = cluster.nodes["h1"]
    node.kill()
    node.hypervisor.runs_with = engine("pc-q35-9.0", "9.0.0")
    node.start()
    cluster.settle()

    cluster.command("startVm", web)
    cluster.settle()

    hardware = cluster.record(web).hardware
    assert hardware is not None
    assert (hardware.machine, hardware.qemu) == ("pc-q35-9.0", "9.0.0")


def test_the_target_is_told_where_the_guest_comes_from() -> None:
    cluster, web = two_hosts()
    peers: list[str] = []
    target = cluster.nodes["h2"].hypervisor
    cluster.nodes["h1"].machine = replace(
        cluster.nodes["h1"].machine, migration_address="192.0.2.1"
    )
    cluster.nodes["h1"].kill()
    cluster.nodes["h1"].start()
    cluster.settle()
    target.met = peers.append

    migrate(cluster, web, "h2")
    cluster.settle()

    assert peers == ["192.0.2.1"]


def test_two_guests_that_cross_change_places() -> None:
    cluster, web = two_hosts()
    other = cluster.create("other", hints={"targetHost": "h2"})
    cluster.settle()

    migrate(cluster, web, "h2")
    migrate(cluster, other, "h1")
    cluster.settle()

    assert cluster.running_guests(web) == ["h2"]
    assert cluster.running_guests(other) == ["h1"]


def test_a_source_whose_node_restarts_while_sending_keeps_the_guest() -> None:
    cluster, web = crossing_unheard()
    source = cluster.nodes["h1"]
    crossing = cluster.state(web)

    source.kill()
    source.uplink.cut = False
    source.start()
    cluster.let_pass(5)

    assert crossing is S.MIGRATE_TRANS
    assert cluster.state(web) is S.RUNNING
    assert len(cluster.running_guests(web)) == 1


def test_a_guest_runs_on_the_target_before_its_source_is_heard_again() -> None:
    cluster, web = two_hosts()
    cluster.nodes["h1"].uplink.cut = True

    migrate(cluster, web, "h2")
    cluster.settle()
    arrived = cluster.record(web)
    cluster.nodes["h1"].uplink.cut = False
    cluster.let_pass(15)

    assert (arrived.state, arrived.host_id) == (S.RUNNING, host(cluster, "h2").id)
    assert cluster.running_guests(web) == ["h2"]
    assert cluster.nodes["h1"].hypervisor.kept() == set()
    assert cluster.nodes["h1"].notebook.pages() == {}


def test_a_guest_runs_on_the_target_before_a_cluster_manager_is_back() -> None:
    cluster, web = two_hosts()
    for node in cluster.nodes.values():
        node.uplink.cut = True
    migrate(cluster, web, "h2")
    cluster.settle()
    target = cluster.nodes["h2"]
    target.uplink.cut = False
    cluster.let_pass(1)
    target.uplink.cut = True

    cluster.kill_manager()
    cluster.settle()
    alone = cluster.running_guests(web)
    for node in cluster.nodes.values():
        node.uplink.cut = False
    cluster.start_manager()
    cluster.let_pass(15)

    assert alone == ["h2"]
    assert (cluster.state(web), cluster.running_guests(web)) == (S.RUNNING, ["h2"])


def test_a_source_that_is_declared_dead_while_its_guest_crosses_leaves_it_to_the_target() -> None:
    cluster, web = crossing_unheard()
    source = cluster.nodes["h1"]
    crossing = cluster.state(web)
    source.reboot(2)
    cluster.let_pass(60)
    lost = cluster.state(web)

    admin = cluster.calls(ROOT, Role.ADMIN)
    admin.call("declareHostDead", HostForm, host_id=host(cluster, "h1").id)
    cluster.let_pass(15)

    assert (crossing, lost) == (S.MIGRATE_TRANS, S.ORPHANED)
    assert (cluster.state(web), cluster.running_guests(web)) == (S.RUNNING, ["h2"])


def test_a_cluster_manager_that_dies_while_a_guest_crosses_finds_exactly_one() -> None:
    cluster, web = two_hosts()
    cluster.nodes["h1"].uplink.cut = True
    migrate(cluster, web, "h2")
    cluster.settle()

    cluster.kill_manager()
    cluster.nodes["h1"].uplink.cut = False
    cluster.start_manager()
    cluster.let_pass(15)

    assert cluster.state(web) is S.RUNNING
    assert cluster.running_guests(web) == ["h2"]


def test_a_target_that_dies_before_it_is_told_to_run_restarts_the_instance_once() -> None:
    cluster, web = two_hosts()
    target = cluster.nodes["h2"]
    cluster.nodes["h1"].uplink.cut = True
    migrate(cluster, web, "h2")
    cluster.settle()

    target.reboot(2)
    target.start()
    cluster.nodes["h1"].uplink.cut = False
    cluster.let_pass(30)

    assert cluster.state(web) is S.RUNNING
    assert len(cluster.running_guests(web)) == 1


def test_a_migration_is_cancelled_before_the_guest_has_left() -> None:
    cluster, web = two_hosts()
    cluster.nodes["h2"].wire.cut = True
    migrate(cluster, web, "h2")
    cluster.settle()
    preparing = cluster.state(web)

    cluster.command("cancelMigration", web)
    cluster.nodes["h2"].wire.cut = False
    cluster.let_pass(15)

    assert preparing is S.MIGRATE_PREP
    assert cluster.state(web) is S.RUNNING
    assert cluster.running_guests(web) == ["h1"]
    assert cluster.nodes["h2"].hypervisor.kept() == set()
    with pytest.raises(IncorrectState):
        cluster.command("cancelMigration", web)


def test_an_instance_destroyed_while_it_crosses_is_gone_from_both_hosts() -> None:
    cluster, web = two_hosts()
    cluster.nodes["h1"].uplink.cut = True
    migrate(cluster, web, "h2")
    cluster.settle()

    cluster.command("destroyVm", web)
    cluster.nodes["h1"].uplink.cut = False
    cluster.let_pass(15)

    assert cluster.state(web) is None
    assert [site.hypervisor.kept() for site in cluster.nodes.values()] == [set(), set()]
