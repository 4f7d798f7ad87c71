"""Each rule by itself: when it refuses, in which words, and short by how much."""

from dataclasses import replace

import pytest
from hypothesis import given

import strategies
from examples import VERSION, a_host, hinting, running, waiting
from tashi.domain.books import Books, books_of
from tashi.domain.catalogue import Network, User
from tashi.domain.host import Host
from tashi.domain.identity import HostId, NetworkId, UserId
from tashi.domain.instance import Disk, Instance, Nic
from tashi.domain.placement.filters import (
    Policy,
    Refusal,
    Rule,
    first_refusal,
    is_open,
    refusals,
)
from tashi.domain.states import HostState

POLICY = Policy(version=VERSION)


def the_refusal(books: Books, host: Host, one: Instance, policy: Policy = POLICY) -> Refusal:
    """The only one there is."""
    (found,) = refusals(books, host, one, policy)
    return found


def fits(books: Books, host: Host, one: Instance, policy: Policy = POLICY) -> bool:
    return refusals(books, host, one, policy) == ()


def test_an_open_host_with_room_refuses_nothing() -> None:
    assert fits(Books(), a_host(), waiting())


def test_a_host_that_is_down_is_refused() -> None:
    host = replace(a_host(), up=False)

    assert the_refusal(Books(), host, waiting()) == Refusal(Rule.UP, "is down")


def test_a_drained_host_is_refused() -> None:
    host = replace(a_host(), state=HostState.DRAINED)

    found = the_refusal(Books(), host, waiting())

    assert found == Refusal(Rule.STATE, "is drained and takes no new instances")


@pytest.mark.parametrize("version", ["1.1", "1.0", "1.2", "1.1.7"])
def test_versions_one_minor_number_apart_go_together(version: str) -> None:
    assert fits(Books(), replace(a_host(), version=version), waiting())


@pytest.mark.parametrize("version", ["1.3", "2.1", "0.1", "", "new", "11.1"])
def test_other_versions_are_refused(version: str) -> None:
    found = the_refusal(Books(), replace(a_host(), version=version), waiting())

    assert found == Refusal(Rule.VERSION, f"runs version {version!r}, which does not go with '1.1'")


def test_a_host_marked_for_its_version_is_refused_until_mismatches_are_allowed() -> None:
    host = replace(a_host(), state=HostState.VERSION_MISMATCH)
    relaxed = replace(POLICY, allow_mismatched_versions=True)

    assert the_refusal(Books(), host, waiting()).rule is Rule.VERSION
    assert fits(Books(), host, waiting(), relaxed)


def test_a_reserved_host_names_those_it_is_kept_for() -> None:
    books = books_of([User(UserId(7), "alice")])
    host = replace(a_host(), reserved=(UserId(7), UserId(8)))

    assert the_refusal(books, host, waiting(user=9)).words == "is kept for alice and user 8"
    assert fits(books, host, waiting(user=8))


def test_a_host_that_lacks_a_network_names_it() -> None:
    books = books_of([Network(NetworkId(3), "campus")])
    host = replace(a_host(), networks=(NetworkId(1),))
    nics = tuple(Nic(NetworkId(n), f"52:54:00:00:00:0{n}") for n in (1, 3, 4))

    found = the_refusal(books, host, replace(waiting(), nics=nics))

    assert found == Refusal(Rule.NETWORKS, "does not offer network 3 (campus) and 4")
    assert fits(books, host, replace(waiting(), nics=nics[:1]))


@pytest.mark.parametrize("target", ["n1", "1"])
def test_a_target_host_may_be_called_by_name_or_id(target: str) -> None:
    assert fits(Books(), a_host(1), hinting(waiting(), targetHost=target))


def test_another_host_than_the_target_is_refused_unless_elsewhere_is_allowed() -> None:
    asked = hinting(waiting(), targetHost="n2")
    either = hinting(waiting(), targetHost="n2", allowElsewhere="True")

    found = the_refusal(Books(), a_host(1), asked)

    assert found == Refusal(Rule.TARGET, "is not the host asked for, which is n2")
    assert fits(Books(), a_host(1), either)


@pytest.mark.parametrize(("known", "words"), [(True, "host n2"), (False, "host 2")])
def test_kept_disks_bind_an_instance_to_their_host(known: bool, words: str) -> None:
    books = books_of([a_host(2)]) if known else Books()
    one = replace(waiting(), disks_on=HostId(2))

    found = the_refusal(books, a_host(1), one)

    assert found == Refusal(Rule.DISKS, f"does not have its disks, which {words} has")
    assert fits(books, a_host(2), one)


def test_too_little_memory_is_said_with_numbers() -> None:
    books = books_of([a_host(), running(waiting(9, memory=7168))])

    found = the_refusal(books, a_host(), waiting(memory=4096))

    assert found == Refusal(
        Rule.MEMORY, "has 1024 of 8192 MiB free; 4096 are needed, 3072 short", 3072
    )
    assert fits(books, a_host(), waiting(memory=1024))


