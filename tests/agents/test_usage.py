"""Usage out of a journal: only the volumes that matter, gaps named, damage named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.clock import HandTurnedClock
from fakes.history import FakeHistory, instance
from tashi.adapters.accounting.reading import FolderReader
from tashi.adapters.accounting.writing import FolderWriter
from tashi.agents.follower import Follower
from tashi.agents.usage import account
from tashi.domain.errors import Misconfigured
from tashi.domain.identity import UserId
from tashi.domain.states import InstanceState as S

BEGAN = 1_700_000_000.0
DAY = 86_400.0
ADA = UserId(1000)


class Followed:
    """A history, the journal of it in a folder, and the clock of both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.history = FakeHistory()
        self.clock = HandTurnedClock(wall=BEGAN)
        self.journal = FolderWriter(folder)

    def follow(self, volume_bytes: int = 1_000_000) -> None:
        """Write down all that there is to know, with a follower that knows nothing."""
        calls, link = self.history.calls()
        follower = Follower(calls, self.journal, self.clock, volume_bytes)
        while self.journal.next() != self.history.next or not link.sent:
            follower.turn()

    def state(self, key: int, state: S, **more: object) -> None:
        now = self.clock.wall()
        self.history.now = now
        self.history.put(instance(key, state, changed_at=now, **more))

    def seconds(self, begin: float, end: float) -> float:
        used = account(FolderReader(self.folder), begin, end).used
        return sum(one.instance_seconds for one in used.values())


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    made = Followed(tmp_path)
    yield made
    made.journal.close()


def test_what_runs_when_the_journal_begins_is_charged_from_when_it_ran(followed: Followed) -> None:
    followed.state(1, S.RUNNING)
    followed.clock.turn(100.0)
    followed.follow()
    followed.clock.turn(100.0)
    followed.state(1, S.STOPPED)
    followed.follow()

    assert followed.seconds(BEGAN - DAY, BEGAN + DAY) == 200.0


def test_a_question_about_late_days_reads_late_volumes_only(followed: Followed) -> None:
    for _ in range(10):
        followed.state(1, S.RUNNING)
        followed.follow(volume_bytes=1)
        followed.clock.turn(DAY)
    volumes = sorted(followed.folder.glob("0*.jsonl"))
    assert len(volumes) == 5, "one every other day"
    for old in volumes[:2]:
        old.write_bytes(b"nobody reads this")

    assert followed.seconds(BEGAN + 6 * DAY, BEGAN + 8 * DAY) == 2 * DAY


def test_a_question_about_early_days_reads_no_late_volumes(followed: Followed) -> None:
    for _ in range(10):
        followed.state(1, S.RUNNING)
        followed.follow(volume_bytes=1)
        followed.clock.turn(DAY)
    for late in sorted(followed.folder.glob("0*.jsonl"))[2:]:
        late.write_bytes(b"nobody reads this")

    assert followed.seconds(BEGAN, BEGAN + 3 * DAY) == 3 * DAY


def test_a_volume_that_goes_on_where_another_ended_leaves_no_gap(followed: Followed) -> None:
    followed.follow()
    for _ in range(5):
        followed.state(1, S.RUNNING)
        followed.follow(volume_bytes=1)
        followed.clock.turn(60.0)

    found = account(FolderReader(followed.folder), BEGAN, BEGAN + 300.0)

    assert len(list(followed.folder.glob("0*.jsonl"))) > 2
    assert found.used[ADA].instance_seconds == 300.0
    assert found.gaps == ()


def test_a_gap_is_named_and_nothing_in_it_is_guessed(followed: Followed) -> None:
    followed.state(1, S.RUNNING)
    followed.state(2, S.RUNNING)
    followed.follow()
    followed.clock.turn(100.0)
    followed.state(3, S.PENDING)
    followed.follow()
    followed.clock.turn(100.0)
    followed.state(2, S.STOPPED)
    followed.history.kept_from = followed.history.next
    followed.clock.turn(100.0)
    followed.follow()

    found = account(FolderReader(followed.folder), BEGAN, BEGAN + 400.0)

    assert found.used[ADA].instance_seconds == 400.0 + 100.0
    assert found.gaps == ((BEGAN + 100.0, BEGAN + 300.0),)


def test_what_was_before_the_journal_is_a_gap(followed: Followed) -> None:
    followed.follow()

    found = account(FolderReader(followed.folder), BEGAN - DAY, BEGAN + DAY)

    assert found.gaps == ((BEGAN - DAY, BEGAN),)


def test_there_must_be_a_journal(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="There is no journal yet"):
        account(FolderReader(tmp_path), 0.0, 1.0)


def test_damage_is_named_with_its_place(followed: Followed) -> None:
    followed.follow()
    [volume] = followed.folder.glob("0*.jsonl")
    place = volume.stat().st_size
    volume.write_bytes(volume.read_bytes() + b"{}\n")

    with pytest.raises(Misconfigured, match=f"{volume.name} is damaged at byte {place}: "):
        account(FolderReader(followed.folder), BEGAN, BEGAN + 1.0)


def test_a_gap_that_reaches_beyond_what_is_asked_for_is_named(followed: Followed) -> None:
    followed.state(1, S.RUNNING)
    followed.follow()
    followed.clock.turn(DAY)
    followed.state(2, S.PENDING)
    followed.follow()
    followed.clock.turn(10 * DAY)
    followed.state(1, S.STOPPED)
    followed.history.kept_from = followed.history.next
    followed.clock.turn(10 * DAY)
    followed.follow()

    found = account(FolderReader(followed.folder), BEGAN, BEGAN + 5 * DAY)

    assert found.used[ADA].instance_seconds == DAY
    assert found.gaps == ((BEGAN + DAY, BEGAN + 5 * DAY),)


@pytest.mark.parametrize("wrong", ["19700101T000000Z", "20991231T000000Z"])
def test_a_volume_that_was_named_while_the_clock_was_wrong_hides_nothing(
    followed: Followed, wrong: str
) -> None:
    followed.follow()
    for _ in range(8):
        followed.state(1, S.RUNNING)
        followed.follow(volume_bytes=1)
        followed.clock.turn(DAY)
    volumes = sorted(followed.folder.glob("0*.jsonl"))
    assert len(volumes) > 3
    volumes[2].rename(volumes[2].with_name(f"{volumes[2].name[:6]}-{wrong}.jsonl"))

    found = account(FolderReader(followed.folder), BEGAN + 2 * DAY, BEGAN + 8 * DAY)

    assert found.used[ADA].instance_seconds == 6 * DAY
    assert found.gaps == ()
