"""What tests about emptied hosts ask of a whole cluster."""

from cluster.cluster import Cluster
from tashi.domain.host import Host
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.permissions import ROOT, Role
from tashi.domain.placement.fate import Fate
from tashi.wire.calls import Calls
from tashi.wire.drains import DrainPlanForm
from tashi.wire.forms import EventsForm, HostForm


def admin(cluster: Cluster) -> Calls:
    return cluster.calls(ROOT, Role.ADMIN)


def key_of(cluster: Cluster, name: str) -> HostId:
    return cluster.manager.ledger.books.host_named(name).id


def host(cluster: Cluster, name: str = "h1") -> Host:
    return cluster.manager.ledger.books.host_named(name)


def act(cluster: Cluster, call: str, name: str = "h1") -> HostForm:
    return admin(cluster).call(call, HostForm, host_id=key_of(cluster, name))


def plan(cluster: Cluster, name: str = "h1") -> DrainPlanForm:
    return admin(cluster).call("getDrainPlan", DrainPlanForm, host_id=key_of(cluster, name))


def fates(found: DrainPlanForm) -> dict[str, tuple[Fate, str]]:
    return {one.name: (one.fate, one.target) for one in found.instances}


def a_cluster(*others: int, guests: int = 3, wait: bool = True) -> tuple[Cluster, list[InstanceId]]:
    """A host h1 with that many guests of 1 GiB, and other hosts with so much memory."""
    cluster = Cluster()
    cluster.add_node("h1", memory=8192, cores=8)
    cluster.settle()
    made = [cluster.create(f"vm{number}", memory=1024) for number in range(1, guests + 1)]
    if wait:
        cluster.settle()
    for number, memory in enumerate(others, start=2):
        cluster.add_node(f"h{number}", memory=memory, cores=8)
    if wait:
        cluster.settle()
    return cluster, made


def where(cluster: Cluster, guests: list[InstanceId]) -> list[str]:
    return sorted(name for one in guests for name in cluster.running_guests(one))


def lines_of(cluster: Cluster) -> list[str]:
    events = cluster.calls().call("watch", EventsForm, since=1, timeout=0.0)
    return [entry.line for entry in events.events]
