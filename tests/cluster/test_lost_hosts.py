"""Hosts that fall silent, die, and come back: as they were, rebooted, or with an empty disk."""

from typing import TYPE_CHECKING, Any

import pytest

from cluster.cluster import Cluster, NodeSite
from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.domain.errors import ImagesFailed
from tashi.domain.identity import InstanceId
from tashi.domain.instance import OnLoss, saved_name
from tashi.domain.permissions import ROOT, Role
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import DiskForm, EventsForm, HostForm

if TYPE_CHECKING:
    from concurrent.futures import Future

PERSISTENT = (DiskForm("data.qcow2", persistent=True),)


def a_cluster(**wanted: Any) -> tuple[Cluster, NodeSite, InstanceId]:
    """A cluster of one host, with one guest that runs there."""
    cluster = Cluster()
    site = cluster.add_node("h1")
    cluster.settle()
    web = cluster.create("web", **wanted)
    cluster.settle()
    return cluster, site, web


def saved_on_a_host_that_died(cluster: Cluster, site: NodeSite, one: InstanceId) -> str:
    """The instance is being suspended; its memory is complete, but its host dies unheard."""
    site.uplink.cut = True
    cluster.command("suspendVm", one)
    cluster.settle()
    site.kill()
    record = cluster.record(one)
    name = saved_name(record.id, record.operation)
    assert name in cluster.ether.saved
    assert record.state is S.SUSPENDING
    return name


def come_back(cluster: Cluster, site: NodeSite) -> None:
    site.uplink.cut = site.wire.cut = False
    site.start()
    cluster.settle()


def declare_dead(cluster: Cluster, name: str = "h1") -> HostForm:
    key = cluster.manager.ledger.books.host_named(name).id
    return cluster.calls(ROOT, Role.ADMIN).call("declareHostDead", HostForm, host_id=key)


def test_a_host_that_comes_back_in_the_moment_when_it_would_be_given_up_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, site, web = a_cluster()
    site.kill()
    cluster.let_pass(29)
    cluster.clock.turn(4.0)
    answered = cluster.pump_until

    def with_a_look_at_the_clock(answer: "Future[Any]") -> None:
        cluster.manager.tick()
        answered(answer)

    with monkeypatch.context() as shared:  # one commit for its hello and for the look
        shared.setattr(cluster, "pump_until", with_a_look_at_the_clock)
        come_back(cluster, site)
    cluster.command("pauseVm", web)
    cluster.settle()

    assert cluster.manager.ledger.books.host_named("h1").up
    assert cluster.state(web) is S.PAUSED


def test_what_fell_silent_is_orphaned_and_adopted_again_by_whoever_returns() -> None:
    cluster, site, web = a_cluster()
    site.uplink.cut = site.wire.cut = True
    cluster.let_pass(29)
    before = cluster.state(web)
    cluster.let_pass(3)
    silent = cluster.record(web)
    site.uplink.cut = site.wire.cut = False
    cluster.let_pass(15)

    assert before is S.RUNNING
    assert (silent.state, silent.was) == (S.ORPHANED, S.RUNNING)
    assert "h1 has been silent for" in silent.reason
    assert cluster.state(web) is S.RUNNING
    assert cluster.running_guests(web) == ["h1"]


def test_guests_that_outlived_their_node_manager_are_adopted() -> None:
    cluster, site, web = a_cluster()
    attempt = cluster.record(web).attempt
    site.kill()
    cluster.let_pass(40)
    orphaned = cluster.state(web)

    site.start()
    cluster.settle()

    assert orphaned is S.ORPHANED
    assert cluster.state(web) is S.RUNNING
    assert cluster.record(web).attempt == attempt


