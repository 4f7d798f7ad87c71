"""What guests use and how far their moves are, from a node's word to the list of instances."""

from typing import Any

import pytest

from cluster.cluster import Cluster, NodeSite
from tashi.domain.errors import NoSuchHostId, NoSuchInstance, NotPermitted, StaleSession
from tashi.domain.guest import Glimpse, Progress, Stats
from tashi.domain.identity import InstanceId
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import InstanceState as S
from tashi.nodemanager.remote import RemoteRegistrar
from tashi.wire.calls import to_cluster_manager
from tashi.wire.forms import InstanceForm, SessionForm

STATS = Stats(seconds=15.0, cpu_load=0.25, rss=1000, vsize=2000)
HALF = Progress(done=50, total=100, rate=10.0, words="memory")


class Told:
    """A cluster with one host, and an instance on it that a test tells glimpses of."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.site: NodeSite = self.cluster.add_node("h1")
        self.web = self.cluster.create("web")
        self.cluster.settle()
        calls = to_cluster_manager(self.site.uplink, Caller(Role.NODE, name="h1"))
        self.registrar = RemoteRegistrar(calls)

    @property
    def session(self) -> SessionForm:
        [host] = self.cluster.manager.ledger.books.hosts.values()
        return SessionForm(host.id, self.cluster.manager.ledger.epoch, host.session)

    def glimpse(self, **told: object) -> Glimpse:
        of = {"instance_id": self.web, "operation": self.cluster.record(self.web).operation}
        return Glimpse(**{**of, **told})  # type: ignore[arg-type]

    def shown(self, **asked: Any) -> list[InstanceForm]:
        return list(self.cluster.calls().call("getInstances", tuple[InstanceForm, ...], **asked))


def test_statistics_are_given_to_those_who_ask_for_them() -> None:
    told = Told()

    told.registrar.tell(told.session, [told.glimpse(stats=STATS)])

    [asked] = told.shown(stats=True)
    assert asked.stats is not None
    assert (asked.stats.cpu_load, asked.stats.rss) == (0.25, 1000)
    assert told.shown()[0].stats is None


def test_progress_is_seen_while_it_lasts() -> None:
    told = Told()
    told.site.kill()
    told.cluster.command("suspendVm", told.web)

    told.registrar.tell(told.session, [told.glimpse(progress=HALF)])
    [half_way] = told.shown()
    told.site.start()
    told.cluster.settle()
    [there] = told.shown()

    assert half_way.progress is not None
    assert (half_way.progress.done, half_way.progress.total) == (50, 100)
    assert (there.state, there.progress) == (S.SUSPENDED, None)


def test_nothing_of_it_is_booked() -> None:
    told = Told()
    before = told.cluster.manager.ledger.published

    told.registrar.tell(told.session, [told.glimpse(stats=STATS)])

    assert told.cluster.manager.ledger.published is before


def test_a_new_cluster_manager_knows_nothing_of_it() -> None:
    told = Told()
    told.registrar.tell(told.session, [told.glimpse(stats=STATS)])

    told.cluster.kill_manager()
    told.cluster.start_manager()
    told.cluster.settle()

    assert [one.stats for one in told.shown(stats=True)] == [None]


def test_statistics_of_a_silent_host_are_not_shown_as_if_they_were_new() -> None:
    told = Told()
    told.registrar.tell(told.session, [told.glimpse(stats=STATS)])
    told.site.kill()

    told.cluster.clock.turn(31.0)

    [shown] = told.shown(stats=True)
    assert (shown.decayed, shown.stats) == (True, None)


def test_what_a_node_tells_is_a_sign_of_life() -> None:
    told = Told()
    told.site.kill()
    told.cluster.clock.turn(25.0)
    told.registrar.tell(told.session, [told.glimpse(stats=STATS)])
    told.cluster.clock.turn(25.0)

    assert [one.decayed for one in told.shown()] == [False]


def test_a_session_that_is_over_and_hosts_that_nobody_knows_are_refused() -> None:
    told = Told()
    over = told.session
    told.site.kill()
    told.site.start()
    told.cluster.settle()

    with pytest.raises(StaleSession):
        told.registrar.tell(over, [told.glimpse(stats=STATS)])
    with pytest.raises(NoSuchHostId):
        told.registrar.tell(SessionForm(99, 1, 1), [told.glimpse(stats=STATS)])

    assert [one.stats for one in told.shown(stats=True)] == [None]


def test_only_nodes_may_tell() -> None:
    told = Told()

    with pytest.raises(NotPermitted):
        told.cluster.calls().call("tellGuests", bool, host_id=1, session=1, guests=())


def test_one_instance_can_be_asked_for() -> None:
    told = Told()
    other = told.cluster.create("other")

    assert [one.name for one in told.shown(instance_id=other)] == ["other"]
    with pytest.raises(NoSuchInstance):
        told.shown(instance_id=InstanceId(99))
