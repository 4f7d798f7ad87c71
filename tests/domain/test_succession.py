"""When a standby may take over: what it has seen, on its own clock, decides."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.identity import CommitNumber
from tashi.domain.succession import LEFT_SECONDS, MARGIN_SECONDS, Sighting, Vigil

LIMIT = 6.5
LED = Sighting(epoch=3, commit=CommitNumber(70), holder="10.0.0.1:9882")
MOVED = replace(LED, commit=CommitNumber(71))


def after(*looks: tuple[float, Sighting]) -> Vigil:
    """A vigil that saw that at those times."""
    vigil = Vigil(LIMIT)
    for at, seen in looks:
        vigil = vigil.see(seen, at)
    return vigil


def test_nothing_is_claimed_before_the_lease_was_seen() -> None:
    assert not Vigil(LIMIT).is_over


def test_a_lease_that_nobody_has_is_claimed_at_once() -> None:
    assert after((5.0, Sighting())).is_over
    assert after((1.0, LED), (2.0, replace(LED, holder=""))).is_over


def test_a_lease_that_stands_still_is_claimed_after_the_limit_and_not_before() -> None:
    assert not after((100.0, LED), (106.4, LED)).is_over
    assert after((100.0, LED), (103.0, LED), (106.5, LED)).is_over


def test_a_commit_begins_the_wait_anew() -> None:
    assert not after((0.0, LED), (6.0, MOVED), (12.0, MOVED)).is_over


def test_another_reign_begins_the_wait_anew() -> None:
    successor = replace(LED, epoch=4)

    assert not after((0.0, LED), (6.0, successor), (12.0, successor)).is_over


def test_who_could_not_look_for_long_waits_anew() -> None:
    away = after((0.0, LED), (6.0, LED), (60.0, LED))

    assert not away.is_over
    assert away.see(LED, 66.4).is_over is False
    assert away.see(LED, 66.5).is_over


def test_a_lease_that_nobody_has_and_nobody_takes_is_deserted_soon() -> None:
    nobodys = replace(LED, holder="")

    assert not Vigil(LIMIT).is_desertion
    assert not after((0.0, nobodys), (LEFT_SECONDS - 0.1, nobodys)).is_desertion
    assert after((0.0, nobodys), (LEFT_SECONDS, nobodys)).is_desertion


def test_a_lease_that_somebody_has_is_deserted_once_it_stood_still_for_the_limit() -> None:
    assert not after((0.0, LED), (6.4, LED)).is_desertion
    assert not after((0.0, LED), (6.0, MOVED), (12.0, MOVED)).is_desertion
    assert after((0.0, LED), (6.0, LED), (6.5, LED)).is_desertion


def test_a_lease_that_was_just_given_up_is_not_deserted_yet() -> None:
    nobodys = replace(LED, holder="")

    assert not after((0.0, LED), (5.0, nobodys), (6.6, nobodys)).is_desertion


@given(
    commits=st.lists(st.floats(0.01, 3.0), max_size=20),
    looks=st.lists(st.floats(0.1, 6.0), max_size=60),
    lag=st.floats(0.0, 5.0),
)
def test_a_leader_has_fallen_silent_before_a_standby_takes_over(
    commits: list[float], looks: list[float], lag: float
) -> None:
    """Whenever each commit began and is seen; `lag` is how long the last commits took."""
    began, times = 0.0, []
    for pause in commits:
        began += pause
        times.append(began)
    vigil, now = Vigil(LIMIT), 0.0

    for pause in looks:
        now += pause
        number = sum(at + lag <= now for at in times)
        vigil = vigil.see(replace(LED, commit=CommitNumber(number)), now)
        if vigil.is_over:
            proven = [at for at in times if at + lag <= now]
            assert now - max(proven, default=0.0) >= LIMIT - MARGIN_SECONDS
