"""What a plan proposes, in which order it prefers hosts, and what it says of the rest."""

from dataclasses import replace

import pytest

from examples import VERSION, a_host, held, hinting, running, waiting
from tashi.domain.books import Books, books_of
from tashi.domain.engine import Engine, Hardware
from tashi.domain.errors import InvalidInstance
from tashi.domain.identity import HostId, InstanceId, UserId
from tashi.domain.instance import Disk, Instance
from tashi.domain.placement.draft import booked
from tashi.domain.placement.filters import Policy, Rule
from tashi.domain.placement.plan import Plan, Round, plan, slots, why
from tashi.domain.placement.ranking import Ranking
from tashi.domain.states import InstanceState

POLICY = Policy(version=VERSION)
PERSISTENT = (Disk("db.qcow2", persistent=True),)


def planned(books: Books, policy: Policy = POLICY, most: int = 256) -> Plan:
    return plan(books, Ranking(books, policy), Round(list(books.waiting), most=most), policy)


def where(books: Books, policy: Policy = POLICY) -> dict[int, int]:
    """The proposals, as instance: host."""
    return {one.instance_id: one.host_id for one in planned(books, policy).proposals}


def in_order(made: Plan) -> list[int]:
    return [one.instance_id for one in made.proposals]


def words(books: Books) -> str:
    """What is said of the only instance that finds no host."""
    (unplaced,) = planned(books).unplaced
    return str(unplaced)


# ---- room ---------------------------------------------------------------------------------------


def test_instances_are_spread_unless_the_policy_packs_them() -> None:
    books = books_of([a_host(1), a_host(2), running(waiting(9), host=1), waiting(1)])

    assert where(books) == {1: 2}
    assert where(books, replace(POLICY, dense_pack=True)) == {1: 1}


def test_the_hint_dense_pack_overrides_the_policy() -> None:
    hosts = books_of([a_host(1), a_host(2), running(waiting(9), host=1)])
    packed = hosts.put(hinting(waiting(1), densePack="True"))
    spread = hosts.put(hinting(waiting(1), densePack="False"))

    assert where(packed) == {1: 1}
    assert where(spread, replace(POLICY, dense_pack=True)) == {1: 2}


def test_two_proposals_never_ask_for_the_same_room() -> None:
    books = books_of([a_host(1, memory=1024), waiting(1), waiting(2)])

    made = planned(books)

    assert in_order(made) == [1]
    assert [one.instance.id for one in made.unplaced] == [2]


def test_two_proposals_never_attach_the_same_disk() -> None:
    both = [replace(waiting(number), disks=PERSISTENT) for number in (1, 2)]

    assert where(books_of([a_host(1), a_host(2), *both])) == {1: 1}


def test_what_fits_nowhere_never_blocks_the_rest() -> None:
    huge = [waiting(number, memory=10**6) for number in range(1, 50)]

    assert where(books_of([a_host(), *huge, waiting(99)])) == {99: 1}


def test_a_plan_is_no_longer_than_asked_for_and_leaves_the_rest_unsaid() -> None:
    books = books_of([a_host(), *(waiting(number) for number in range(1, 6))])

    made = planned(books, most=2)

    assert in_order(made) == [1, 2]
    assert made.unplaced == ()


def test_ids_that_do_not_wait_are_passed_over() -> None:
    books = books_of([a_host(), running(waiting(1))])
    asked = Round([InstanceId(1), InstanceId(7)])

    assert plan(books, Ranking(books, POLICY), asked, POLICY) == Plan((), (), None)


def test_the_turn_goes_on_where_it_was_in_the_round_before() -> None:
    books = books_of([a_host(), waiting(1, user=1), waiting(2, user=2), held(3, user=1)])
    asked = Round(list(books.waiting), served_last=UserId(1))

    made = plan(books, Ranking(books, POLICY), asked, POLICY)

    assert in_order(made) == [2, 1, 3]
    assert made.served_last == 1


def test_an_instance_with_saved_memory_is_booked_as_resuming() -> None:
    resumed = booked(replace(waiting(), saved="suspend/1"), HostId(1))

    assert resumed.state is InstanceState.RESUMING
    assert booked(waiting(), HostId(1)).state is InstanceState.ACTIVATING


# ---- hints --------------------------------------------------------------------------------------


