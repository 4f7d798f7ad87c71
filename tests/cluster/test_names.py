"""Names and addresses in a whole cluster: booked, told to the site, and only then started."""

from dataclasses import replace

import pytest

from cluster.cluster import Cluster
from fakes.hooks import FakeHook
from tashi.domain.errors import AddressTaken
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.listings import SiteEntry
from tashi.domain.pools import Span
from tashi.domain.states import InstanceState as S
from tashi.scheduler.names import Range, Site
from tashi.wire.answers import WhyForm
from tashi.wire.forms import InstanceForm, NicForm

NET = NetworkId(1)
GATEWAY = Span("10.0.0.1", "10.0.0.1")
SITE = Site(ranges={NET: Range(Span("10.0.0.1", "10.0.0.4"), (GATEWAY,))})
ONE_CARD = (NicForm(1),)


def a_cluster(site: Site = SITE, **more: object) -> Cluster:
    cluster = Cluster(site=site, **more)  # type: ignore[arg-type]
    cluster.add_node("h1", memory=8192, cores=8)
    cluster.settle()
    return cluster


def entry(cluster: Cluster, key: InstanceId, card: int = 0) -> SiteEntry:
    one = cluster.record(key).listings[card]
    return SiteEntry(key, one.name, one.ip, one.mac)


def why(cluster: Cluster, key: InstanceId) -> str:
    return cluster.calls().call("why", WhyForm, instance_id=key).words


def agree(cluster: Cluster) -> None:
    """Books, DNS and DHCP say the same."""
    books = cluster.manager.ledger.books
    booked = {
        SiteEntry(one.id, listing.name, listing.ip, listing.mac)
        for one in books.instances.values()
        for listing in one.listings
    }
    assert set(cluster.names.known.values()) == booked
    assert set(cluster.addresses.known.values()) == booked
    ips = [one.ip for one in booked]
    assert len(set(ips)) == len(ips)


def test_an_instance_has_its_name_and_address_before_it_starts_and_none_after_its_end() -> None:
    cluster = a_cluster()
    key = cluster.create("web", nics=(NicForm(1), NicForm(1)))
    cluster.settle()
    record = cluster.record(key)
    there = entry(cluster, key), entry(cluster, key, 1)

    assert record.state is S.RUNNING
    assert [nic.ip for nic in record.nics] == ["10.0.0.2", "10.0.0.3"]
    assert [one.name for one in there] == ["web", "web-nic1"]
    assert cluster.names.known == {one.name: one for one in there} == cluster.addresses.known

    cluster.command("destroyVm", key)
    cluster.settle()

    assert key not in cluster.manager.ledger.books.instances
    assert not cluster.names.known
    assert not cluster.addresses.known


def test_the_hint_sub_domain_goes_behind_the_name() -> None:
    cluster = a_cluster()

    key = cluster.create("web", nics=ONE_CARD, hints={"subDomain": "lab"})
    cluster.settle()

    assert entry(cluster, key).name == "web.lab"


def test_a_requested_address_is_honoured() -> None:
    cluster = a_cluster()

    key = cluster.create("web", nics=(NicForm(1, ip="10.0.0.4"),))
    cluster.settle()

    assert entry(cluster, key).ip == "10.0.0.4"
    with pytest.raises(AddressTaken, match=f"taken by instance {key}"):
        cluster.create("other", nics=(NicForm(1, ip="10.0.0.4"),))


@pytest.mark.parametrize(
    ("ip", "words"),
    [("10.0.0.9", "is not in the range"), ("10.0.0.1", "is kept out of the range")],
)
def test_a_requested_address_that_no_guest_may_have_is_refused_with_the_reason(
    ip: str, words: str
) -> None:
    cluster = a_cluster()

    key = cluster.create("web", nics=(NicForm(1, ip=ip),))
    cluster.settle()

    assert cluster.state(key) is S.PENDING
    assert f"The address {ip} that was asked for {words}" in why(cluster, key)


def test_an_exhausted_range_says_so_and_recovers() -> None:
    cluster = a_cluster()
    first = [cluster.create(f"vm{number}", nics=ONE_CARD) for number in range(3)]
    late = cluster.create("late", nics=ONE_CARD)
    cluster.settle()

    assert cluster.state(late) is S.PENDING
    assert "All addresses of ipRange1 (10.0.0.1-10.0.0.4) are taken" in why(cluster, late)

    cluster.command("destroyVm", first[1])
    cluster.settle()

    assert cluster.state(late) is S.RUNNING
    assert entry(cluster, late).ip == "10.0.0.3"
    agree(cluster)


def test_a_stopped_instance_keeps_its_address() -> None:
    cluster = a_cluster()
    key = cluster.create("web", nics=ONE_CARD)
    cluster.settle()
    before = entry(cluster, key)

    cluster.command("stopVm", key)
    cluster.settle()
    assert cluster.state(key) is S.STOPPED
    cluster.create("other", nics=ONE_CARD)
    cluster.command("startVm", key)
    cluster.settle()

    assert entry(cluster, key) == before
    agree(cluster)


def test_a_server_that_is_away_is_waited_for_and_shown() -> None:
    cluster = a_cluster()
    cluster.names.is_away = True

    key = cluster.create("web", nics=ONE_CARD)
    cluster.settle()
    assert cluster.state(key) is S.PENDING
    assert "Its name and address: DNS is away." in why(cluster, key)
    cluster.names.is_away = False
    cluster.let_pass(5)

    assert cluster.state(key) is S.RUNNING
    assert "DNS" not in why(cluster, key)
    agree(cluster)


