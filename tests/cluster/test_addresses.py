"""Addresses of guests, from the network to the books."""

from cluster.cluster import Cluster
from tashi.domain.identity import HostId, InstanceId
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import InstanceForm

IP = "192.0.2.7"


def a_cluster() -> tuple[Cluster, InstanceId]:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()
    return cluster, web


def say(cluster: Cluster, host: str, web: InstanceId, ip: str, *, given: bool = False) -> None:
    mac = cluster.record(web).nics[0].mac
    cluster.nodes[host].frames.say(f"tashi{web}.0", mac, ip, given=given)
    cluster.settle()


def shown(cluster: Cluster) -> list[str | None]:
    listed = cluster.calls().call("getInstances", tuple[InstanceForm, ...])
    return [nic.ip for one in listed for nic in one.nics]


def test_an_address_that_is_seen_is_kept_on_the_card() -> None:
    cluster, web = a_cluster()

    say(cluster, "h1", web, IP)

    assert shown(cluster) == [IP]
    assert cluster.state(web) is S.RUNNING


def test_it_outlives_the_cluster_manager_and_the_node() -> None:
    cluster, web = a_cluster()
    say(cluster, "h1", web, IP)

    cluster.kill_manager()
    cluster.nodes["h1"].kill()
    cluster.start_manager()
    cluster.nodes["h1"].start()
    cluster.settle()

    assert shown(cluster) == [IP]


def test_what_was_seen_while_the_cluster_manager_was_away_is_heard_of() -> None:
    cluster, web = a_cluster()
    cluster.kill_manager()
    mac = cluster.record(web).nics[0].mac
    node = cluster.nodes["h1"]
    node.frames.say(f"tashi{web}.0", mac, IP)
    assert node.manager is not None
    node.manager.turn(0.0)

    cluster.start_manager()
    cluster.let_pass(15)

    assert shown(cluster) == [IP]


def test_it_moves_with_the_guest_and_is_seen_anew_there() -> None:
    cluster, web = a_cluster()
    say(cluster, "h1", web, IP)
    cluster.add_node("h2")
    cluster.settle()

    cluster.calls().call("migrateVm", InstanceForm, instance_id=web, host_id=HostId(2))
    cluster.settle()
    moved = shown(cluster)
    say(cluster, "h2", web, "192.0.2.9", given=True)

    assert moved == [IP]
    assert shown(cluster) == ["192.0.2.9"]
    assert cluster.nodes["h1"].frames.watched == {}


def test_a_guest_that_starts_again_keeps_what_was_known() -> None:
    cluster, web = a_cluster()
    say(cluster, "h1", web, IP)
    cluster.command("suspendVm", web)
    cluster.settle()
    suspended = shown(cluster)

    cluster.command("resumeVm", web)
    cluster.settle()

    assert suspended == [IP]
    assert (cluster.state(web), shown(cluster)) == (S.RUNNING, [IP])
