"""What books that are put back from a copy may say again, and what never."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.commits import a_commit, an_instance, commit_sequences
from tashi.adapters.store.memory import MemoryStore
from tashi.domain.host import Host
from tashi.domain.identity import (
    Epoch,
    EventNumber,
    HostId,
    InstanceId,
    Operation,
    Session,
)
from tashi.domain.journal import FARTHEST_LEAP, Commit, Counters, Kept, Put
from tashi.domain.restoring import LEAP, restored
from tashi.domain.states import HostState, InstanceState

NOW = 1764000000.5
MICROSECONDS = 1764000000500000


def kept_after(commits: list[Commit]) -> Kept:
    store = MemoryStore()
    for commit in commits:
        store.commit(commit)
    return store.look()


@given(commits=commit_sequences())
def test_all_numbers_but_instances_go_on_at_the_present_microsecond(commits: list[Commit]) -> None:
    back = restored(kept_after(commits), NOW, "restore")

    counters = back.counters
    assert {counters.epoch, counters.session, counters.operation} == {MICROSECONDS}
    assert counters.event >= MICROSECONDS
    assert all(one.event <= counters.event for one in back.answers)


@given(commits=commit_sequences())
def test_events_keep_their_order_without_a_gap(commits: list[Commit]) -> None:
    kept = kept_after(commits)

    back = restored(kept, NOW, "restore")

    numbers = [one.number for one in back.entries]
    assert numbers == list(range(back.counters.event - len(numbers), back.counters.event))
    assert [one.change for one in back.entries][: len(kept.entries)] == [
        one.change for one in kept.entries
    ]


@given(commits=commit_sequences(), more=st.integers(1, 1000))
def test_a_backup_of_restored_books_goes_on_later_still(commits: list[Commit], more: int) -> None:
    once = restored(kept_after(commits), NOW, "restore")
    used = replace(
        once,
        counters=replace(
            once.counters,
            epoch=Epoch(once.counters.epoch + 10 * more),
            session=Session(once.counters.session + more),
            operation=Operation(once.counters.operation + more),
        ),
    )

    again = restored(used, NOW, "restore")

    assert again.counters.epoch >= used.counters.epoch
    assert again.counters.instance == 2 * LEAP
    assert again.counters.lost_from == once.counters.lost_from


def test_ids_of_instances_leap_and_what_was_leapt_over_is_nobodys() -> None:
    counters = Counters(instance=InstanceId(17), host=HostId(4), event=EventNumber(3))

    back = restored(Kept(counters=counters), NOW, "restore").counters

    assert (back.instance, back.host) == (LEAP, 4)
    assert [back.gave_out(InstanceId(one)) for one in (16, 17, LEAP - 1, LEAP)] == [
        *(True, False, False, False),
    ]
    later = replace(back, instance=InstanceId(LEAP + 1))
    assert later.gave_out(InstanceId(LEAP))


def test_ids_that_lost_books_gave_out_are_leapt_over_when_they_are_heard_of() -> None:
    begun = Counters(instance=InstanceId(3)).beyond(InstanceId(5)).beyond(InstanceId(4))
    later = replace(begun, instance=InstanceId(8)).beyond(InstanceId(9))

    assert begun.instance == 6
    assert [begun.gave_out(InstanceId(one)) for one in range(2, 7)] == [True, *[False] * 4]
    assert later.instance == 10
    assert not any(later.gave_out(InstanceId(one)) for one in (4, 9, 10))


def test_an_id_that_is_too_far_away_is_not_leapt_over() -> None:
    counters = Counters(instance=InstanceId(3))

    assert counters.beyond(InstanceId(3 + FARTHEST_LEAP)) == counters
    assert counters.beyond(InstanceId(2 + FARTHEST_LEAP)).instance == 3 + FARTHEST_LEAP


def test_an_administrator_may_say_with_which_id_instances_go_on() -> None:
    back = restored(Kept(counters=Counters()), NOW, "restore", InstanceId(300_000)).counters

    assert (back.instance, back.lost_to) == (300_000, 300_000)


def test_every_host_is_drained_and_the_events_say_so() -> None:
    host = Host(id=HostId(1), name="h1", up=True, draining=True)

    back = restored(kept_after([a_commit(1, Put(host))]), NOW, "ada")

    drained = replace(host, draining=False, state=HostState.DRAINED)
    assert back.records == (drained,)
    last = back.entries[-1]
    assert (last.line, last.by, last.at, last.change) == (
        *("CM HOST DRAINED", "ada", NOW, Put(drained)),
    )


@pytest.mark.parametrize("state", [InstanceState.ACTIVATING, InstanceState.RESUMING])
@pytest.mark.parametrize("host", [0, 1])
def test_what_was_being_started_waits(state: InstanceState, host: int) -> None:
    moving = an_instance(1, state=state, host_id=HostId(host), attempt=1)

    (back,) = restored(Kept(records=(moving,)), NOW, "restore").records

    assert isinstance(back, type(moving))
    assert back.state is InstanceState.PENDING
    assert "when the backup was made" in back.reason


def test_what_runs_stays_as_it_is() -> None:
    running = an_instance(1, state=InstanceState.RUNNING, host_id=HostId(1))

    assert restored(Kept(records=(running,)), NOW, "restore").records == (running,)
