"""Hosts that are emptied, in a whole cluster: the plan, the moves, and what is left."""

from dataclasses import replace

from cluster.draining import a_cluster, act, fates, host, key_of, lines_of, plan, where
from tashi.domain.placement.fate import Fate
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import InstanceForm
from tashi.wire.screens import VncForm


def test_a_drained_host_is_empty_and_every_guest_runs_elsewhere() -> None:
    cluster, guests = a_cluster(2048, 2048)

    begun = act(cluster, "drainHost")
    cluster.settle()

    assert begun.draining
    assert where(cluster, guests) == ["h2", "h2", "h3"]
    assert host(cluster).state is HostState.DRAINED
    assert not host(cluster).draining
    assert lines_of(cluster).count("CM HOST DRAINED") == 1
    assert plan(cluster).instances == ()


def test_a_plan_says_where_each_would_go_and_changes_nothing() -> None:
    cluster, guests = a_cluster(1024, 1024)
    before = cluster.manager.ledger.published.next_event

    found = plan(cluster)
    cluster.settle()

    assert sorted(fates(found).values()) == [("moves", "h2"), ("moves", "h3"), ("stays", "")]
    assert cluster.manager.ledger.published.next_event == before == found.next
    assert where(cluster, guests) == ["h1"] * 3
    (stays,) = (one for one in found.instances if one.fate is Fate.STAYS)
    assert stays.words == (
        "is kept off every other host: h2 has 0 of 1024 MiB free; 1024 are needed, 1024 short; "
        "h3 has 0 of 1024 MiB free; 1024 are needed, 1024 short"
    )
    assert [why.reasons[0].short_by for why in stays.hosts] == [1024, 1024]


def test_the_plan_for_the_only_host_says_that_there_is_no_other() -> None:
    cluster, _ = a_cluster(guests=1)

    (stays,) = plan(cluster).instances

    assert (stays.fate, stays.words) == (Fate.STAYS, "has no other host to go to")


def test_what_cannot_move_is_named_for_as_long_as_it_stays_and_moves_when_it_can() -> None:
    cluster, guests = a_cluster(1024, guests=2)
    act(cluster, "drainHost")
    cluster.settle()
    left = plan(cluster)

    cluster.add_node("h3", memory=1024)
    cluster.settle()

    assert list(fates(left).values()) == [("stays", "")]
    assert left.host.draining
    assert where(cluster, guests) == ["h2", "h3"]
    assert host(cluster).state is HostState.DRAINED


def test_paused_and_bound_instances_stay_with_their_reasons_and_those_at_rest_leave() -> None:
    cluster, (paused, stopped, suspended) = a_cluster(8192)
    bound = cluster.create("bound", hints={"targetHost": "h1"})
    cluster.settle()
    cluster.command("pauseVm", paused)
    cluster.command("stopVm", stopped)
    cluster.command("suspendVm", suspended)
    cluster.settle()

    act(cluster, "drainHost")
    cluster.settle()
    found = {one.name: one.words for one in plan(cluster).instances}
    running = cluster.command("unpauseVm", paused).state
    cluster.settle()

    assert found == {
        "vm1": "is Paused, and only what runs can be moved: it will be once unpauseVm lets it run",
        "bound": "is bound to h1 by its hint targetHost, without allowElsewhere",
    }
    assert running is S.UNPAUSING
    assert cluster.running_guests(paused) == ["h2"]
    assert cluster.running_guests(bound) == ["h1"]
    assert host(cluster).draining


def test_a_guest_that_ignores_its_power_button_is_looked_at_and_ended_as_the_plan_says() -> None:
    cluster, (stubborn,) = a_cluster(8192, guests=1)
    cluster.nodes["h1"].hypervisor.ignores_power_button = True
    cluster.command("stopVm", stubborn)
    cluster.settle()
    act(cluster, "drainHost")
    cluster.let_pass(600)
    (left,) = plan(cluster).instances

    shown = cluster.calls().call("startVnc", VncForm, instance_id=stubborn)
    hidden = cluster.command("stopVnc", stubborn)
    cluster.command("destroyVm", stubborn)
    cluster.settle()

    assert left.words == (
        "was asked to power off, and leaves when it does: destroyVm ends one that never does"
    )
    assert shown.host == "h1"
    assert hidden.state is S.SHUTTING_DOWN
    assert host(cluster).state is HostState.DRAINED


def test_one_that_is_being_altered_is_moved_after_that() -> None:
    cluster, (web,) = a_cluster(8192, guests=1)
    node = cluster.nodes["h1"]
    node.wire.cut = True
    cluster.calls().call("attachDisk", InstanceForm, instance_id=web, disk={"uri": "data.qcow2"})
    act(cluster, "drainHost")
    cluster.settle()
    (meanwhile,) = plan(cluster).instances

    node.wire.cut = False
    cluster.let_pass(5)

    assert meanwhile.fate is Fate.LATER
    assert cluster.running_guests(web) == ["h2"]
    assert host(cluster).state is HostState.DRAINED


