"""The life of an instance in a whole cluster, from the call of a user to the guest and back."""

import pytest

from cluster.cluster import Cluster
from tashi.domain.errors import IncorrectState, InvalidInstance, NoSuchImage, NotPermitted
from tashi.domain.identity import HostId, InstanceId, UserId
from tashi.domain.instance import OnExit, OnLoss
from tashi.domain.permissions import Role
from tashi.domain.states import InstanceState as S
from tashi.wire.answers import WhyForm
from tashi.wire.forms import DiskForm, InstanceForm, NewInstanceForm, ReportForm, SessionForm


def test_an_instance_that_is_created_runs_on_a_host() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()

    web = cluster.create("web")
    cluster.settle()

    assert cluster.state(web) is S.RUNNING
    assert cluster.running_guests(web) == ["h1"]
    assert cluster.record(web).vm_id is not None
    assert cluster.record(web).nics[0].mac.startswith("52:54:00:")


def test_an_instance_that_wants_no_network_cards_gets_none() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    wanted = NewInstanceForm("alone", (DiskForm("web.qcow2"),), nics=())

    made = cluster.calls().call("createVm", InstanceForm, instance=wanted)

    assert made.nics == ()


def test_a_destroyed_instance_is_gone_from_the_host_and_from_the_books() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()

    cluster.command("destroyVm", web)
    cluster.settle()

    assert cluster.state(web) is None
    assert node.hypervisor.kept() == set()
    assert node.notebook.pages() == {}


def test_where_there_is_no_host_why_says_that() -> None:
    cluster = Cluster()
    web = cluster.create("web")
    cluster.settle()

    why = cluster.calls().call("why", WhyForm, instance_id=web)

    assert "No host has been added yet." in why.words
    assert why.hosts == ()


def test_an_instance_waits_for_a_host_and_why_says_so() -> None:
    cluster = Cluster()
    cluster.add_node("h1", memory=256)
    cluster.settle()
    full = cluster.create("full", memory=256)
    cluster.settle()
    late = cluster.create("late", memory=128)
    cluster.settle()

    why = cluster.calls().call("why", WhyForm, instance_id=late)
    cluster.command("destroyVm", full)
    cluster.settle()

    assert why.words == (
        "Accepted; the scheduler should find it a host. No host takes it now: h1 has 0 of 256 MiB "
        "free; 128 are needed, 128 short."
    )
    assert [reason.short_by for host in why.hosts for reason in host.reasons] == [128]
    assert cluster.state(late) is S.RUNNING


def test_why_names_the_hosts_that_come_nearest_and_none_while_one_has_room() -> None:
    cluster = Cluster()
    for number, taken in enumerate((256, 192, 256, 256), start=1):
        cluster.add_node(f"h{number}", memory=256)
        cluster.settle()
        cluster.create(f"guest{number}", memory=taken, hints={"targetHost": f"h{number}"})
        cluster.settle()

    def why(memory: int) -> str:
        late = cluster.create(f"late{memory}", memory=memory)
        return cluster.calls().call("why", WhyForm, instance_id=late).words

    assert why(64) == "Accepted; the scheduler should find it a host."
    assert why(128).partition("No host takes it now: ")[2] == (
        "h2 has 64 of 256 MiB free; 128 are needed, 64 short; h1 has 0 of 256 MiB free; 128 are "
        "needed, 128 short; h3 has 0 of 256 MiB free; 128 are needed, 128 short; and 1 more."
    )


def test_pause_and_unpause_reach_the_guest() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()

    cluster.command("pauseVm", web)
    cluster.settle()
    paused = cluster.state(web), cluster.running_guests(web)
    cluster.command("unpauseVm", web)
    cluster.settle()

    assert paused == (S.PAUSED, [])
    assert (cluster.state(web), cluster.running_guests(web)) == (S.RUNNING, ["h1"])


def on_the_first_of_two(cluster: Cluster) -> InstanceId:
    """An instance that has written to its disks once, on h1; h2 is there, too."""
    first = cluster.add_node("h1")
    cluster.settle()
    web = cluster.create("web")
    cluster.settle()
    first.hypervisor.write(web)
    cluster.add_node("h2")
    cluster.settle()
    return web


