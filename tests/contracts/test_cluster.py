"""What every way to the cluster manager promises to those who follow it and propose to it."""

from dataclasses import replace

import pytest

from examples import VERSION, a_host, running, waiting
from fakes.cluster import FakeClusterManager
from tashi.domain.errors import NoSuchInstance, TooOld
from tashi.domain.identity import EventNumber, HostId, InstanceId, NetworkId
from tashi.domain.instance import Listing, ListingStage
from tashi.domain.journal import Put
from tashi.domain.placement.filters import Policy
from tashi.domain.placement.plan import Proposal
from tashi.ports.cluster import ClusterManager

BOOKED, LISTED = ListingStage.BOOKED, ListingStage.LISTED


@pytest.fixture
def fake() -> FakeClusterManager:
    found = FakeClusterManager(Policy(version=VERSION))
    found.put(a_host(), waiting(1), waiting(2, memory=10**6))
    return found


@pytest.fixture
def cluster(fake: FakeClusterManager) -> ClusterManager:
    return fake


def proposal(instance: int) -> Proposal:
    return Proposal(InstanceId(instance), HostId(1))


def test_a_snapshot_has_every_record_and_says_from_where_to_follow(cluster: ClusterManager) -> None:
    snapshot = cluster.snapshot()

    assert {type(one).__name__ for one in snapshot.records} == {"Host", "Instance"}
    assert len(snapshot.records) == 3
    assert cluster.watch(snapshot.next, 0.0).entries == ()


def test_watch_gives_the_events_from_a_number_on_in_order(cluster: ClusterManager) -> None:
    news = cluster.watch(EventNumber(2), 0.0)

    assert [entry.number for entry in news.entries] == [2, 3]
    assert news.entries[0].change == Put(waiting(1))
    assert news.next == 4


def test_events_that_are_no_longer_kept_are_too_old(
    cluster: ClusterManager, fake: FakeClusterManager
) -> None:
    fake.forget()

    with pytest.raises(TooOld):
        cluster.watch(EventNumber(2), 0.0)


def test_every_proposal_gets_a_verdict_of_its_own(cluster: ClusterManager) -> None:
    yes, no = cluster.place([proposal(1), proposal(2)])

    assert (yes.instance_id, yes.accepted) == (1, True)
    assert (no.instance_id, no.accepted) == (2, False)
    assert "short" in no.words


def test_an_accepted_proposal_is_an_event(cluster: ClusterManager) -> None:
    since = cluster.snapshot().next

    cluster.place([proposal(1)])

    (entry,) = cluster.watch(since, 0.0).entries
    assert entry.change.key == 1


def test_a_repeated_proposal_is_refused_and_does_no_harm(cluster: ClusterManager) -> None:
    cluster.place([proposal(1)])

    (again,) = cluster.place([proposal(1)])

    assert not again.accepted


def test_every_proposed_move_gets_a_verdict_of_its_own_and_its_repeat_is_refused(
    cluster: ClusterManager, fake: FakeClusterManager
) -> None:
    emptied = replace(a_host(2), draining=True)
    fake.put(emptied, running(waiting(3), 2), running(waiting(4, memory=10**6), 2))

    yes, no = cluster.move([proposal(3), proposal(4)])
    (again,) = cluster.move([proposal(3)])

    assert (yes.instance_id, yes.accepted) == (3, True)
    assert (no.instance_id, no.accepted) == (4, False)
    assert "short" in no.words
    assert not again.accepted


def test_what_the_site_lost_is_to_be_entered_again(
    cluster: ClusterManager, fake: FakeClusterManager
) -> None:
    listed = Listing("52:54:00:00:00:01", NetworkId(1), "10.0.0.2", "web", stage=LISTED)
    fake.put(replace(waiting(3), listings=(listed,)))

    cluster.relist(InstanceId(3), [listed])
    cluster.relist(InstanceId(3), [listed])

    assert [one.stage for one in fake.books.instances[InstanceId(3)].listings] == [BOOKED]
    with pytest.raises(NoSuchInstance):
        cluster.relist(InstanceId(99), [listed])
