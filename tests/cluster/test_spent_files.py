"""What is at rest in the image store and not needed any more is deleted, whoever dies then."""

import pytest

from cluster.cluster import Cluster
from fakes.faulty_store import Fault
from tashi.domain.identity import InstanceId
from tashi.domain.instance import OnLoss, Spent
from tashi.domain.permissions import ROOT, Role
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import HostForm


class Died(Exception):
    """The cluster manager is no more."""


def asleep() -> tuple[Cluster, InstanceId]:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    cluster.command("suspendVm", web)
    cluster.settle()
    return cluster, web


def die_at(cluster: Cluster, step: str) -> None:
    """Let the cluster manager die when it next comes to that step."""

    def look(now: str) -> None:
        if now == step:
            cluster.on_step = lambda _: None
            raise Died

    cluster.on_step = look


@pytest.mark.parametrize("step", ["committed", "published", "dispatched"])
@pytest.mark.parametrize("name", ["destroyVm", "resumeVm"])
def test_a_cluster_manager_that_dies_with_a_commit_leaves_no_file_behind(
    name: str, step: str
) -> None:
    cluster, web = asleep()
    record = cluster.record(web)

    die_at(cluster, step)
    with pytest.raises(Died):
        cluster.command(name, web)
    cluster.kill_manager()
    cluster.start_manager()
    cluster.let_pass(60)

    assert set(cluster.images.deleted) == {record.saved, f"{record.stored}.disks"}
    assert cluster.state(web) is (None if name == "destroyVm" else S.RUNNING)
    assert name == "destroyVm" or cluster.record(web).spent == ()


def test_what_the_image_store_cannot_delete_is_owed_by_the_next_cluster_manager_too() -> None:
    cluster, web = asleep()
    before = cluster.record(web)
    assert before.saved is not None
    assert before.stored is not None

    cluster.images.is_away = True
    cluster.command("destroyVm", web)
    cluster.let_pass(5)
    owed = cluster.record(web)
    cluster.kill_manager()
    cluster.images.is_away = False
    cluster.start_manager()
    cluster.settle()

    assert owed.state is S.EXITED
    assert set(owed.spent) == {Spent(before.stored), Spent(before.saved, memory=True)}
    assert set(cluster.images.deleted) == {before.saved, f"{before.stored}.disks"}
    assert cluster.state(web) is None


def test_a_deletion_that_cannot_be_crossed_out_now_is_crossed_out_later() -> None:
    cluster, web = asleep()

    cluster.images.is_away = True
    cluster.command("destroyVm", web)
    cluster.settle()
    cluster.store.will(Fault.FAILS, Fault.FAILS)
    cluster.images.is_away = False
    cluster.let_pass(30)

    assert cluster.state(web) is None


def test_the_disks_of_a_host_that_is_declared_dead_while_it_stores_them_are_not_wanted() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    node.hypervisor.store_fails = "No space left on device"
    cluster.command("stopVm", web)
    cluster.settle()

    node.kill()
    cluster.let_pass(60)
    cluster.calls(ROOT, Role.ADMIN).call("declareHostDead", HostForm, host_id=1)
    cluster.settle()

    assert cluster.state(web) is S.STOPPED
    assert cluster.images.deleted == ["1-a1.disks"]
    assert cluster.record(web).spent == ()


def test_what_a_host_that_was_wrongly_declared_dead_saved_is_owed_by_the_next_cluster_manager() -> (
    None
):
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web", on_loss=OnLoss.FORGET)
    cluster.settle()
    node.uplink.cut = True
    cluster.command("suspendVm", web)
    cluster.settle()
    node.wire.cut = True
    cluster.let_pass(60)
    cluster.calls(ROOT, Role.ADMIN).call("declareHostDead", HostForm, host_id=1)
    cluster.settle()
    forgotten = cluster.state(web)

    cluster.images.deleted.clear()
    cluster.images.is_away = True
    node.uplink.cut = node.wire.cut = False
    cluster.let_pass(20)
    cluster.kill_manager()
    cluster.images.is_away = False
    cluster.start_manager()
    cluster.let_pass(20)

    assert forgotten is None
    assert cluster.images.deleted == ["1-2"]
    assert cluster.state(web) is None
    assert node.hypervisor.kept() == set()