def test_a_stopped_instance_starts_with_its_disks_on_any_host() -> None:
    cluster = Cluster()
    web = on_the_first_of_two(cluster)

    cluster.command("stopVm", web)
    cluster.settle()
    stopped, kept = cluster.record(web), cluster.nodes["h1"].hypervisor.kept()
    cluster.nodes["h1"].kill()
    cluster.let_pass(60)
    cluster.command("startVm", web)
    cluster.settle()

    assert (stopped.state, stopped.disks_on, stopped.leftovers) == (S.STOPPED, None, ())
    assert kept == set()
    assert cluster.running_guests(web) == ["h2"]
    assert cluster.nodes["h2"].hypervisor.writes(web) == 1
    assert cluster.record(web).stored is None
    assert cluster.images.deleted == [f"{stopped.stored}.disks"]


def test_a_suspended_instance_resumes_on_another_host() -> None:
    cluster = Cluster()
    web = on_the_first_of_two(cluster)

    cluster.command("suspendVm", web)
    cluster.settle()
    suspended = cluster.record(web)
    cluster.nodes["h1"].kill()
    cluster.let_pass(60)
    cluster.command("resumeVm", web)
    cluster.settle()

    assert (suspended.disks_on, suspended.stored) == (None, "1-a1")
    assert cluster.running_guests(web) == ["h2"]
    assert cluster.nodes["h2"].hypervisor.writes(web) == 1
    assert cluster.images.deleted == [f"{suspended.stored}.disks", suspended.saved]


def test_disks_that_the_image_store_does_not_take_bind_the_instance_to_their_host() -> None:
    cluster = Cluster()
    web = on_the_first_of_two(cluster)
    cluster.nodes["h1"].hypervisor.store_fails = "No space left on device"

    cluster.command("stopVm", web)
    cluster.settle()
    stopped = cluster.record(web)
    cluster.command("startVm", web)
    cluster.settle()

    assert (stopped.disks_on, stopped.stored) == (1, None)
    assert cluster.running_guests(web) == ["h1"]
    assert cluster.nodes["h1"].hypervisor.writes(web) == 1


def test_why_says_what_keeps_disks_from_the_image_store_until_they_are_there() -> None:
    cluster = Cluster()
    web = on_the_first_of_two(cluster)
    node = cluster.nodes["h1"]
    node.hypervisor.store_fails = "No space left on device."
    cluster.command("stopVm", web)
    cluster.settle()

    before = cluster.calls().call("why", WhyForm, instance_id=web).words
    node.hypervisor.store_fails = ""
    cluster.let_pass(15)
    after = cluster.calls().call("why", WhyForm, instance_id=web).words

    assert "Its disks are on h1 and on their way into the image store." in before
    assert "No space left on device. The next try comes 10 s after this one." in before
    assert cluster.record(web).stored == "1-a1"
    assert "on their way" not in after


def test_a_host_that_comes_back_puts_away_the_disks_it_still_keeps() -> None:
    cluster = Cluster()
    web = on_the_first_of_two(cluster)
    node = cluster.nodes["h1"]
    node.hypervisor.store_fails = "No space left on device"
    cluster.command("stopVm", web)
    cluster.settle()

    node.hypervisor.store_fails = ""
    node.kill()
    node.start()
    cluster.let_pass(5)

    assert cluster.record(web).disks_on is None
    assert cluster.record(web).stored is not None
    assert node.hypervisor.kept() == set()


def test_what_was_stored_too_late_is_removed_from_the_store() -> None:
    cluster = Cluster()
    web = on_the_first_of_two(cluster)
    node = cluster.nodes["h1"]
    node.hypervisor.store_fails = "No space left on device"
    cluster.command("stopVm", web)
    cluster.settle()
    cluster.command("startVm", web)
    cluster.settle()

    late = ReportForm("DisksStored", web, 1, 2, stored="1-a1")
    session = SessionForm(
        1, cluster.manager.ledger.epoch, cluster.manager.ledger.books.host(HostId(1)).session
    )
    node_calls = cluster.calls(role=Role.NODE)
    node_calls.call("reportNode", bool, session=session, number=99, reports=(late,), inventory=None)
    cluster.settle()

    assert cluster.images.deleted == ["1-a1.disks", "1-a1.disks"]
    assert cluster.running_guests(web) == ["h1"]