def test_too_few_cores_are_said_with_numbers() -> None:
    books = books_of([a_host(), running(waiting(9, cores=7))])

    found = the_refusal(books, a_host(), waiting(cores=4))

    assert found == Refusal(Rule.CORES, "has 1 of 8 cores free; 4 are needed, 3 short", 3)
    assert fits(books, a_host(), waiting(cores=1))


def test_what_is_on_its_way_to_a_host_takes_its_room() -> None:
    migrating = replace(running(waiting(9, memory=8192), host=2), target_id=HostId(1))

    books = books_of([a_host(1), a_host(2), migrating])

    assert the_refusal(books, a_host(1), waiting(memory=1)).short_by == 1


def test_overcommit_promises_more_than_there_is() -> None:
    policy = replace(POLICY, cpu_overcommit=2.0, memory_overcommit=1.15)
    host = a_host(memory=100, cores=4)

    assert fits(Books(), host, waiting(memory=115, cores=8), policy)
    assert the_refusal(Books(), host, waiting(memory=116), policy).short_by == 1
    assert the_refusal(Books(), host, waiting(memory=1, cores=9), policy).short_by == 1


def test_a_persistent_disk_is_attached_to_one_instance_at_a_time() -> None:
    disks = (Disk("root"), Disk("db.qcow2", persistent=True))
    holder = running(replace(waiting(7), disks=disks), host=2)

    found = the_refusal(books_of([holder]), a_host(), replace(waiting(), disks=disks))

    words = "cannot have disk db.qcow2, which is attached to instance 7 (i7)"
    assert found == Refusal(Rule.ATTACHED, words)


def test_an_instance_is_not_in_its_own_way_when_its_disk_is_held_for_its_saved_memory() -> None:
    disks = (Disk("db.qcow2", persistent=True),)
    resumed = replace(waiting(), disks=disks, saved="suspend/1")

    assert fits(books_of([resumed]), a_host(), resumed)


def test_near_wants_one_of_its_peers_on_the_host() -> None:
    books = books_of([running(waiting(8, group="web"), host=1), running(waiting(9), host=2)])
    one = hinting(waiting(), near="group:web+instance:i5")

    found = the_refusal(books, a_host(2), one)

    assert found == Refusal(
        Rule.NEAR, "has none of group web or instance i5, which it must be near"
    )
    assert fits(books, a_host(1), one)


def test_near_is_refused_everywhere_while_no_peer_is_placed() -> None:
    books = books_of([waiting(8, group="web")])

    assert the_refusal(books, a_host(), hinting(waiting(), near="group:web")).rule is Rule.NEAR


def test_the_first_of_a_group_that_wants_to_be_together_goes_anywhere() -> None:
    one = hinting(waiting(1, group="web"), near="group:web")

    alone = books_of([one, waiting(2, group="web")])
    joined = alone.put(running(waiting(2, group="web"), host=2))

    assert fits(alone, a_host(1), one)
    assert the_refusal(joined, a_host(1), one).rule is Rule.NEAR


def test_away_refuses_a_host_with_one_of_its_peers() -> None:
    books = books_of([running(waiting(9, group="db"), host=1)])
    one = hinting(waiting(), away="group:db")

    found = the_refusal(books, a_host(1), one)

    assert found == Refusal(Rule.AWAY, "has instance 9 (i9), and it keeps away from group db")
    assert fits(books, a_host(2), one)


def test_away_works_from_the_other_side_too() -> None:
    loner = hinting(running(waiting(9), host=1), away="instance:i1")

    found = the_refusal(books_of([loner]), a_host(1), waiting(1))

    words = "has instance 9 (i9), which keeps away from instance i1"
    assert found == Refusal(Rule.UNWELCOME, words)
    assert fits(books_of([loner]), a_host(1), waiting(2))


def test_what_only_left_its_disks_on_a_host_is_no_company() -> None:
    gone = hinting(replace(waiting(9, group="db"), disks_on=HostId(1)), away="instance:i1")

    assert fits(books_of([gone]), a_host(1), hinting(waiting(1), away="group:db"))


def test_every_rule_that_refuses_is_named_and_the_first_is_the_first() -> None:
    host = replace(a_host(memory=512, cores=1), up=False, state=HostState.DRAINED)
    one = waiting(memory=1024, cores=2)

    found = refusals(Books(), host, one, POLICY)

    assert [refusal.rule for refusal in found] == [Rule.UP, Rule.STATE, Rule.CORES, Rule.MEMORY]
    assert first_refusal(Books(), host, one, POLICY) == found[0]


def test_an_open_host_is_one_that_takes_somebody() -> None:
    assert is_open(a_host(), POLICY)
    assert not is_open(replace(a_host(), up=False), POLICY)


@given(strategies.books())
def test_there_is_a_first_refusal_exactly_when_there_are_any(books: Books) -> None:
    for host in books.hosts.values():
        for key in books.waiting:
            one = books.instances[key]

            found = refusals(books, host, one, POLICY)

            assert first_refusal(books, host, one, POLICY) == (found[0] if found else None)
