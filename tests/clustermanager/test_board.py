"""The board shows what nodes said a moment ago, for as long as it speaks of the present."""

from dataclasses import replace

import pytest

from examples import running, waiting
from tashi.clustermanager.board import Board
from tashi.clustermanager.draft import Draft
from tashi.domain.books import Books, books_of
from tashi.domain.catalogue import User
from tashi.domain.guest import Glimpse, Progress, Stats
from tashi.domain.identity import EventNumber, HostId, InstanceId, Operation, UserId
from tashi.domain.instance import Instance
from tashi.domain.journal import Counters, Drop, Entry, Kind, Put
from tashi.domain.states import InstanceState as S

HERE, THERE = HostId(1), HostId(2)
WEB = InstanceId(1)
STATS = Stats(seconds=15.0, cpu_load=0.5, rss=1000, vsize=2000)
HALF = Progress(done=50, total=100, rate=10.0, words="memory")
RUNNING = replace(running(waiting(1)), host_id=HERE, operation=Operation(7))
LEAVING = replace(RUNNING, state=S.MIGRATE_TRANS, target_id=THERE)


def glimpse(**told: object) -> Glimpse:
    plain: dict[str, object] = {"instance_id": WEB, "operation": Operation(7)}
    return Glimpse(**{**plain, **told})  # type: ignore[arg-type]


def told(books: Books, *glimpses: Glimpse, host: HostId = HERE, now: float = 100.0) -> Board:
    board = Board()
    board.take(books, host, glimpses, now)
    return board


def committed(board: Board, after: Instance | None) -> None:
    change = Drop(Kind.INSTANCE, WEB) if after is None else Put(after)
    board.note([Entry(number=EventNumber(1), at=0.0, line="", by="", change=change)])


def test_what_a_guest_uses_is_shown() -> None:
    board = told(books_of([RUNNING]), glimpse(stats=STATS))

    assert board.stats(RUNNING, 101.0) == STATS
    assert board.progress(RUNNING) is None


@pytest.mark.parametrize(("now", "shown"), [(154.9, True), (155.1, False)])
def test_statistics_that_are_not_told_anew_are_soon_of_the_past(now: float, shown: bool) -> None:
    board = told(books_of([RUNNING]), glimpse(stats=STATS))

    assert (board.stats(RUNNING, now) is not None) == shown


def test_only_the_host_of_a_guest_knows_what_it_uses() -> None:
    board = told(books_of([RUNNING]), glimpse(stats=STATS), host=THERE)

    assert board.stats(RUNNING, 100.0) is None


def test_what_a_guest_used_on_another_host_is_not_shown() -> None:
    board = told(books_of([RUNNING]), glimpse(stats=STATS))

    assert board.stats(replace(RUNNING, host_id=THERE), 100.0) is None


def test_nothing_is_kept_of_what_the_books_do_not_know() -> None:
    board = told(books_of([]), glimpse(stats=STATS, progress=HALF))

    assert board.stats(RUNNING, 100.0) is None
    assert board.progress(LEAVING) is None


def test_a_glimpse_without_statistics_leaves_those_that_are_known() -> None:
    books = books_of([LEAVING])
    board = told(books, glimpse(stats=STATS))

    board.take(books, HERE, [glimpse(progress=HALF)], 101.0)

    assert board.stats(LEAVING, 101.0) == STATS
    assert board.progress(LEAVING) == HALF


def test_progress_is_of_one_operation_and_of_a_state_that_moves() -> None:
    books = books_of([LEAVING])

    assert told(books, glimpse(progress=HALF)).progress(LEAVING) == HALF
    assert told(books, glimpse(progress=HALF, operation=Operation(6))).progress(LEAVING) is None
    assert told(books_of([RUNNING]), glimpse(progress=HALF)).progress(RUNNING) is None


def test_progress_is_over_with_its_operation() -> None:
    board = told(books_of([LEAVING]), glimpse(progress=HALF))

    assert board.progress(replace(LEAVING, operation=Operation(8))) is None
    assert board.progress(RUNNING) is None


def test_how_far_disks_are_into_the_store_is_shown_while_their_host_has_them() -> None:
    at_rest = replace(RUNNING, state=S.STOPPED, host_id=None, disks_on=HERE)
    board = told(books_of([at_rest]), glimpse(progress=HALF, stats=STATS))

    assert board.progress(at_rest) == HALF
    assert board.stats(at_rest, 100.0) is None
    assert told(books_of([at_rest]), glimpse(progress=HALF), host=THERE).progress(at_rest) is None

    committed(board, replace(at_rest, disks_on=None, stored="1-a1"))

    assert board.progress(at_rest) is None


@pytest.mark.parametrize("after", [None, replace(RUNNING, host_id=None, state=S.EXITED)])
def test_what_is_over_is_taken_down(after: Instance | None) -> None:
    board = told(books_of([LEAVING]), glimpse(stats=STATS, progress=HALF))

    committed(board, after)

    assert board.stats(RUNNING, 100.0) is None
    assert board.progress(LEAVING) is None


def test_what_goes_on_stays_up() -> None:
    board = told(books_of([LEAVING]), glimpse(stats=STATS, progress=HALF))

    committed(board, replace(LEAVING, reason="half-way"))

    assert board.stats(LEAVING, 100.0) == STATS
    assert board.progress(LEAVING) == HALF


def test_other_records_are_nothing_to_a_board() -> None:
    board = told(books_of([RUNNING]), glimpse(stats=STATS))
    draft = Draft(books_of([RUNNING]), Counters(), 0.0)
    draft.put(User(UserId(1), "ada"))

    board.note(draft.entries)

    assert board.stats(RUNNING, 100.0) == STATS