def test_suspend_frees_the_host_and_resume_goes_on_from_the_saved_memory() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()

    cluster.command("suspendVm", web)
    cluster.settle()
    suspended = cluster.record(web)
    cluster.command("resumeVm", web)
    cluster.settle()

    assert (suspended.state, suspended.host_id) == (S.SUSPENDED, None)
    assert suspended.saved is not None
    assert cluster.state(web) is S.RUNNING
    assert cluster.record(web).saved is None
    assert cluster.images.deleted == [f"{suspended.stored}.disks", suspended.saved]


@pytest.mark.parametrize(
    ("on_exit", "left"), [("forget", None), ("stop", S.STOPPED), ("restart", S.RUNNING)]
)
def test_what_becomes_of_a_guest_that_powers_off_is_the_instances_choice(
    on_exit: str, left: S | None
) -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web", on_exit=OnExit(on_exit))
    cluster.settle()

    node.hypervisor.power_off(web)
    cluster.settle()
    cluster.let_pass(10)

    assert cluster.state(web) is left
    assert cluster.running_guests(web) == (["h1"] if left is S.RUNNING else [])
    assert node.hypervisor.kept() == ({web} if left is S.RUNNING else set())


@pytest.mark.parametrize(
    ("on_loss", "left"), [("forget", None), ("stop", S.STOPPED), ("restart", S.RUNNING)]
)
def test_what_becomes_of_a_guest_that_crashes_is_the_instances_choice(
    on_loss: str, left: S | None
) -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web", on_loss=OnLoss(on_loss))
    cluster.settle()

    node.hypervisor.crash(web)
    cluster.settle()
    cluster.let_pass(10)

    assert cluster.state(web) is left


def test_a_shut_down_guest_that_ignores_the_button_can_still_be_destroyed() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    node.hypervisor.ignores_power_button = True
    web = cluster.create("web")
    cluster.settle()

    cluster.command("shutdownVm", web)
    cluster.settle()
    asked = cluster.state(web)
    cluster.command("destroyVm", web)
    cluster.settle()

    assert asked is S.SHUTTING_DOWN
    assert cluster.state(web) is None


def test_a_start_that_fails_is_held_with_its_reason_and_tried_again() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    node.hypervisor.start_fails = "The image is on fire."
    web = cluster.create("web")
    cluster.settle()
    held = cluster.record(web)

    node.hypervisor.start_fails = ""
    cluster.let_pass(120)

    assert (held.state, held.reason, held.host_id) == (S.HELD, "The image is on fire.", None)
    assert cluster.state(web) is S.RUNNING


def test_a_guest_that_stops_on_a_full_disk_is_shown_as_paused_with_the_reason() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()

    node.hypervisor.freeze(web, "Its disk is full.")
    cluster.settle()

    assert cluster.state(web) is S.PAUSED
    assert cluster.record(web).reason == "Its disk is full."


def test_commands_of_others_and_in_the_wrong_state_are_refused_and_change_nothing() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    before = cluster.record(web)

    with pytest.raises(NotPermitted):
        cluster.calls(UserId(1001)).call("destroyVm", InstanceForm, instance_id=web)
    with pytest.raises(IncorrectState, match="would have to be Suspended"):
        cluster.command("resumeVm", web)

    assert cluster.record(web) == before


def test_bad_wishes_are_refused_in_one_sentence() -> None:
    cluster = Cluster()
    cluster.add_node("h1", memory=1024)
    cluster.settle()
    cluster.create("taken")

    with pytest.raises(NoSuchImage):
        cluster.create("a", disks=(DiskForm("missing.qcow2"),))
    with pytest.raises(InvalidInstance, match="taken"):
        cluster.create("taken")
    with pytest.raises(InvalidInstance, match="more than any host"):
        cluster.create("b", memory=2048)


def test_a_persistent_disk_is_attached_to_one_instance_at_a_time() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    disk = (DiskForm("data.qcow2", persistent=True),)
    first = cluster.create("first", disks=disk)
    cluster.settle()
    second = cluster.create("second", disks=disk)
    cluster.settle()
    states = cluster.state(first), cluster.state(second)

    cluster.command("destroyVm", first)
    cluster.settle()

    assert states == (S.RUNNING, S.PENDING)
    assert cluster.state(second) is S.RUNNING