@pytest.mark.parametrize("while_away", [10, 60])
@pytest.mark.parametrize(
    ("on_loss", "state"), [(OnLoss.RESTART, S.RUNNING), (OnLoss.STOP, S.STOPPED)]
)
@pytest.mark.parametrize("how", ["reboot", "reimage"])
def test_what_ran_on_a_machine_that_booted_is_proven_gone(
    how: str, on_loss: OnLoss, state: S, while_away: int
) -> None:
    cluster, site, web = a_cluster(on_loss=on_loss)
    attempt = cluster.record(web).attempt
    getattr(site, how)(2)
    cluster.let_pass(while_away)

    come_back(cluster, site)
    cluster.let_pass(10)

    assert cluster.state(web) is state
    assert len(cluster.running_guests(web)) == (state is S.RUNNING)
    assert cluster.record(web).attempt == attempt + (state is S.RUNNING)


def test_an_instance_that_was_to_be_forgotten_is_forgotten_with_its_host() -> None:
    cluster, site, web = a_cluster(on_loss=OnLoss.FORGET)
    site.reimage(2)

    come_back(cluster, site)

    assert cluster.state(web) is None


@pytest.mark.parametrize("while_away", [10, 60])
def test_memory_that_was_saved_before_its_host_was_imaged_anew_is_found(while_away: int) -> None:
    cluster, site, db = a_cluster(disks=PERSISTENT)
    name = saved_on_a_host_that_died(cluster, site, db)
    site.reimage(2)
    cluster.let_pass(while_away)

    come_back(cluster, site)
    suspended = cluster.record(db)
    cluster.add_node("h2")
    site.kill()
    cluster.let_pass(40)
    cluster.command("resumeVm", db)
    cluster.settle()

    assert (suspended.state, suspended.saved, suspended.disks_on) == (S.SUSPENDED, name, None)
    assert cluster.running_guests(db) == ["h2"]


def test_memory_without_the_disks_that_go_with_it_is_given_up_and_it_is_said_why() -> None:
    cluster, site, web = a_cluster(on_loss=OnLoss.STOP)
    name = saved_on_a_host_that_died(cluster, site, web)
    site.reimage(2)

    come_back(cluster, site)

    assert cluster.state(web) is S.STOPPED
    assert cluster.record(web).reason == (
        "It was suspended, but its host has lost its disks, and memory is no use without them."
    )
    assert cluster.images.deleted == [name]


def test_what_was_being_saved_in_vain_when_its_host_died_is_gone() -> None:
    cluster, site, web = a_cluster(on_loss=OnLoss.STOP)
    site.wire.cut = True
    cluster.command("suspendVm", web)
    cluster.settle()
    site.reimage(2)

    come_back(cluster, site)

    assert cluster.state(web) is S.STOPPED


def test_disks_that_lived_on_a_host_are_lost_when_it_comes_back_with_an_empty_disk() -> None:
    cluster, site, web = a_cluster()
    site.hypervisor.store_fails = "there is no room"
    cluster.command("stopVm", web)
    cluster.settle()
    kept = cluster.record(web).disks_on
    site.reimage(2)

    come_back(cluster, site)
    lost = cluster.record(web)
    cluster.command("startVm", web)
    cluster.let_pass(5)

    assert kept is not None
    assert (lost.state, lost.disks_on) == (S.STOPPED, None)
    assert lost.reason == (
        "Its host has come back without its disks: they are lost. startVm begins with fresh ones."
    )
    assert cluster.running_guests(web) == ["h1"]


def test_an_instance_whose_disks_are_all_in_the_store_loses_nothing() -> None:
    cluster, site, db = a_cluster(disks=PERSISTENT)
    site.hypervisor.store_fails = "there is no room"
    cluster.command("suspendVm", db)
    cluster.settle()
    site.reimage(2)

    come_back(cluster, site)

    record = cluster.record(db)
    assert (record.state, record.disks_on, record.reason) == (S.SUSPENDED, None, "")
    assert record.saved in cluster.ether.saved


