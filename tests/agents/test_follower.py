"""The journal has every event once, whoever was away, and says so where it cannot."""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fakes.clock import HandTurnedClock
from fakes.history import FakeHistory, instance
from tashi.adapters.accounting.reading import FolderReader
from tashi.adapters.accounting.writing import FolderWriter
from tashi.agents.follower import Follower
from tashi.domain.errors import NotPermitted, PeerSilent
from tashi.domain.states import InstanceState as S

MUCH = 1_000_000


@pytest.fixture
def history() -> FakeHistory:
    return FakeHistory()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FolderWriter]:
    made = FolderWriter(tmp_path)
    yield made
    made.close()


def a_follower(history: FakeHistory, journal: FolderWriter, volume_bytes: int = MUCH) -> Follower:
    return Follower(history.calls()[0], journal, HandTurnedClock(), volume_bytes)


def written(folder: Path) -> list[list[int]]:
    """For each volume, where it begins and which events it has."""
    reader = FolderReader(folder)
    found = []
    for volume in reader.volumes():
        first, *others = [msgspec.json.decode(line) for line, _ in reader.lines(volume)]
        found.append([first["next"], *(one["number"] for one in others)])
    return found


def test_it_begins_with_how_things_stand(
    history: FakeHistory, journal: FolderWriter, tmp_path: Path
) -> None:
    history.put(instance(1, S.RUNNING))
    follower = a_follower(history, journal)

    follower.turn()
    history.put(instance(1, S.PAUSED))
    follower.turn()

    assert written(tmp_path) == [[2, 2]]


def test_an_event_stands_there_as_it_travels(
    history: FakeHistory, journal: FolderWriter, tmp_path: Path
) -> None:
    follower = a_follower(history, journal)
    follower.turn()
    history.put(instance(1, S.RUNNING, hints={"a": "b\nc|"}))
    follower.turn()

    reader = FolderReader(tmp_path)
    [_, (line, _)] = reader.lines(reader.volumes()[0])

    assert line == msgspec.json.encode(history.events[0]) + b"\n"


def test_it_goes_on_where_the_journal_ends(
    history: FakeHistory, journal: FolderWriter, tmp_path: Path
) -> None:
    a_follower(history, journal).turn()
    for _ in range(5):
        history.put(instance(1, S.RUNNING))
    history.most_at_once = 2

    for _ in range(3):
        a_follower(history, journal).turn()

    assert written(tmp_path) == [[1, 1, 2, 3, 4, 5]]


def test_a_silent_cluster_manager_is_asked_again_with_growing_pauses(
    history: FakeHistory, journal: FolderWriter, tmp_path: Path
) -> None:
    calls, link = history.calls()
    follower = Follower(calls, journal, HandTurnedClock(), MUCH)
    link.mishaps += [PeerSilent("Nobody answers.")] * 3

    pauses = [follower.turn() for _ in range(4)]

    assert pauses == [0.5, 1.0, 2.0, 0.0]
    assert written(tmp_path) == [[1]]


def test_a_refusal_is_not_waited_out(history: FakeHistory, journal: FolderWriter) -> None:
    calls, link = history.calls()
    link.mishaps.append(NotPermitted("No."))

    with pytest.raises(NotPermitted):
        Follower(calls, journal, HandTurnedClock(), MUCH).turn()


def test_events_that_are_no_longer_kept_make_a_gap_that_is_told(
    history: FakeHistory, journal: FolderWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    follower = a_follower(history, journal)
    follower.turn()
    for _ in range(5):
        history.put(instance(1, S.RUNNING))
    history.kept_from = 4

    with caplog.at_level(logging.WARNING):
        follower.turn()
    follower.turn()
    history.put(instance(1, S.PAUSED))
    follower.turn()

    assert written(tmp_path) == [[1], [6, 6]]
    assert "Event 1 is not kept. What happened in between stays unknown." in caplog.text


def test_books_that_were_put_back_begin_another_volume(
    history: FakeHistory, journal: FolderWriter, tmp_path: Path
) -> None:
    follower = a_follower(history, journal)
    follower.turn()
    history.put(instance(1, S.RUNNING))
    history.put(instance(2, S.RUNNING))
    follower.turn()
    del history.events[1:]

    follower.turn()
    follower.turn()
    history.put(instance(3, S.RUNNING))
    follower.turn()

    assert written(tmp_path) == [[1, 1, 2], [2, 2]]


def test_a_volume_that_has_grown_enough_is_followed_by_one_that_begins_where_it_ends(
    history: FakeHistory, journal: FolderWriter, tmp_path: Path
) -> None:
    follower = a_follower(history, journal, volume_bytes=1)
    follower.turn()
    history.put(instance(1, S.RUNNING))
    follower.turn()
    history.most_at_once = 2
    for _ in range(5):
        history.put(instance(2, S.RUNNING))

    follower.turn()
    history.put(instance(3, S.RUNNING))
    follower.turn()

    assert written(tmp_path) == [[1, 1, 2, 3, 4, 5, 6], [7, 7]]


def test_who_reads_the_journal_is_told_whenever_it_has_grown(
    history: FakeHistory, journal: FolderWriter
) -> None:
    told: list[int | None] = []
    calls, _ = history.calls()
    follower = Follower(
        calls, journal, HandTurnedClock(), MUCH, lambda: told.append(journal.next())
    )

    follower.turn()
    follower.turn()
    history.put(instance(1, S.RUNNING))
    follower.turn()

    assert told == [1, 2]


def test_a_silence_is_no_news_once_the_line_is_given_up(
    history: FakeHistory, journal: FolderWriter, caplog: pytest.LogCaptureFixture
) -> None:
    calls, link = history.calls()
    link.mishaps.append(PeerSilent("Nobody answers."))
    follower = Follower(calls, journal, HandTurnedClock(), MUCH)

    follower.end_soon()
    follower.turn()

    assert caplog.text == ""
