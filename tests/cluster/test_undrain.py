"""Hosts that are emptied: who may say so, how it is taken back, and what others see of it."""

import pytest

from cluster.draining import a_cluster, act, admin, host, key_of, where
from tashi.domain.errors import HostStateError, NotPermitted
from tashi.domain.permissions import Role
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.wire.answers import WhyForm
from tashi.wire.drains import DrainPlanForm
from tashi.wire.forms import HostForm, VerdictForm


def test_nothing_new_comes_to_a_host_that_is_being_emptied() -> None:
    cluster, (bound,) = a_cluster(1024, guests=1)
    other = cluster.create("other", hints={"targetHost": "h1"})
    cluster.settle()
    act(cluster, "drainHost")
    cluster.settle()
    late = cluster.create("late", hints={"targetHost": "h1"})
    cluster.settle()

    assert cluster.running_guests(bound) == ["h2"]
    assert cluster.running_guests(other) == ["h1"]
    assert cluster.state(late) is S.PENDING
    why = cluster.calls().call("why", WhyForm, instance_id=late)
    assert why.words == (
        "Accepted; the scheduler should find it a host. It waits for h1, the host asked for, which "
        "is being emptied and takes no new instances; the hint allowElsewhere=True would let "
        "another do."
    )


def test_why_says_what_the_emptying_of_its_host_means_for_an_instance() -> None:
    cluster, (paused,) = a_cluster(8192, guests=1)
    cluster.command("pauseVm", paused)
    cluster.settle()
    act(cluster, "drainHost")

    found = cluster.calls().call("why", WhyForm, instance_id=paused)

    assert found.words == (
        "Frozen in the host's memory. Its host h1 is being emptied: it is Paused, and only what "
        "runs can be moved: it will be once unpauseVm lets it run."
    )


def test_what_waits_for_its_disks_on_a_drained_host_says_so() -> None:
    cluster, (stopped,) = a_cluster(8192, guests=1)
    cluster.nodes["h1"].hypervisor.store_fails = "there is no room"
    cluster.command("stopVm", stopped)
    cluster.settle()
    act(cluster, "drainHost")
    cluster.command("startVm", stopped)
    cluster.settle()

    found = cluster.calls().call("why", WhyForm, instance_id=stopped)

    assert found.state is S.PENDING
    assert "It waits for h1, which has its disks, but is being emptied" in found.words


def test_a_drain_that_is_cancelled_leaves_what_has_not_moved_and_opens_the_host() -> None:
    cluster, guests = a_cluster(1024)
    act(cluster, "drainHost")
    cluster.settle()

    host_after = act(cluster, "cancelDrain")
    fresh = cluster.create("fresh", memory=4096)
    cluster.settle()

    assert (host_after.state, host_after.draining) == (HostState.NORMAL, False)
    assert where(cluster, guests) == ["h1", "h1", "h2"]
    assert cluster.running_guests(fresh) == ["h1"]
    with pytest.raises(HostStateError, match="not being emptied"):
        act(cluster, "cancelDrain")


def test_a_cancelled_drain_takes_back_the_moves_under_way() -> None:
    cluster, (guest,) = a_cluster(8192, guests=1)
    cluster.nodes["h2"].wire.cut = True
    act(cluster, "drainHost")
    cluster.settle()
    before = cluster.state(guest)

    act(cluster, "cancelDrain")
    cluster.nodes["h2"].wire.cut = False
    cluster.let_pass(20)

    assert before is S.MIGRATE_PREP
    assert cluster.state(guest) is S.RUNNING
    assert cluster.running_guests(guest) == ["h1"]
    assert cluster.nodes["h2"].hypervisor.kept() == set()


def test_a_host_is_opened_again_with_undrain_while_it_is_emptied_and_after() -> None:
    cluster, guests = a_cluster(1024)
    act(cluster, "drainHost")
    cluster.settle()

    during = act(cluster, "undrainHost")
    cluster.add_node("h3", memory=8192)
    cluster.settle()
    act(cluster, "drainHost")
    cluster.settle()
    drained = host(cluster).state
    after = act(cluster, "undrainHost")

    assert (during.state, during.draining) == (HostState.NORMAL, False)
    assert drained is HostState.DRAINED
    assert after.state is HostState.NORMAL
    assert where(cluster, guests) == ["h2", "h3", "h3"]


def test_to_set_a_host_normal_ends_its_emptying() -> None:
    cluster, guests = a_cluster(1024)
    act(cluster, "drainHost")
    cluster.settle()

    opened = admin(cluster).call(
        "setHostState", HostForm, host_id=key_of(cluster, "h1"), state=HostState.NORMAL
    )

    assert not opened.draining
    assert where(cluster, guests) == ["h1", "h1", "h2"]


def test_a_move_is_checked_once_more_and_refused_with_the_reason() -> None:
    cluster, (guest,) = a_cluster(512, guests=1)
    cluster.scheduling = False
    scheduler = cluster.calls(role=Role.SCHEDULER)
    target = key_of(cluster, "h2")

    def propose() -> VerdictForm:
        proposals = ({"instanceId": guest, "hostId": target},)
        return scheduler.call("moveVms", tuple[VerdictForm, ...], proposals=proposals)[0]

    not_emptied = propose()
    act(cluster, "drainHost")
    no_room = propose()
    cluster.command("pauseVm", guest)
    cluster.settle()
    paused = propose()

    assert not any(one.accepted for one in (not_emptied, no_room, paused))
    assert "is not being emptied" in not_emptied.words
    assert "has 512 of 512 MiB free; 1024 are needed, 512 short" in no_room.words
    assert "(Paused)" in paused.words


@pytest.mark.parametrize("call", ["drainHost", "cancelDrain", "undrainHost", "getDrainPlan"])
def test_only_administrators_empty_hosts(call: str) -> None:
    cluster, _ = a_cluster(guests=0)
    gives = DrainPlanForm if call == "getDrainPlan" else HostForm

    with pytest.raises(NotPermitted):
        cluster.calls().call(call, gives, host_id=key_of(cluster, "h1"))