def test_a_target_host_is_taken_or_nothing() -> None:
    hosts = [a_host(1), a_host(2, memory=512), a_host(3)]

    assert where(books_of([*hosts, hinting(waiting(1), targetHost="n3")])) == {1: 3}
    assert where(books_of([*hosts, hinting(waiting(1), targetHost="2")])) == {}
    assert where(books_of([*hosts, hinting(waiting(1), targetHost="n9")])) == {}


def test_a_target_host_is_preferred_when_elsewhere_is_allowed() -> None:
    hosts = [a_host(1), a_host(2, memory=512), a_host(3, memory=2048)]

    def asked(target: str) -> Books:
        return books_of([*hosts, hinting(waiting(1), targetHost=target, allowElsewhere="yes")])

    assert where(asked("n3")) == {1: 3}
    assert where(asked("n2")) == {1: 1}
    assert where(asked("n9")) == {1: 1}


def test_kept_disks_bind_to_their_host() -> None:
    kept = replace(waiting(1), disks_on=HostId(2))

    assert where(books_of([a_host(1), a_host(2, memory=1024), kept])) == {1: 2}
    assert where(books_of([a_host(1), kept])) == {}


def test_near_goes_where_its_peers_are_also_those_of_the_same_plan() -> None:
    web = [hinting(waiting(number, group="web"), near="group:web") for number in (1, 2, 3)]

    found = where(books_of([a_host(1), a_host(2), a_host(3), *web]))

    assert set(found) == {1, 2, 3}
    assert len(set(found.values())) == 1


def test_away_from_its_own_group_means_a_host_each() -> None:
    web = [hinting(waiting(number, group="web"), away="group:web") for number in (1, 2, 3)]

    made = planned(books_of([a_host(1), a_host(2), *web]))

    assert {one.instance_id: one.host_id for one in made.proposals} == {1: 1, 2: 2}
    assert made.unplaced[0].tally == {Rule.AWAY: 2}


def test_preferences_rank_first_but_keep_nobody_out() -> None:
    peer = running(waiting(9, group="db"), host=2)
    hosts = books_of([a_host(1), a_host(2, memory=4096), peer])
    near = hinting(waiting(1), preferNear="group:db")
    away = hinting(waiting(1), preferAway="group:db")
    both = hinting(waiting(1), preferAway="group:db", preferNear="instance:i9")

    assert where(hosts.put(near)) == {1: 2}
    assert where(hosts.put(away)) == {1: 1}
    assert where(hosts.put(both)) == {1: 1}
    assert where(books_of([a_host(2), peer, away])) == {1: 2}


def test_preferring_to_be_apart_spreads_a_group_over_the_hosts_also_when_packing() -> None:
    web = [hinting(waiting(number, group="web"), preferAway="group:web") for number in (1, 2, 3)]

    found = where(
        books_of([a_host(1), a_host(2), a_host(3), *web]), replace(POLICY, dense_pack=True)
    )

    assert sorted(found.values()) == [1, 2, 3]


def test_a_host_that_refused_before_is_tried_last() -> None:
    books = books_of([a_host(1), a_host(2, memory=2048), waiting(1)])
    refused_by = {InstanceId(1): {HostId(1), HostId(77)}}

    made = plan(
        books, Ranking(books, POLICY), Round([InstanceId(1)], refused_by=refused_by), POLICY
    )

    assert made.proposals[0].host_id == 2


# ---- likes --------------------------------------------------------------------------------------


def test_a_name_that_is_shunned_everywhere_does_not_shut_out_its_likes() -> None:
    loner = hinting(running(waiting(9)), away="instance:i1")

    assert where(books_of([a_host(1), loner, waiting(1), waiting(2)])) == {2: 1}


def test_disks_that_are_taken_do_not_shut_out_the_likes_of_their_instance() -> None:
    holder = running(replace(waiting(9), disks=PERSISTENT))
    wanting = replace(waiting(1), disks=PERSISTENT)

    made = planned(books_of([a_host(1), holder, wanting, waiting(2)]))

    assert in_order(made) == [2]
    assert made.unplaced[0].tally == {Rule.ATTACHED: 1}


def test_one_that_waits_for_company_does_not_shut_out_the_one_that_is_the_company() -> None:
    follower = hinting(waiting(1), near="instance:lead")
    leader = hinting(replace(waiting(2), name="lead"), near="instance:lead")

    assert where(books_of([a_host(1), follower, leader])) == {2: 1}


