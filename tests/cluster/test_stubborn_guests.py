"""A hypervisor that fails for a while: what was asked for happens once it works again."""

from collections.abc import Callable

import pytest

from cluster.cluster import Cluster
from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.domain.states import InstanceState as S
from tashi.ports.hypervisor import GuestSpec, Running


class Stubborn(SimulatedHypervisor):
    """One whose next kills or clearings fail."""

    def __init__(self) -> None:
        super().__init__()
        self.failing_kills = 0
        self.failing_clearings = 0
        self.mistakes = 0

    def start(self, spec: GuestSpec) -> Running:
        self.mistakes -= 1
        if self.mistakes >= 0:
            raise PermissionError("Nobody thought of this.")
        return super().start(spec)

    def kill(self, guest: InstanceId) -> None:
        self.failing_kills -= 1
        if self.failing_kills >= 0:
            raise HypervisorFailed(f"The QEMU of instance {guest} will not die.")
        super().kill(guest)

    def clear(self, guest: InstanceId) -> None:
        self.failing_clearings -= 1
        if self.failing_clearings >= 0:
            raise HypervisorFailed(f"Instance {guest} was not cleared away.")
        super().clear(guest)


def stubborn_cluster() -> tuple[Cluster, Stubborn]:
    cluster = Cluster()
    node = cluster.add_node("h1")
    node.kill()
    hypervisor = Stubborn()
    node.hypervisor = hypervisor
    node.start()
    cluster.settle()
    return cluster, hypervisor


def time_passes(cluster: Cluster) -> None:
    cluster.let_pass(70)


def the_node_manager_restarts(cluster: Cluster) -> None:
    cluster.nodes["h1"].kill()
    cluster.nodes["h1"].start()
    cluster.let_pass(2)


def the_cluster_manager_restarts(cluster: Cluster) -> None:
    cluster.kill_manager()
    cluster.start_manager()
    cluster.let_pass(2)


@pytest.mark.parametrize(
    "later", [time_passes, the_node_manager_restarts, the_cluster_manager_restarts]
)
@pytest.mark.parametrize("failing", ["failing_kills", "failing_clearings"])
def test_a_guest_that_would_not_die_is_killed_again_later(
    failing: str, later: Callable[[Cluster], None]
) -> None:
    cluster, hypervisor = stubborn_cluster()
    web = cluster.create("web")
    cluster.settle()
    setattr(hypervisor, failing, 1)

    cluster.command("destroyVm", web)
    cluster.settle()
    stuck = cluster.state(web)
    later(cluster)

    assert stuck is S.DESTROYING
    assert cluster.state(web) is None
    assert hypervisor.kept() == set()


@pytest.mark.parametrize("later", [the_node_manager_restarts, the_cluster_manager_restarts])
def test_disks_that_could_not_be_removed_are_removed_later(
    later: Callable[[Cluster], None],
) -> None:
    cluster, hypervisor = stubborn_cluster()
    web = cluster.create("web")
    cluster.settle()
    hypervisor.failing_clearings = 1

    hypervisor.power_off(web)
    cluster.settle()
    owed = cluster.record(web).leftovers
    later(cluster)

    assert owed
    assert cluster.state(web) is None
    assert hypervisor.kept() == set()


def test_a_start_that_fails_by_a_mistake_is_held_and_tried_again() -> None:
    cluster, hypervisor = stubborn_cluster()
    hypervisor.mistakes = 1

    web = cluster.create("web")
    cluster.settle()
    held = cluster.record(web)
    cluster.let_pass(5)

    assert held.state is S.HELD
    assert "mistake" in held.reason
    assert cluster.state(web) is S.RUNNING
