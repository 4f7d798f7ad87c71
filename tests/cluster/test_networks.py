"""Networks that not every host has: where instances go, where they cannot, and what is said."""

from dataclasses import replace

import pytest

from cluster.cluster import Cluster
from tashi.domain.errors import InvalidInstance, NoRoom
from tashi.domain.identity import HostId, NetworkId
from tashi.domain.permissions import ROOT, Role
from tashi.domain.states import InstanceState as S
from tashi.wire.answers import WhyForm
from tashi.wire.forms import InstanceForm, NetworkForm, NicForm

BOTH = (NicForm(1), NicForm(999))


def a_cluster(**networks: tuple[int, ...] | None) -> Cluster:
    """Hosts of these names with these networks."""
    cluster = Cluster()
    cluster.calls(ROOT, Role.ADMIN).call("addNetwork", NetworkForm, network_id=999, name="lab")
    for name, offered in networks.items():
        site = cluster.add_node(name)
        offer(cluster, name, offered)
        site.kill()
        site.start()
    cluster.settle()
    return cluster


def offer(cluster: Cluster, name: str, networks: tuple[int, ...] | None) -> None:
    site = cluster.nodes[name]
    offered = None if networks is None else tuple(NetworkId(one) for one in networks)
    site.machine = replace(site.machine, networks=offered)


def host_id(cluster: Cluster, name: str) -> HostId:
    return cluster.manager.ledger.books.host_named(name).id


def test_an_instance_goes_to_a_host_that_has_all_its_networks() -> None:
    cluster = a_cluster(h1=(1,), h2=(999,), h3=(1, 999))

    web = cluster.create("web", nics=BOTH)
    cluster.settle()

    assert cluster.record(web).host_id == host_id(cluster, "h3")


def test_it_waits_where_no_host_has_and_why_names_what_is_missing() -> None:
    cluster = a_cluster(h1=(1,))

    web = cluster.create("web", nics=BOTH)
    cluster.settle()
    why = cluster.calls().call("why", WhyForm, instance_id=web)

    assert cluster.state(web) is S.PENDING
    assert "h1" in str(why)
    assert "does not offer network 999 (lab)" in str(why)


def test_a_network_that_a_host_gets_is_told_and_used() -> None:
    cluster = a_cluster(h1=(1,))
    web = cluster.create("web", nics=BOTH)
    cluster.settle()

    offer(cluster, "h1", (1, 999))
    cluster.let_pass(30)

    assert cluster.state(web) is S.RUNNING


def test_a_guest_does_not_move_to_a_host_that_lacks_its_network() -> None:
    cluster = a_cluster(h1=None)
    web = cluster.create("web", nics=BOTH)
    cluster.settle()
    cluster.add_node("h2")
    offer(cluster, "h2", (1,))
    cluster.nodes["h2"].kill()
    cluster.nodes["h2"].start()
    cluster.settle()

    with pytest.raises(NoRoom, match=r"h2, which does not offer network 999 \(lab\)"):
        cluster.calls().call(
            "migrateVm", InstanceForm, instance_id=web, host_id=host_id(cluster, "h2")
        )

    assert cluster.record(web).host_id == host_id(cluster, "h1")


def test_a_mac_address_is_had_by_one_instance_of_the_cluster() -> None:
    cluster = a_cluster(h1=None)
    cluster.create("web", nics=(NicForm(1, "52:54:00:00:00:01"),))

    with pytest.raises(InvalidInstance, match="52:54:00:00:00:01 is taken by instance"):
        cluster.create("mail", nics=(NicForm(999, "52:54:00:00:00:01"),))
