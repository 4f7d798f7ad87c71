"""Books that are put back from a backup, under nodes that have gone on since."""

import pytest

from cluster.cluster import Cluster
from fakes.faulty_store import FaultyStore
from tashi.adapters.store.memory import MemoryStore
from tashi.domain.journal import Kept
from tashi.domain.permissions import ROOT, Role
from tashi.domain.restoring import LEAP, restored
from tashi.domain.states import HostState
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import HostForm, InstanceForm


def put_back(cluster: Cluster, backup: Kept) -> None:
    """Lose the books, and go on with those of a backup."""
    cluster.kill_manager()
    store = MemoryStore()
    store.fill(restored(backup, cluster.clock.wall(), "restore"))
    cluster.store = FaultyStore(store)
    cluster.start_manager()
    cluster.let_pass(10)


def open_hosts(cluster: Cluster) -> None:
    for host in list(cluster.manager.ledger.books.hosts):
        cluster.calls(ROOT, Role.ADMIN).call("undrainHost", HostForm, host_id=host)
    cluster.settle()


def test_a_guest_that_is_where_the_backup_has_it_goes_on() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    web = cluster.create("web")
    cluster.settle()

    put_back(cluster, cluster.store.look())

    assert cluster.state(web) is S.RUNNING
    assert cluster.running_guests(web) == ["h1"]
    assert cluster.record(web).attempt == 1


def test_a_guest_of_an_instance_that_the_backup_does_not_know_is_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    backup = cluster.store.look()
    later = cluster.create("later")
    cluster.settle()

    put_back(cluster, backup)
    open_hosts(cluster)
    fresh = cluster.create("fresh")
    cluster.let_pass(60)

    assert cluster.state(later) is None
    assert cluster.running_guests(later) == ["h1"]
    assert f"h1 has a guest with the unknown id {later}: left alone" in caplog.text
    assert fresh == LEAP
    assert cluster.running_guests(fresh) == ["h1"]


def test_a_guest_of_books_that_are_lost_becomes_nobody_elses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    olds = [cluster.create("one"), cluster.create("two")]
    cluster.settle()

    cluster.kill_manager()
    cluster.store = FaultyStore(MemoryStore())
    cluster.start_manager()
    cluster.let_pass(60)
    fresh = cluster.create("fresh")
    cluster.let_pass(60)
    cluster.nodes["h1"].kill()
    cluster.nodes["h1"].start()
    cluster.let_pass(60)
    cluster.calls().call("destroyVm", InstanceForm, instance_id=fresh)
    cluster.let_pass(60)

    assert fresh == max(olds) + 1
    assert [cluster.running_guests(old) for old in olds] == [["h1"], ["h1"]]
    assert "h1 has 2 guests with unknown ids (1, 2): left alone" in caplog.text


def test_guests_of_books_that_are_lost_are_one_line_of_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster()
    cluster.add_node("h1", cores=8)
    cluster.settle()
    olds = [cluster.create(f"i{number}", memory=16) for number in range(8)]
    cluster.settle()

    cluster.kill_manager()
    cluster.store = FaultyStore(MemoryStore())
    cluster.start_manager()
    cluster.let_pass(60)

    assert [cluster.running_guests(old) for old in olds] == [["h1"]] * 8
    lines = [line for line in caplog.text.splitlines() if "left alone" in line]
    assert len(lines) == 1
    assert "h1 has 8 guests with unknown ids (1, 2, 3, 4, 5 and 3 more): left alone" in lines[0]


def test_a_guest_that_the_backup_has_elsewhere_is_ended_before_another_starts() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    web = cluster.create("web")
    target = cluster.add_node("h2")
    cluster.settle()
    backup = cluster.store.look()
    (there,) = [one.id for one in cluster.manager.ledger.books.hosts.values() if one.name == "h2"]
    cluster.calls().call("migrateVm", InstanceForm, instance_id=web, host_id=there)
    cluster.settle()
    moved = cluster.running_guests(web)
    target.kill()

    put_back(cluster, backup)
    waiting, left = cluster.state(web), cluster.running_guests(web)
    target.start()
    cluster.let_pass(10)
    ended = cluster.running_guests(web)
    open_hosts(cluster)

    assert (moved, waiting, left, ended) == (["h2"], S.PENDING, ["h2"], [])
    assert cluster.state(web) is S.RUNNING
    assert len(cluster.running_guests(web)) == 1


def test_an_instance_that_was_being_started_waits_until_a_host_is_opened() -> None:
    cluster = Cluster()
    node = cluster.add_node("h1")
    cluster.settle()
    node.wire.cut = True
    web = cluster.create("web")
    cluster.settle()
    backup = cluster.store.look()
    node.wire.cut = False

    put_back(cluster, backup)
    waiting = cluster.state(web)
    (host,) = cluster.manager.ledger.books.hosts.values()
    state = host.state
    open_hosts(cluster)

    assert (waiting, state) == (S.PENDING, HostState.DRAINED)
    assert cluster.state(web) is S.RUNNING
    assert cluster.running_guests(web) == ["h1"]


def test_who_followed_the_events_that_are_lost_is_told_to_begin_anew() -> None:
    cluster = Cluster()
    cluster.add_node("h1")
    cluster.settle()
    backup = cluster.store.look()
    cluster.create("later")
    cluster.settle()
    followed = cluster.manager.ledger.published.next_event

    put_back(cluster, backup)

    assert cluster.manager.ledger.history.oldest > followed
