"""A cluster whose parts die: what was acknowledged stays true, and nothing runs twice."""

import pytest

from cluster.cluster import Cluster
from fakes.faulty_store import Fault
from tashi.domain.errors import HostStateError
from tashi.domain.identity import Attempt, InstanceId, Mib
from tashi.domain.instance import OnLoss
from tashi.domain.permissions import ROOT, Role
from tashi.domain.states import InstanceState as S
from tashi.ports.hypervisor import GuestSpec
from tashi.wire.forms import HostForm


def a_spec(instance: InstanceId) -> GuestSpec:
    return GuestSpec(
        instance_id=instance,
        attempt=Attempt(1),
        name="stray",
        cores=1,
        memory=Mib(128),
        disks=(),
        nics=(),
    )


def test_a_new_cluster_manager_finds_everything_running_and_changes_no_state() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    before = cluster.record(web)

    cluster.kill_manager()
    cluster.start_manager()
    cluster.settle()

    assert cluster.record(web) == before
    assert cluster.running_guests(web) == ["h1"]


def test_an_order_that_died_with_the_cluster_manager_is_given_again() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    cluster.settle()
    node.wire.cut = True
    web = cluster.create("web")
    cluster.settle()
    activating = cluster.state(web)

    cluster.kill_manager()
    node.wire.cut = False
    cluster.start_manager()
    cluster.settle()

    assert activating is S.ACTIVATING
    assert cluster.running_guests(web) == ["h1"]
    assert cluster.record(web).attempt == 1


def test_a_new_node_manager_adopts_its_guests_and_reports_what_happened_meanwhile() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    stays = cluster.create("stays")
    leaves = cluster.create("leaves")
    cluster.settle()
    attempt = cluster.record(stays).attempt

    node.kill()
    node.hypervisor.power_off(leaves)
    node.start()
    cluster.settle()

    assert cluster.state(stays) is S.RUNNING
    assert cluster.record(stays).attempt == attempt
    assert cluster.state(leaves) is None
    assert node.hypervisor.kept() == {stays}


def test_a_silent_host_orphans_its_instances_and_gets_them_back() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()

    node.uplink.cut = node.wire.cut = True
    cluster.let_pass(40)
    lost = cluster.state(web), cluster.record(web).was, cluster.running_guests(web)
    node.uplink.cut = node.wire.cut = False
    cluster.let_pass(30)

    assert lost == (S.ORPHANED, S.RUNNING, ["h1"])
    assert cluster.state(web) is S.RUNNING
    assert cluster.running_guests(web) == ["h1"]


def test_an_instance_of_a_silent_host_is_not_started_elsewhere() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web", on_loss=OnLoss.RESTART)
    cluster.settle()
    cluster.add_node("h2")

    node.uplink.cut = node.wire.cut = True
    cluster.let_pass(300)

    assert cluster.running_guests(web) == ["h1"]
    assert cluster.state(web) is S.ORPHANED


def test_guests_of_a_host_that_was_rebooted_are_started_again_with_their_disks() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web", on_loss=OnLoss.RESTART)
    cluster.settle()
    node.hypervisor.write(web)

    node.reboot(2)
    node.start()
    cluster.settle()
    cluster.let_pass(10)

    assert cluster.running_guests(web) == ["h1"]
    assert cluster.record(web).attempt == 2
    assert node.hypervisor.writes(web) == 1


def test_a_destroy_of_an_orphan_is_carried_out_when_its_host_is_back() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    node.uplink.cut = node.wire.cut = True
    cluster.let_pass(40)

    cluster.command("destroyVm", web)
    cluster.settle()
    waiting = cluster.state(web)
    node.uplink.cut = node.wire.cut = False
    cluster.let_pass(30)

    assert waiting is S.DESTROYING
    assert cluster.state(web) is None
    assert node.hypervisor.kept() == set()


def test_a_guest_without_a_record_is_ended() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    node.kill()
    cluster.command("destroyVm", web)
    cluster.settle()
    cluster.let_pass(40)
    stray = dict(node.notebook.pages())

    node.start()
    cluster.let_pass(2)

    assert stray
    assert cluster.state(web) is None
    assert node.hypervisor.kept() == set()
    assert node.notebook.pages() == {}


def test_a_guest_of_an_instance_that_is_long_over_is_ended_once() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    cluster.settle()
    cluster.scheduling = False
    old = cluster.create("old")
    cluster.command("destroyVm", old)
    node.kill()
    node.hypervisor.start(a_spec(old))

    node.start()
    cluster.settle()
    settled = cluster.manager.ledger.counters
    cluster.let_pass(5)

    assert node.hypervisor.kept() == set()
    assert cluster.manager.ledger.counters == settled


def test_a_host_that_was_removed_while_its_node_lives_registers_itself_anew() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    first = cluster.manager.ledger.books.host_named("h1").id

    cluster.calls(ROOT, Role.ADMIN).call("delHost", HostForm, host_id=first)
    cluster.let_pass(15)
    web = cluster.create("web")
    cluster.settle()

    assert cluster.manager.ledger.books.host_named("h1").id != first
    assert cluster.running_guests(web) == ["h1"]


def test_a_commit_of_unknown_outcome_neither_loses_nor_doubles_an_instance() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    cluster.store.will(Fault.UNKNOWN_KEPT)

    web = cluster.create("web")
    cluster.settle()

    assert [one.name for one in cluster.manager.ledger.books.visible()] == ["web"]
    assert cluster.running_guests(web) == ["h1"]


def test_a_node_with_a_full_disk_takes_no_order_and_takes_it_when_there_is_room() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    cluster.settle()
    node.notebook.is_full = True
    web = cluster.create("web")
    cluster.settle()
    meanwhile = cluster.state(web), cluster.running_guests(web)

    node.notebook.is_full = False
    cluster.let_pass(15)

    assert meanwhile == (S.ACTIVATING, [])
    assert cluster.running_guests(web) == ["h1"]


def test_what_a_dead_host_held_is_freed_as_its_instances_asked() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    again = cluster.create("again", on_loss=OnLoss.RESTART)
    kept = cluster.create("kept", on_loss=OnLoss.STOP)
    over = cluster.create("over", on_loss=OnLoss.FORGET)
    stopped = cluster.create("stopped")
    cluster.settle()
    cluster.command("stopVm", stopped)
    cluster.settle()
    node.kill()
    node.hypervisor.power_cut()
    cluster.let_pass(40)
    cluster.add_node("h2")
    cluster.settle()

    admin = cluster.calls(ROOT, Role.ADMIN)
    dead = cluster.manager.ledger.books.host_named("h1").id
    admin.call("declareHostDead", HostForm, host_id=dead)
    cluster.let_pass(10)
    admin.call("delHost", HostForm, host_id=dead)

    assert cluster.running_guests(again) == ["h2"]
    assert [cluster.state(one) for one in (kept, over)] == [S.STOPPED, None]
    assert cluster.record(stopped).disks_on is None
    assert cluster.record(kept).reason == "h1 was declared dead."


def test_a_host_that_is_up_cannot_be_declared_dead() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()

    with pytest.raises(HostStateError, match="is up"):
        cluster.calls(ROOT, Role.ADMIN).call("declareHostDead", HostForm, host_id=1)