@pytest.mark.parametrize(
    ("on_loss", "state"), [(OnLoss.RESTART, S.RUNNING), (OnLoss.STOP, S.STOPPED)]
)
def test_disks_that_are_found_missing_at_the_start_are_not_waited_for(
    on_loss: OnLoss, state: S
) -> None:
    cluster, site, web = a_cluster(on_loss=on_loss)
    site.hypervisor.store_fails = "there is no room"
    cluster.command("stopVm", web)
    cluster.settle()
    site.hypervisor.clear(web)

    cluster.command("startVm", web)
    cluster.let_pass(5)

    events = cluster.calls().call("watch", EventsForm, since=1, timeout=0.0).events
    (lost,) = (one for one in events if one.line == "CM VM DISKS LOST")
    assert cluster.state(web) is state
    assert cluster.record(web).disks_on is None
    assert lost.instance is not None
    assert "are gone" in lost.instance.reason
    assert "fresh ones" in lost.instance.reason


@pytest.mark.parametrize(
    ("on_loss", "state"), [(OnLoss.RESTART, S.RUNNING), (OnLoss.STOP, S.STOPPED)]
)
def test_a_guest_of_which_its_restarted_node_finds_nothing_follows_its_on_loss(
    on_loss: OnLoss, state: S
) -> None:
    cluster, site, web = a_cluster(on_loss=on_loss)
    site.kill()
    site.hypervisor = SimulatedHypervisor("h1", cluster.ether)  # the notes are still there

    come_back(cluster, site)
    cluster.let_pass(5)

    assert cluster.state(web) is state
    assert cluster.record(web).disks_on is None
    assert len(cluster.running_guests(web)) == (state is S.RUNNING)


def test_disks_that_vanished_while_their_instance_was_at_rest_are_noticed_at_once() -> None:
    cluster, site, web = a_cluster()
    site.hypervisor.store_fails = "there is no room"
    cluster.command("stopVm", web)
    cluster.settle()
    site.kill()
    site.hypervisor = SimulatedHypervisor("h1", cluster.ether)

    come_back(cluster, site)

    assert (cluster.state(web), cluster.record(web).disks_on) == (S.STOPPED, None)
    assert "they are lost" in cluster.record(web).reason


def test_a_host_that_was_declared_dead_has_its_surplus_guests_killed_when_it_comes_back() -> None:
    cluster, site, web = a_cluster()
    cluster.add_node("h2")
    cluster.settle()
    site.uplink.cut = site.wire.cut = True
    cluster.let_pass(40)

    declare_dead(cluster)
    cluster.let_pass(5)
    twice = sorted(cluster.running_guests(web))
    site.uplink.cut = site.wire.cut = False
    cluster.let_pass(20)

    assert twice == ["h1", "h2"]  # it was not off, as was claimed
    assert cluster.running_guests(web) == ["h2"]
    assert site.hypervisor.kept() == set()


def test_who_declared_a_host_dead_is_in_the_events() -> None:
    cluster, site, web = a_cluster(on_loss=OnLoss.STOP)
    site.kill()
    cluster.let_pass(40)

    declare_dead(cluster)

    events = cluster.calls().call("watch", EventsForm, since=1, timeout=0.0).events
    (dead,) = (one for one in events if one.line == "CM HOST DEAD")
    assert dead.by == "user 0 at here"
    assert cluster.record(web).reason == "h1 was declared dead."


def test_the_store_is_asked_for_saved_memory_before_a_host_is_declared_dead() -> None:
    cluster, site, db = a_cluster(disks=PERSISTENT)
    name = saved_on_a_host_that_died(cluster, site, db)
    cluster.let_pass(40)
    orphaned = cluster.state(db)

    cluster.images.is_away = True
    with pytest.raises(ImagesFailed):
        declare_dead(cluster)
    cluster.images.is_away = False
    cluster.images.saved.add(name)
    declare_dead(cluster)

    assert orphaned is S.ORPHANED
    record = cluster.record(db)
    assert (record.state, record.saved, record.disks_on) == (S.SUSPENDED, name, None)


def test_what_a_dead_host_had_not_saved_follows_its_on_loss() -> None:
    cluster, site, db = a_cluster(disks=PERSISTENT, on_loss=OnLoss.STOP)
    saved_on_a_host_that_died(cluster, site, db)
    cluster.let_pass(40)

    declare_dead(cluster)

    assert cluster.state(db) is S.STOPPED
