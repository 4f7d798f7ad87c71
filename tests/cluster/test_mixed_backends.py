"""A cluster in which some hosts run guests by QEMU alone and others through libvirt."""

from dataclasses import replace

import pytest

from cluster.cluster import Cluster
from cluster.draining import act, key_of
from tashi.domain.engine import LIBVIRT, QEMU
from tashi.domain.errors import NoRoom
from tashi.domain.identity import InstanceId
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import InstanceForm

LARGE = 3000
"""MiB: a host has room for one such guest."""


def join(cluster: Cluster, *names: str) -> None:
    """Add hosts: those with an l run guests through libvirt."""
    for name in names:
        node = cluster.add_node(name)
        node.kill()
        backend = LIBVIRT if name.startswith("l") else QEMU
        node.hypervisor.runs_with = replace(node.hypervisor.runs_with, backend=backend)
        node.start()
        cluster.settle()


def one_guest_on_each(*names: str) -> tuple[Cluster, dict[str, InstanceId]]:
    """Hosts, each with a guest of its own."""
    cluster = Cluster()
    join(cluster, *names)
    guests = [cluster.create(f"vm{number}", memory=LARGE) for number, _ in enumerate(names)]
    cluster.settle()
    return cluster, {cluster.running_guests(guest)[0]: guest for guest in guests}


def test_guests_are_begun_on_hosts_of_both_kinds() -> None:
    _, guests = one_guest_on_each("q1", "l1")

    assert set(guests) == {"q1", "l1"}


def test_a_guest_is_not_moved_to_a_host_of_the_other_kind() -> None:
    cluster, guests = one_guest_on_each("q1")
    join(cluster, "l1")

    with pytest.raises(NoRoom, match="runs guests by libvirt, but it was booted by QEMU alone"):
        cluster.calls().call(
            "migrateVm", InstanceForm, instance_id=guests["q1"], host_id=key_of(cluster, "l1")
        )

    assert cluster.running_guests(guests["q1"]) == ["q1"]


def test_saved_memory_waits_for_a_host_of_its_kind() -> None:
    cluster, guests = one_guest_on_each("l1")
    guest = guests["l1"]
    cluster.command("suspendVm", guest)
    cluster.settle()
    act(cluster, "drainHost", "l1")
    join(cluster, "q1")

    cluster.command("resumeVm", guest)
    cluster.settle()
    waiting = cluster.state(guest)
    join(cluster, "l2")

    assert waiting is S.PENDING
    assert cluster.running_guests(guest) == ["l2"]


def test_hosts_are_emptied_onto_those_of_their_kind() -> None:
    cluster, guests = one_guest_on_each("q1", "l1")
    join(cluster, "q2", "l2")

    for name in guests:
        act(cluster, "drainHost", name)
        cluster.settle()

    assert cluster.running_guests(guests["q1"]) == ["q2"]
    assert cluster.running_guests(guests["l1"]) == ["l2"]


def test_a_stopped_guest_begins_on_a_host_of_the_other_kind() -> None:
    cluster, guests = one_guest_on_each("q1")
    join(cluster, "l1")
    guest, began_on = guests["q1"], []

    for emptied in ("q1", "l1"):
        cluster.command("stopVm", guest)
        cluster.settle()
        act(cluster, "drainHost", emptied)
        cluster.settle()
        cluster.command("startVm", guest)
        cluster.settle()
        began_on.append(cluster.running_guests(guest))
        act(cluster, "undrainHost", emptied)

    assert began_on == [["l1"], ["q1"]]
    assert cluster.record(guest).attempt == len(began_on) + 1
