"""The books answer from indices; the indices always say what the records say."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples import a_host, running, waiting
from tashi.domain.books import Books, Ids, Usage, books_of
from tashi.domain.catalogue import Network, User
from tashi.domain.errors import NoSuchHost, NoSuchHostId, NoSuchInstance
from tashi.domain.identity import HostId, InstanceId, NetworkId, UserId
from tashi.domain.instance import Disk, Instance, Nic
from tashi.domain.journal import Change, Drop, Kind, Put
from tashi.domain.states import InstanceState, Phase, facts

S = InstanceState
HOSTS = [HostId(1), HostId(2), HostId(3)]
ids = st.integers(1, 5)


@st.composite
def any_instances(draw: st.DrawFn) -> Instance:
    """Any record that the table could make; MACs and persistent disks are the instance's own."""
    number = draw(ids)
    state = draw(st.sampled_from(InstanceState))
    hosts = draw(st.permutations(HOSTS))
    taken = draw(st.sampled_from(sorted(facts(state).hosts)))
    return replace(
        waiting(number, cores=draw(st.integers(1, 4)), group=draw(st.sampled_from(["", "web"]))),
        name=draw(st.sampled_from(["a", "b"])),
        state=state,
        host_id=hosts[0] if taken else None,
        target_id=hosts[1] if taken > 1 else None,
        disks=(Disk("root"), Disk(f"own{number}", persistent=draw(st.booleans()))),
        nics=tuple(Nic(NetworkId(1), f"mac{number}.{n}") for n in range(draw(st.integers(0, 2)))),
        disks_on=draw(st.sampled_from([None, *HOSTS])),
        leftovers=tuple(draw(st.lists(st.sampled_from(HOSTS), unique=True))),
        saved=draw(st.sampled_from([None, "1-7"])),
    )


def changes() -> st.SearchStrategy[list[Change]]:
    puts = st.builds(
        Put,
        any_instances()
        | ids.map(a_host)
        | st.builds(Network, ids.map(NetworkId), st.just("lan"))
        | st.builds(User, ids.map(UserId), st.just("ada")),
    )
    return st.lists(puts | puts | st.builds(Drop, st.sampled_from(Kind), ids), max_size=25)


def applied(some: list[Change]) -> Books:
    books = Books()
    for change in some:
        books = books.apply(change)
    return books


def ids_by(keys: list[tuple[object, InstanceId]]) -> dict[object, set[InstanceId]]:
    return {key: {one for other, one in keys if other == key} for key, _ in keys}


def as_sets(index: Mapping[Any, Ids]) -> dict[object, set[InstanceId]]:
    return {key: set(ids) for key, ids in index.items()}


@given(changes())
def test_every_index_says_what_the_records_say(some: list[Change]) -> None:
    books = applied(some)

    records = list(books.instances.values())
    live = [one for one in records if one.state is not S.EXITED]
    concerned = {
        one.id: {*one.hosts, *one.leftovers, *({one.disks_on} - {None})} for one in records
    }
    held = [one for one in live if one.hosts or one.saved]
    assert as_sets(books.names) == ids_by([(one.name, one.id) for one in live])
    assert as_sets(books.groups) == ids_by(
        [(one.group_name, one.id) for one in live if one.group_name]
    )
    assert dict(books.macs) == {nic.mac: one.id for one in live for nic in one.nics}
    assert as_sets(books.on_host) == ids_by(
        [(host, one.id) for one in records for host in concerned[one.id]]
    )
    assert as_sets(books.disks) == ids_by([(uri, one.id) for one in records for uri in one.images])
    assert dict(books.attached) == {uri: one.id for one in held for uri in one.persistent_disks}
    assert set(books.waiting) == {
        one.id for one in records if facts(one.state).phase is Phase.WAITING
    }


@given(changes())
def test_what_is_taken_of_a_host_is_the_sum_of_what_occupies_it(some: list[Change]) -> None:
    books = applied(some)

    for host in HOSTS:
        there = [one for one in books.instances.values() if host in one.hosts]
        assert books.used(host) == Usage(
            len(there), sum(one.cores for one in there), sum(one.memory for one in there)
        )


@given(changes())
def test_books_are_equal_however_they_came_about(some: list[Change]) -> None:
    books = applied(some)

    again = books_of(
        [
            *books.instances.values(),
            *books.hosts.values(),
            *books.networks.values(),
            *books.users.values(),
        ]
    )

    assert again == books


@given(changes(), changes())
def test_a_snapshot_does_not_change_under_its_reader(
    first: list[Change], then: list[Change]
) -> None:
    snapshot = applied(first)
    copy = applied(first)

    for change in then:
        snapshot.apply(change)

    assert snapshot == copy


def test_an_instance_is_found_by_its_id_and_by_its_name() -> None:
    books = books_of([waiting(1), waiting(2)])

    assert books.named("i2") == [books.instance(InstanceId(2))]


def test_what_is_over_is_not_found_but_still_concerns_its_host() -> None:
    over = replace(waiting(1), state=S.EXITED, leftovers=(HostId(1),))
    books = books_of([over])

    assert books.visible() == []
    assert list(books.concerning(HostId(1))) == [over]
    with pytest.raises(NoSuchInstance, match="There is no instance 1"):
        books.instance(InstanceId(1))
    assert books.named("i1") == []


def test_a_name_that_several_have_finds_them_all() -> None:
    books = books_of([replace(waiting(number), name="web") for number in (2, 1)])

    assert [one.id for one in books.named("web")] == [1, 2]


def test_a_host_is_found_by_its_id_and_by_its_name() -> None:
    books = books_of([a_host(1), a_host(2)])

    assert books.host(HostId(2)) is books.host_named("n2")
    with pytest.raises(NoSuchHostId, match="There is no host 3"):
        books.host(HostId(3))
    with pytest.raises(NoSuchHost, match="There is no host named 'n3'"):
        books.host_named("n3")


def test_instances_are_listed_by_id() -> None:
    books = books_of([waiting(3), running(waiting(1)), waiting(2)])

    assert [one.id for one in books.visible()] == [1, 2, 3]


@pytest.mark.parametrize("kind", Kind)
def test_it_is_known_which_records_there_are(kind: Kind) -> None:
    books = books_of([waiting(1), a_host(1), Network(NetworkId(1), "lan"), User(UserId(1), "ada")])

    assert books.has(kind, 1)
    assert not books.has(kind, 2)


def test_a_disk_of_an_instance_that_is_over_is_free_even_if_its_memory_is_still_there() -> None:
    disks = (Disk("own", persistent=True),)
    asleep = replace(waiting(1), state=S.SUSPENDED, saved="1-7", disks=disks)

    over = replace(asleep, state=S.EXITED, leftovers=(HostId(1),))

    assert dict(books_of([asleep]).attached) == {"own": 1}
    assert dict(books_of([over]).attached) == {}