def test_the_host_is_drained_when_the_last_that_stayed_is_gone() -> None:
    cluster, (paused,) = a_cluster(8192, guests=1)
    cluster.command("pauseVm", paused)
    cluster.settle()
    act(cluster, "drainHost")
    cluster.settle()
    before = host(cluster).draining

    cluster.command("destroyVm", paused)
    cluster.settle()

    assert before
    assert host(cluster).state is HostState.DRAINED


def test_disks_that_did_not_fit_into_the_store_are_put_there_when_the_host_is_emptied() -> None:
    cluster, (stopped,) = a_cluster(8192, guests=1)
    site = cluster.nodes["h1"].hypervisor
    site.store_fails = "there is no room"
    cluster.command("stopVm", stopped)
    cluster.settle()
    act(cluster, "drainHost")
    cluster.settle()
    (left,) = plan(cluster).instances

    site.store_fails = ""
    act(cluster, "drainHost")
    cluster.settle()

    assert left.words == "is Stopped, and its disks are being put into the image store"
    assert host(cluster).state is HostState.DRAINED
    assert cluster.record(stopped).stored is not None


def test_an_empty_host_is_drained_at_once_and_to_drain_it_again_changes_nothing() -> None:
    cluster, _ = a_cluster(8192, guests=0)

    first = act(cluster, "drainHost")
    events = cluster.manager.ledger.published.next_event
    again = act(cluster, "drainHost")

    assert first.state is again.state is HostState.DRAINED
    assert cluster.manager.ledger.published.next_event == events


def test_the_wish_survives_the_end_of_every_daemon() -> None:
    cluster, guests = a_cluster(8192)
    cluster.scheduling = False
    act(cluster, "drainHost")
    cluster.settle()
    cluster.kill_manager()
    for node in cluster.nodes.values():
        node.kill()
    cluster.start_manager()
    for node in cluster.nodes.values():
        node.start()
    cluster.settle()
    before = where(cluster, guests)

    cluster.scheduling = True
    cluster.settle()

    assert before == ["h1"] * 3
    assert where(cluster, guests) == ["h2"] * 3
    assert host(cluster).state is HostState.DRAINED


def test_moves_that_fail_leave_the_guest_running_and_are_tried_again_with_growing_pauses() -> None:
    cluster, (guest,) = a_cluster(8192, guests=1)
    cluster.nodes["h1"].hypervisor.send_fails = "the cable is out"
    act(cluster, "drainHost")
    cluster.settle()
    first = cluster.record(guest)
    cluster.let_pass(30)
    tries = lines_of(cluster).count("CM VM MIGRATE")
    cluster.nodes["h1"].hypervisor.send_fails = ""
    cluster.let_pass(60)

    assert (first.state, first.host_id) == (S.RUNNING, key_of(cluster, "h1"))
    assert "the cable is out" in first.reason
    assert 3 <= tries <= 6
    assert cluster.running_guests(guest) == ["h2"]
    assert host(cluster).state is HostState.DRAINED


def test_a_host_that_is_silent_while_it_is_emptied_goes_on_when_it_is_back() -> None:
    cluster, guests = a_cluster(guests=2)
    act(cluster, "drainHost")
    cluster.nodes["h1"].uplink.cut = cluster.nodes["h1"].wire.cut = True
    cluster.add_node("h2", memory=8192)
    cluster.let_pass(40)
    silent = plan(cluster)

    cluster.nodes["h1"].uplink.cut = cluster.nodes["h1"].wire.cut = False
    cluster.let_pass(30)

    assert {one.words for one in silent.instances} == {"is Orphaned, and h1 is silent"}
    assert where(cluster, guests) == ["h2", "h2"]
    assert host(cluster).state is HostState.DRAINED


def test_one_host_is_emptied_beside_another_and_neither_takes_from_the_other() -> None:
    cluster, guests = a_cluster(8192, 8192, guests=2)
    act(cluster, "drainHost", "h1")
    act(cluster, "drainHost", "h2")

    cluster.settle()

    assert where(cluster, guests) == ["h3", "h3"]
    assert {host(cluster, name).state for name in ("h1", "h2")} == {HostState.DRAINED}


def test_a_machine_of_the_host_that_boots_while_it_is_emptied_changes_nothing_of_the_wish() -> None:
    cluster, (guest,) = a_cluster(guests=1)
    act(cluster, "drainHost")
    cluster.settle()
    site = cluster.nodes["h1"]

    site.reboot(2)
    site.machine = replace(site.machine, cores=7)
    site.start()
    cluster.settle()

    assert cluster.state(guest) is S.PENDING
    assert host(cluster).cores == 7
    assert host(cluster).draining
