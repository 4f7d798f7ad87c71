"""What is charged to whom: only while a guest is there, once, and never on a guess."""

import pytest

from tashi.domain.identity import InstanceId, Mib, UserId
from tashi.domain.states import InstanceState as S
from tashi.domain.states import facts
from tashi.domain.usage import Standing, Tally, Usage

ADA, BOB = UserId(1000), UserId(1001)
WEB, DB = InstanceId(1), InstanceId(2)
CHARGED = {
    *(S.RUNNING, S.PAUSING, S.PAUSED, S.UNPAUSING, S.SUSPENDING),
    *(S.MIGRATE_PREP, S.MIGRATE_TRANS, S.ALTERING, S.SHUTTING_DOWN),
}


def web(state: S, since: float = 0.0, cores: int = 2, user: UserId = ADA) -> Standing:
    return Standing(WEB, user, cores, Mib(512), state, since)


def db(state: S, since: float = 0.0) -> Standing:
    return Standing(DB, BOB, 1, Mib(1024), state, since)


def seconds(tally: Tally) -> dict[UserId, float]:
    return {user: used.instance_seconds for user, used in tally.result().items()}


@pytest.mark.parametrize("state", S)
def test_an_instance_is_charged_while_its_guest_is_there(state: S) -> None:
    assert facts(state).is_charged is (state in CHARGED)


def test_cores_and_memory_count_for_as_long_as_they_are_had() -> None:
    tally = Tally(0.0, 1000.0)

    tally.happened(100.0, WEB, web(S.RUNNING))
    tally.happened(160.0, WEB, web(S.SUSPENDED))
    tally.happened(500.0, WEB, web(S.RUNNING, cores=4))
    tally.happened(510.0, WEB, None)

    assert tally.result() == {ADA: Usage(1, 70.0, 60.0 * 2 + 10.0 * 4, 70.0 * 512)}


def test_who_changes_from_charged_to_charged_is_charged_all_along() -> None:
    tally = Tally(0.0, 1000.0)

    for at, state in enumerate((S.RUNNING, S.MIGRATE_PREP, S.MIGRATE_TRANS, S.RUNNING, S.PAUSED)):
        tally.happened(float(at), WEB, web(state))
    tally.happened(10.0, WEB, web(S.ORPHANED))

    assert tally.result()[ADA] == Usage(1, 10.0, 20.0, 5120.0)


def test_only_what_lies_in_the_time_asked_for_counts() -> None:
    tally = Tally(100.0, 200.0)

    tally.happened(50.0, WEB, web(S.RUNNING))
    tally.happened(60.0, DB, db(S.RUNNING))
    tally.happened(90.0, DB, None)
    tally.happened(130.0, WEB, None)
    tally.happened(190.0, DB, db(S.RUNNING))
    tally.happened(250.0, DB, None)

    assert seconds(tally) == {ADA: 30.0, BOB: 10.0}


def test_what_still_goes_on_is_charged_until_the_end() -> None:
    tally = Tally(0.0, 100.0)

    tally.stands([web(S.RUNNING, since=40.0), db(S.STOPPED, since=10.0)])

    assert seconds(tally) == {ADA: 60.0}


def test_an_instance_counts_once_however_often_it_runs() -> None:
    tally = Tally(0.0, 100.0)

    tally.happened(10.0, WEB, web(S.RUNNING))
    tally.happened(20.0, WEB, web(S.STOPPED))
    tally.happened(30.0, WEB, web(S.RUNNING))
    tally.happened(40.0, WEB, None)

    assert tally.result()[ADA].instances == 1


def test_a_list_of_what_is_known_changes_nothing() -> None:
    tally = Tally(0.0, 100.0)

    tally.happened(10.0, WEB, web(S.RUNNING, since=10.0))
    tally.happened(20.0, DB, db(S.RUNNING, since=20.0))
    tally.stands([web(S.RUNNING, since=10.0), db(S.RUNNING, since=20.0)])
    tally.happened(50.0, WEB, None)

    assert seconds(tally) == {ADA: 40.0, BOB: 80.0}


def test_where_events_are_missing_only_what_is_proven_is_charged() -> None:
    tally = Tally(0.0, 1000.0)

    tally.happened(10.0, WEB, web(S.RUNNING, since=10.0))
    tally.happened(20.0, DB, db(S.RUNNING, since=20.0))
    tally.heard(100.0)
    tally.stands([web(S.PAUSED, since=400.0)])
    tally.happened(500.0, WEB, None)

    assert seconds(tally) == {ADA: 90.0 + 100.0, BOB: 80.0}


def test_books_that_were_put_back_charge_no_second_twice() -> None:
    tally = Tally(0.0, 1000.0)

    tally.happened(10.0, WEB, web(S.RUNNING, since=10.0))
    tally.happened(100.0, WEB, web(S.PAUSED, since=100.0))
    tally.stands([web(S.RUNNING, since=10.0)])
    tally.happened(150.0, WEB, None)

    assert seconds(tally) == {ADA: 140.0}


def test_a_clock_that_is_put_back_charges_no_second_twice() -> None:
    tally = Tally(0.0, 1000.0)

    tally.happened(100.0, WEB, web(S.RUNNING))
    tally.happened(90.0, WEB, web(S.PAUSED))
    tally.happened(110.0, WEB, None)

    assert seconds(tally) == {ADA: 10.0}


def test_an_event_with_a_wrong_time_spoils_no_account_of_others() -> None:
    tally = Tally(0.0, 1000.0)

    tally.happened(100.0, WEB, web(S.RUNNING))
    tally.happened(9_000.0, DB, db(S.RUNNING))
    tally.happened(160.0, WEB, web(S.STOPPED))
    tally.happened(200.0, DB, None)
    tally.happened(300.0, WEB, web(S.RUNNING))
    tally.happened(350.0, WEB, None)

    assert seconds(tally) == {ADA: 110.0}


def test_a_clock_that_is_put_back_makes_nothing_negative() -> None:
    tally = Tally(0.0, 1000.0)

    tally.happened(100.0, WEB, web(S.RUNNING))
    tally.happened(90.0, WEB, web(S.PAUSED))
    tally.happened(130.0, WEB, None)

    assert seconds(tally) == {ADA: 30.0}
