"""Hostile conversations with real daemons: nothing but a refusal, and others never notice."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from system.books import Place
from system.hostile import Attack, Taken, secure_site, taken_by
from system.sites import PATIENCE_SECONDS, Site
from tashi.wire.forms import HostForm

pytestmark = pytest.mark.system

CONVERSATIONS = 400
MOST_MORE_DESCRIPTORS = 8
MOST_MORE_THREADS = 3
MOST_GROWTH_KIB = 40 << 10
"""Of a peak above what a daemon takes before: what every thread keeps for itself by then, but less
than one bomb would fill."""
MOST_SECONDS_FOR_AN_ANSWER = 10.0
"""However much other tests take of the processors."""


class Honest(threading.Thread):
    """Somebody who has business with the cluster meanwhile, on a line of their own."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site
        self._over = threading.Event()
        self.slowest = 0.0
        self.answers = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self._site.another_link() as link:
                calls = self._site.calls_of(link)
                while not self._over.is_set():
                    began = monotonic()
                    calls.call("getHosts", tuple[HostForm, ...])
                    self.slowest = max(self.slowest, monotonic() - began)
                    self.answers += 1
        except BaseException as error:  # noqa: BLE001  # told to the test
            self.error = error

    def end(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture
def site(short_path: Path, books: Place) -> Iterator[Site]:
    site = secure_site(short_path, books)
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


def calmed(site: Site, quiet: list[Taken]) -> bool:
    """Whether the daemons let go, within our patience, of what hostile peers had them hold."""
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        now = [taken_by(one.pid) for one in site.daemons]
        if all(
            later.descriptors <= earlier.descriptors + MOST_MORE_DESCRIPTORS
            for earlier, later in zip(quiet, now, strict=True)
        ):
            return True
        site.now()
    return False


def test_hostile_conversations_get_refusals_and_cost_nothing_that_lasts(site: Site) -> None:
    quiet = [taken_by(one.pid) for one in site.daemons]
    attack = Attack(site, random.Random(20261129))
    honest = Honest(site)
    honest.start()
    try:
        for _ in range(CONVERSATIONS):
            attack.talk()
    finally:
        attack.end()
        honest.end()
    settled = calmed(site, quiet)
    after = [taken_by(one.pid) for one in site.daemons]

    assert not attack.wrongs, attack.wrongs
    assert honest.error is None
    assert honest.answers > CONVERSATIONS
    assert honest.slowest < MOST_SECONDS_FOR_AN_ANSWER
    assert set(attack.answered) <= {"NotLoggedIn", "NotPermitted", "BadRequest"}, attack.answered
    assert attack.answered["NotLoggedIn"] > 20
    assert attack.answered["NotPermitted"] > 20
    assert settled
    for daemon, earlier, later in zip(site.daemons, quiet, after, strict=True):
        assert later.peak - earlier.memory < MOST_GROWTH_KIB, daemon.name
        assert later.threads <= earlier.threads + MOST_MORE_THREADS, daemon.name
    assert all(daemon.is_alive() for daemon in site.daemons)
    assert "Traceback" not in site.story(lines=10**6)
    assert [host.name for host in site.now().hosts] == ["host1"]
