"""When a host counts as lost."""

import pytest

from tashi.domain.identity import HostId
from tashi.domain.liveness import ABSENCE_SECONDS, Watch

HOST, OTHER = HostId(1), HostId(2)
EXPIRY = 30.0


def watched(watch: Watch, until: float) -> Watch:
    """The watch after looking every second."""
    now = watch.looked_at
    while now < until:
        now += 1.0
        watch = watch.look(now)
    return watch


def test_a_host_that_was_never_heard_is_silent_since_our_start() -> None:
    watch = Watch(looked_at=100.0, since=100.0)

    assert watch.silence(HOST, 130.0) == 30.0


def test_a_word_ends_the_silence_of_its_host_only() -> None:
    watch = watched(Watch(looked_at=100.0, since=100.0), 120.0).hear(HOST, 120.0)

    assert watch.silence(HOST, 130.0) == 10.0
    assert watch.silence(OTHER, 130.0) == 30.0


@pytest.mark.parametrize(("now", "lost"), [(130.0, []), (130.5, [HOST])])
def test_a_host_is_lost_after_more_than_the_time_allowed(now: float, lost: list[HostId]) -> None:
    watch = Watch(looked_at=100.0, since=100.0)

    assert watch.lost([HOST], now, EXPIRY) == lost


def test_only_hosts_that_are_asked_about_are_lost() -> None:
    assert Watch(looked_at=0.0, since=0.0).lost([], 100.0, EXPIRY) == []


def test_our_own_absence_starts_every_silence_anew() -> None:
    watch = Watch(looked_at=100.0, since=100.0).hear(HOST, 100.0)

    back = watch.look(100.0 + ABSENCE_SECONDS + 60.0)

    assert back.lost([HOST, OTHER], back.looked_at + EXPIRY, EXPIRY) == []
    assert back.silence(HOST, back.looked_at) == 0.0


def test_a_short_stall_is_no_absence() -> None:
    watch = Watch(looked_at=100.0, since=100.0).hear(HOST, 100.0)

    later = watch.look(100.0 + ABSENCE_SECONDS)

    assert later.silence(HOST, later.looked_at) == ABSENCE_SECONDS


def test_looking_regularly_changes_nothing_about_silence() -> None:
    watch = Watch(looked_at=100.0, since=100.0).hear(HOST, 100.0)

    assert watched(watch, 160.0).silence(HOST, 160.0) == 60.0
