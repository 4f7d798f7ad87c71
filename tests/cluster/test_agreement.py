"""The books, DNS and DHCP held against each other in a whole cluster, and mended by it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cluster.cluster import Cluster
from cluster.test_names import SITE, a_cluster, agree, entry, why
from tashi.domain.differences import DHCP, DNS, Difference, Flaw
from tashi.domain.errors import ServerAway
from tashi.domain.identity import EventNumber, InstanceId, UserId
from tashi.domain.listings import SiteEntry
from tashi.domain.permissions import Role
from tashi.ports.cluster import News
from tashi.scheduler.clerk import Servers
from tashi.scheduler.inspection import PATIENCE_SECONDS, Inspection
from tashi.scheduler.remote import RemoteClusterManager
from tashi.wire.forms import InstanceForm, NicForm

ONE_CARD = (NicForm(1),)
LOST = SiteEntry(InstanceId(999), "lost", "10.0.0.4", "52:54:00:00:09:99")


class Watched(RemoteClusterManager):
    """The cluster manager, in a cluster that works on while somebody waits for it."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.calls(UserId(0), Role.ADMIN))
        self._cluster = cluster

    def watch(self, since: EventNumber, timeout_seconds: float) -> News:
        self._cluster.settle()
        self._cluster.clock.turn(timeout_seconds / 2 + 1)
        return News((), since)


def an_inspection(cluster: Cluster) -> Inspection:
    servers = Servers(cluster.names, cluster.addresses)
    return Inspection(servers, SITE.ranges.values(), Watched(cluster), cluster.clock)


def look(cluster: Cluster) -> Sequence[Difference]:
    return an_inspection(cluster).look(lambda words, done: None).differences


def flaws(found: Sequence[Difference]) -> list[tuple[str, str, Flaw]]:
    return [(one.where, one.entry.name, one.flaw) for one in found]


def mended(cluster: Cluster) -> list[tuple[str, str, Flaw]]:
    """What is left after a look and a repair."""
    an_inspection(cluster).mend(look(cluster))
    return flaws(look(cluster))


def two_guests() -> tuple[Cluster, InstanceId, InstanceId]:
    cluster = a_cluster()
    keys = cluster.create("web", nics=ONE_CARD), cluster.create("db", nics=ONE_CARD)
    cluster.settle()
    return cluster, *keys


def test_a_cluster_that_nobody_meddled_with_agrees() -> None:
    cluster, _, _ = two_guests()

    found = an_inspection(cluster).look(lambda words, done: None)

    assert (found.booked, found.differences, found.unlisted) == (2, [], [])


def test_what_a_server_lost_is_entered_again_by_the_scheduler() -> None:
    cluster, _, _ = two_guests()
    del cluster.names.known["web"]
    cluster.addresses.known.clear()

    before = flaws(look(cluster))

    assert before == [
        (DHCP, "web", Flaw.MISSING),
        (DHCP, "db", Flaw.MISSING),
        (DNS, "web", Flaw.MISSING),
    ]
    assert mended(cluster) == []
    agree(cluster)


def test_what_has_a_wrong_address_gets_the_one_that_is_booked() -> None:
    cluster, web, _ = two_guests()
    cluster.names.known["web"] = replace(entry(cluster, web), ip="10.0.0.4")

    before = flaws(look(cluster))

    assert before == [(DNS, "web", Flaw.WRONG), (DNS, "web", Flaw.LEFT_OVER)]
    assert mended(cluster) == []
    agree(cluster)


def test_what_is_left_over_is_removed_everywhere_also_where_nothing_is_listed() -> None:
    cluster, _, _ = two_guests()
    cluster.names.known["lost"] = cluster.addresses.known["lost"] = LOST
    cluster.addresses.lists = False

    before = flaws(look(cluster))

    assert before == [(DHCP, "lost", Flaw.LEFT_OVER), (DNS, "lost", Flaw.LEFT_OVER)]
    assert mended(cluster) == []
    agree(cluster)


def test_what_is_somebody_elses_is_shown_and_stays_and_is_ours_once_it_is_given_up() -> None:
    cluster, web, _ = two_guests()
    del cluster.names.known["web"]
    cluster.names.others.add("web")

    assert flaws(look(cluster)) == [(DNS, "web", Flaw.TAKEN)]
    assert mended(cluster) == [(DNS, "web", Flaw.TAKEN)]
    assert "somebody else's" in why(cluster, web)
    cluster.names.others.clear()
    cluster.let_pass(PATIENCE_SECONDS)
    assert look(cluster) == []
    agree(cluster)


def test_another_clusters_names_are_not_spoken_of() -> None:
    cluster, _, _ = two_guests()
    theirs = replace(LOST, ip="10.9.9.9")
    cluster.names.known["lost"] = theirs

    assert look(cluster) == []
    assert mended(cluster) == []
    assert cluster.names.known["lost"] == theirs


def test_what_the_scheduler_has_yet_to_remove_is_left_over_and_removed() -> None:
    cluster, web, _ = two_guests()
    cluster.scheduling = False
    cluster.command("destroyVm", web)
    cluster.settle()

    before = look(cluster)
    an_inspection(cluster).mend(before)

    assert flaws(before) == [(DHCP, "web", Flaw.LEFT_OVER), (DNS, "web", Flaw.LEFT_OVER)]
    assert "the scheduler has yet to remove it" in before[0].words
    assert look(cluster) == []
    cluster.scheduling = True
    cluster.settle()
    agree(cluster)


def test_without_a_scheduler_the_repair_gives_up_waiting_and_nothing_is_forgotten() -> None:
    cluster, _, _ = two_guests()
    cluster.scheduling = False
    cluster.names.known.clear()

    assert len(mended(cluster)) == 2

    cluster.scheduling = True
    cluster.settle()
    agree(cluster)


def test_a_repair_of_what_is_gone_meanwhile_enters_nothing() -> None:
    cluster, web, _ = two_guests()
    del cluster.names.known["web"]
    found = look(cluster)

    cluster.command("destroyVm", web)
    cluster.settle()
    an_inspection(cluster).mend(found)

    assert list(cluster.names.known) == ["db"]
    agree(cluster)


def test_a_running_instance_under_another_name_is_repaired_under_that() -> None:
    cluster, web, _ = two_guests()
    cluster.calls().call("renameVm", InstanceForm, instance_id=web, name="www")
    cluster.settle()
    cluster.addresses.known.clear()

    assert mended(cluster) == []
    agree(cluster)


def test_a_server_that_is_away_ends_the_look() -> None:
    cluster, _, _ = two_guests()
    cluster.names.is_away = True

    with pytest.raises(ServerAway):
        look(cluster)