def test_or_not_waited_for_if_so_configured_and_told_later() -> None:
    cluster = a_cluster(replace(SITE, starts_without=True))
    cluster.addresses.is_away = True

    key = cluster.create("web", nics=ONE_CARD)
    cluster.settle()
    assert cluster.state(key) is S.RUNNING
    assert "DHCP is away" in why(cluster, key)
    cluster.addresses.is_away = False
    cluster.let_pass(70)

    agree(cluster)


def test_a_name_that_is_not_taken_holds_up_no_other() -> None:
    cluster = a_cluster()
    cluster.names.refused.add("odd")

    odd, web = (cluster.create(name, nics=ONE_CARD) for name in ("odd", "web"))
    cluster.settle()

    assert (cluster.state(odd), cluster.state(web)) == (S.PENDING, S.RUNNING)
    assert "DNS does not take odd." in why(cluster, odd)
    cluster.names.refused.clear()
    cluster.let_pass(5)
    assert cluster.state(odd) is S.RUNNING
    agree(cluster)


def test_what_is_to_be_removed_is_remembered_until_it_is_whoever_dies() -> None:
    cluster = a_cluster()
    key = cluster.create("web", nics=ONE_CARD)
    cluster.settle()
    cluster.names.is_away = cluster.addresses.is_away = True
    cluster.command("destroyVm", key)
    cluster.settle()

    assert cluster.state(key) is S.EXITED
    cluster.kill_manager()
    cluster.start_manager()
    cluster.let_pass(100)
    assert cluster.state(key) is S.EXITED
    cluster.names.is_away = cluster.addresses.is_away = False
    cluster.let_pass(70)

    assert cluster.state(key) is None
    agree(cluster)


def test_an_address_is_not_given_again_before_the_site_has_forgotten_it() -> None:
    cluster = a_cluster()
    keys = [cluster.create(f"vm{number}", nics=ONE_CARD) for number in range(3)]
    cluster.settle()
    cluster.addresses.is_away = True
    cluster.command("destroyVm", keys[0])
    late = cluster.create("late", nics=ONE_CARD)
    cluster.settle()

    assert not cluster.record(late).listings
    cluster.addresses.is_away = False
    cluster.let_pass(70)

    assert cluster.state(late) is S.RUNNING
    agree(cluster)


def test_a_name_that_somebody_else_has_in_dns_is_left_alone_until_the_instance_has_another() -> (
    None
):
    cluster = a_cluster()
    cluster.names.others.add("www")

    key = cluster.create("www", nics=ONE_CARD)
    cluster.settle()
    assert cluster.state(key) is S.PENDING
    assert "somebody else's" in why(cluster, key)
    cluster.calls().call("renameVm", InstanceForm, instance_id=key, name="web")
    cluster.let_pass(5)

    assert cluster.state(key) is S.RUNNING
    assert entry(cluster, key).name == "web"
    agree(cluster)


def test_a_running_instance_that_is_renamed_is_found_under_the_new_name_only() -> None:
    cluster = a_cluster()
    key = cluster.create("web", nics=ONE_CARD)
    cluster.settle()
    ip = entry(cluster, key).ip

    cluster.calls().call("renameVm", InstanceForm, instance_id=key, name="www")
    cluster.settle()

    assert list(cluster.names.known) == ["www"]
    assert entry(cluster, key).ip == ip
    agree(cluster)


def test_a_card_that_is_plugged_in_is_named_and_one_that_is_plugged_out_forgotten() -> None:
    cluster = a_cluster()
    key = cluster.create("web", nics=ONE_CARD)
    cluster.settle()

    cluster.calls().call("attachNic", InstanceForm, instance_id=key, nic=NicForm(1))
    cluster.settle()
    plugged = cluster.record(key).nics[1]
    assert sorted(cluster.names.known) == ["web", "web-nic1"]
    assert plugged.ip == "10.0.0.3"
    cluster.calls().call("detachNic", InstanceForm, instance_id=key, mac=plugged.mac)
    cluster.settle()

    assert list(cluster.names.known) == ["web"]
    agree(cluster)


def test_what_ran_before_there_were_ranges_keeps_the_address_it_was_seen_with() -> None:
    cluster = a_cluster(Site())
    seen = cluster.create("seen", nics=(NicForm(1, mac="52:54:00:00:00:01", ip="10.0.0.2"),))
    quiet = cluster.create("quiet", nics=ONE_CARD)
    cluster.settle()
    cluster.site = SITE
    cluster.start_scheduler()
    new = cluster.create("new", nics=ONE_CARD)
    cluster.settle()

    assert entry(cluster, seen).ip == "10.0.0.2"
    assert not cluster.record(quiet).listings
    assert entry(cluster, new).ip == "10.0.0.3"


def test_a_second_scheduler_gives_nothing_twice() -> None:
    cluster = a_cluster()
    cluster.scheduling = False
    keys = [cluster.create(f"vm{number}", nics=ONE_CARD) for number in range(3)]
    first = cluster._loop
    cluster.start_scheduler()
    cluster.scheduling = True
    for _ in range(6):
        first.turn()
        cluster.settle()

    assert all(cluster.state(key) is S.RUNNING for key in keys)
    agree(cluster)


def test_hooks_are_told_before_the_start_and_after_the_end_and_none_stops_another() -> None:
    broken, notes = FakeHook("Hook broken", fails=True), FakeHook()
    cluster = a_cluster(replace(SITE, has_hooks=True), hooks=(broken, notes))
    key = cluster.create("web", nics=ONE_CARD)
    cluster.settle()
    assert cluster.state(key) is S.RUNNING
    assert notes.told == ["preCreate web"]

    cluster.command("destroyVm", key)
    cluster.settle()

    assert notes.told == ["preCreate web", "postDestroy web"]
    assert cluster.state(key) is None
