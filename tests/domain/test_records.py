"""Small questions that records answer about themselves."""

from dataclasses import replace

import pytest

from examples import a_host, running, waiting
from tashi.domain.errors import NoRoom, TashiError
from tashi.domain.identity import HostId, UserId
from tashi.domain.instance import Disk
from tashi.domain.journal import Kind, Put
from tashi.domain.states import FACTS, HostState, InstanceState, Phase


def test_an_instance_occupies_its_host_and_its_target() -> None:
    migrating = replace(running(waiting(1)), target_id=HostId(2))

    assert migrating.hosts == (1, 2)
    assert waiting(1).hosts == ()


def test_persistent_disks_are_those_that_keep_what_is_written() -> None:
    one = replace(waiting(1), disks=(Disk("a"), Disk("b", persistent=True)))

    assert one.persistent_disks == ("b",)


def test_records_are_named_for_people() -> None:
    assert str(waiting(1)) == "instance 1 (i1)"
    assert str(a_host(2)) == "host n2"


@pytest.mark.parametrize(("reserved", "kept"), [((), False), ((500,), False), ((501,), True)])
def test_a_host_may_be_kept_for_others(reserved: tuple[int, ...], kept: bool) -> None:
    host = replace(a_host(1), reserved=tuple(map(UserId, reserved)))

    assert host.is_reserved_against(UserId(500)) is kept


def test_a_record_knows_its_kind_and_its_key() -> None:
    put = Put(a_host(2))

    assert (put.kind, put.key) == (Kind.HOST, 2)


def test_states_are_written_as_tashi_writes_them() -> None:
    assert InstanceState.MIGRATE_PREP.title == "MigratePrep"
    assert HostState.VERSION_MISMATCH.title == "VersionMismatch"


def test_states_have_the_numbers_that_tashi_gave_them() -> None:
    assert [(state.value, state.title) for state in InstanceState] == [
        (1, "Pending"), (2, "Activating"), (3, "Running"), (4, "Pausing"), (5, "Paused"),
        (6, "Unpausing"), (7, "Suspending"), (8, "Resuming"), (9, "MigratePrep"),
        (10, "MigrateTrans"), (11, "ShuttingDown"), (12, "Destroying"), (13, "Orphaned"),
        (14, "Held"), (15, "Exited"), (16, "Suspended"), (17, "Stopped"), (18, "Altering"),
    ]  # fmt: skip


def test_every_state_has_facts_and_what_waits_or_is_over_occupies_nothing() -> None:
    assert set(FACTS) == set(InstanceState)
    for facts in FACTS.values():
        assert facts.hosts == {0} or facts.phase not in {Phase.WAITING, Phase.ENDED}


def test_an_error_says_its_kind_and_what_it_is_about() -> None:
    error: TashiError = NoRoom("n1 has 0 cores free.", host=1)

    assert (error.kind, error.errno, error.about) == ("NoRoom", 102, {"host": 1})
    assert error.message == str(error) == "n1 has 0 cores free."
