"""Where a follower stands, and what it asks for next."""

from tashi.domain.following import LONGEST_PAUSE_SECONDS, Following
from tashi.domain.identity import EventNumber

AT_FIVE = Following(EventNumber(5))


def test_a_new_follower_needs_a_snapshot_first() -> None:
    assert Following().next is None
    assert Following().is_stale


def test_a_follower_goes_on_where_the_last_answer_ended() -> None:
    assert Following().read(EventNumber(5)) == AT_FIVE
    assert AT_FIVE.read(EventNumber(9)).next == 9
    assert not AT_FIVE.is_stale


def test_numbers_that_run_backwards_call_for_a_snapshot() -> None:
    assert AT_FIVE.read(EventNumber(4)).next is None


def test_a_follower_that_fell_behind_needs_a_snapshot_at_once() -> None:
    assert AT_FIVE.outdated().next is None
    assert AT_FIVE.outdated().pause_seconds == 0.0


def test_silence_makes_stale_and_pauses_grow_up_to_the_longest() -> None:
    silent, pauses = AT_FIVE, []
    for _ in range(2000):
        silent = silent.unanswered()
        pauses.append(silent.pause_seconds)

    assert silent.is_stale
    assert silent.next == 5
    assert pauses[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_only_a_round_with_all_its_answers_ends_the_silence() -> None:
    silent = AT_FIVE.unanswered()

    assert silent.read(EventNumber(6)).is_stale
    assert not silent.read(EventNumber(6)).answered().is_stale