def test_a_guest_that_no_host_can_go_on_with_does_not_shut_out_those_that_are_booted_anew() -> None:
    host = replace(a_host(1), engine=Engine(qemu="7.2.0", accel="kvm"))
    booted_on = Hardware(machine="pc-q35-7.2", cpu="max", accel="tcg", qemu="7.2.0")
    asleep = replace(waiting(1), saved="1-1", hardware=booted_on)

    made = planned(books_of([host, asleep, waiting(2), replace(waiting(3), hardware=booted_on)]))

    assert in_order(made) == [2, 3]
    assert made.unplaced[0].tally == {Rule.ACCEL: 1}


def test_a_smaller_like_of_what_fits_nowhere_is_still_tried() -> None:
    books = books_of([
        a_host(memory=2048, cores=2), waiting(1, memory=4096), waiting(2, cores=4),
        waiting(3, memory=5000), waiting(4),
    ])  # fmt: skip

    assert where(books) == {4: 1}


# ---- words --------------------------------------------------------------------------------------


def test_the_unplaced_say_how_many_hosts_each_rule_kept_them_off() -> None:
    books = books_of([
        a_host(1, memory=512), a_host(2, cores=1), replace(a_host(3), up=False),
        replace(a_host(4), reserved=(UserId(1),)), waiting(7, cores=2),
    ])  # fmt: skip

    assert words(books) == (
        "None of 4 hosts will do for instance 7 (i7): "
        "closed or full 1, cores or memory 2, reserved 1."
    )


def test_the_unplaced_say_which_rule_left_hosts_out_before_they_were_looked_at() -> None:
    target = hinting(waiting(7), targetHost="n2")

    assert words(books_of([a_host(1), a_host(2, memory=512), a_host(3), target])) == (
        "None of 3 hosts will do for instance 7 (i7): memory 1, targetHost 2."
    )


def test_company_that_is_nowhere_is_the_reason_on_every_host() -> None:
    lonely = hinting(waiting(7), near="group:web")

    assert words(books_of([a_host(1), a_host(2, memory=512), lonely])) == (
        "None of 2 hosts will do for instance 7 (i7): near 2."
    )


def test_a_cluster_without_hosts_says_so() -> None:
    assert words(books_of([waiting(7)])) == (
        "None of 0 hosts will do for instance 7 (i7): there are none."
    )


# ---- slots and why ------------------------------------------------------------------------------


def counted(books: Books, cores: int, memory: int, user: int = 500) -> int:
    return slots(books, POLICY, cores, memory, UserId(user))


def test_slots_are_counted_by_the_scarcer_of_cores_and_memory() -> None:
    books = books_of([a_host(1, memory=4096, cores=8), a_host(2, memory=8192, cores=2)])

    assert counted(books, 1, 1024) == 4 + 2
    assert counted(books, 3, 1024) == 2
    assert counted(books, 1, 8193) == 0


def test_slots_on_a_host_kept_for_others_do_not_count() -> None:
    books = books_of([replace(a_host(cores=3), reserved=(UserId(7),))])

    assert counted(books, 1, 1, user=7) == 3
    assert counted(books, 1, 1, user=8) == 0


@pytest.mark.parametrize(("cores", "memory"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_slots_of_no_size_are_refused(cores: int, memory: int) -> None:
    with pytest.raises(InvalidInstance, match="at least 1 core and 1 MiB"):
        counted(books_of([a_host()]), cores, memory)


def test_as_many_as_there_are_slots_can_be_placed() -> None:
    books = books_of([a_host(1, memory=5000), a_host(2, cores=3)])
    for number in range(1, 20):
        books = books.put(waiting(number))

    assert len(where(books)) == counted(books, 1, 1024)


def test_why_says_for_every_host_by_id_which_rules_fail() -> None:
    one: Instance = waiting(7, cores=9)
    books = books_of([a_host(2, cores=16), a_host(1, memory=512), one])

    found = why(books, one, POLICY)

    assert {key: [refusal.rule for refusal in rules] for key, rules in found.items()} == {
        1: [Rule.CORES, Rule.MEMORY],
        2: [],
    }
    assert list(found) == [1, 2]
