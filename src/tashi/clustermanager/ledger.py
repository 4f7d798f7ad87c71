"""The one writer of the books.

Everything that changes a record is put into the inbox as a *work*: a function over a draft. The
ledger takes all works that are queued, lets each change the same draft, commits once, and only then
publishes the new books, gives the instructions out and answers the callers. So many callers share
one fsync, nothing is visible before it is durable, and what was acknowledged survives a crash.

A commit that fails leaves the books as they were and every work of that batch with the store's
error. One whose outcome is unknown stops the ledger from taking on anything until the store has
said which commit was its last.

`ask` may be called from any thread; everything else belongs to the thread that calls `turn`.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from logging import getLogger
from queue import Empty, SimpleQueue
from typing import Any, Final

import msgspec

from tashi.clustermanager.answers import Answers
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.history import History
from tashi.domain.books import Books, books_of
from tashi.domain.errors import BadRequest, Broken, OutcomeUnknown, StoreFailed, TashiError
from tashi.domain.identity import CommitNumber, Epoch, EventNumber
from tashi.domain.instructions import Instruction
from tashi.domain.journal import Answer, Commit, Counters, Entry
from tashi.domain.metrics import COMMITS, FAILED_COMMITS
from tashi.ports.clock import Clock
from tashi.ports.metrics import Meter, Unwatched
from tashi.ports.store import Store

_log = getLogger(__name__)

MOST_WORKS_AT_ONCE: Final = 256

Act = Callable[[Draft], Any]
Together = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do with the draft; what `act` returns is a form, or nothing.

    `request` makes it happen once: a repeat gets the first answer, read as `gives`.
    """

    act: Act
    answer: Future[Any]
    request: str = ""
    gives: Any = None


@dataclass(frozen=True, slots=True)
class Published:
    """What readers see: the books, and the number of the first event they do not contain."""

    books: Books
    next_event: EventNumber


@dataclass(frozen=True, slots=True)
class _Done:
    work: Work
    result: Any = None
    error: TashiError | None = None


class Ledger:
    """Owns the books; `on_instructions` and `on_entries` hear what has been committed.

    `on_step` hears of the moments between which the process may die: ``committed``, ``published``
    and ``dispatched``. `meter` may be set to one that hears how long commits take, `together` to
    what is to surround all that is said of one batch.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        most_events: int,
        on_instructions: Callable[[Iterable[Instruction]], None],
        on_entries: Callable[[Iterable[Entry]], None],
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.meter: Meter = Unwatched()
        self.together: Together = nullcontext
        self._store = store
        self._clock = clock
        self._on_instructions = on_instructions
        self._on_entries = on_entries
        self._on_step = on_step
        self._inbox: SimpleQueue[Work | None] = SimpleQueue()
        kept = store.load()
        self._counters = kept.counters
        self._number = kept.number
        self._answers = Answers(kept.answers, clock.monotonic())
        self._unsettled: tuple[Draft, Commit] | None = None
        self._trouble = ""
        self.history = History(kept.entries, kept.counters.event, most_events)
        self.published = Published(books_of(kept.records), kept.counters.event)

    @property
    def books(self) -> Books:
        """The committed books; a value that never changes under its reader."""
        return self.published.books

    @property
    def counters(self) -> Counters:
        """The committed counters."""
        return self._counters

    @property
    def epoch(self) -> Epoch:
        """Which reign this is."""
        return self._counters.epoch

    def ask(self, act: Act, request: str = "", gives: Any = None) -> Future[Any]:
        """Queue a work; its answer comes when it is durable. From any thread."""
        answer: Future[Any] = Future()
        self._inbox.put(Work(act, answer, request, gives))
        return answer

    def wake(self) -> None:
        """Let a waiting `turn` return at once. From any thread."""
        self._inbox.put(None)

    def begin_reign(self) -> None:
        """Commit a new epoch, so that nodes tell our orders from an earlier manager's."""

        def reign(draft: Draft) -> None:
            draft.counters = replace(draft.counters, epoch=Epoch(draft.counters.epoch + 1))

        answer = self.ask(reign)
        self.turn(0.0)
        answer.result(timeout=0)

    def turn(self, wait_seconds: float) -> None:
        """Wait for works, at most so long, and carry out all that are queued with one commit."""
        works = self._take(wait_seconds)
        if self._unsettled is not None:
            self._settle()
        if self._unsettled is not None:
            refusal = StoreFailed("The store is being checked after a fault; try again soon.")
            _answer([_Done(work, error=refusal) for work in works])
            return
        if works:
            self._carry_out(works)

    def tend(self) -> None:
        """Let the store see that it still has everything, also while nobody changes anything."""
        if self._unsettled is not None:
            return
        trouble = ""
        try:
            self._store.tend()
        except StoreFailed as error:
            trouble = error.message
        if trouble and trouble != self._trouble:
            _log.error("The books are in danger: %s", trouble)
        self._trouble = trouble

    # ---- one batch ----------------------------------------------------------------------------

    def _take(self, wait_seconds: float) -> list[Work]:
        works: list[Work] = []
        try:
            first = (
                self._inbox.get(timeout=wait_seconds)
                if wait_seconds > 0
                else self._inbox.get_nowait()
            )
            works.extend([] if first is None else [first])
            while len(works) < MOST_WORKS_AT_ONCE:
                following = self._inbox.get_nowait()
                works.extend([] if following is None else [following])
        except Empty:
            pass
        return works

    def _carry_out(self, works: Iterable[Work]) -> None:
        draft = Draft(self.books, self._counters, self._clock.wall())
        done = [self._carry_out_one(draft, work) for work in works]
        commit = self._as_commit(draft) if draft.changes_anything_since(self._counters) else None
        error = None if commit is None else self._commit(draft, commit)
        if error is not None:
            _answer([_Done(one.work, error=error) for one in done])
            return
        with self.together():
            if commit is not None:
                self._on_step("committed")
                self._publish(draft, commit)
                self._on_step("published")
            self._give_out(draft)
            self._on_step("dispatched")
            _answer(done)

    def _as_commit(self, draft: Draft) -> Commit:
        self._answers.forget(self._clock.monotonic())
        return draft.as_commit(
            CommitNumber(self._number + 1),
            forget_before=self.history.oldest,
            forget_answers_before=self._answers.oldest(self._counters.event),
        )

    def _carry_out_one(self, draft: Draft, work: Work) -> _Done:
        earlier = draft.answers.get(work.request) or self._answers.to(work.request)
        if earlier is not None:
            return _repeated(work, earlier)
        mark = draft.mark()
        try:
            result = work.act(draft)
            if work.request and draft.entries:
                draft.answer(work.request, msgspec.json.encode(result).decode())
        except TashiError as error:
            draft.go_back(mark)
            return _Done(work, error=error)
        except Exception:  # noqa: BLE001  # see the comment
            # One broken work must neither take the ledger down nor leave half a change behind.
            _log.exception("A change failed in a way that it should not: %r", work.act)
            draft.go_back(mark)
            return _Done(work, error=Broken("Tashi made a mistake; its log says more."))
        return _Done(work, result)

    def _commit(self, draft: Draft, commit: Commit) -> TashiError | None:
        began = self._clock.monotonic()
        error = self._tried(draft, commit)
        if error is None:
            self.meter.took(COMMITS, self._clock.monotonic() - began)
        else:
            self.meter.count(FAILED_COMMITS)
        return error

    def _tried(self, draft: Draft, commit: Commit) -> TashiError | None:
        try:
            self._store.commit(commit)
        except OutcomeUnknown as error:
            _log.error("Commit %d: %s", commit.number, error)
            self._unsettled = (draft, commit)
            return error
        except StoreFailed as error:
            _log.error("Commit %d: %s", commit.number, error)
            return error
        return None

    def _settle(self) -> None:
        assert self._unsettled is not None
        draft, commit = self._unsettled
        try:
            last = self._store.settle()
        except StoreFailed as error:
            _log.warning(
                "The store cannot tell yet what became of commit %d: %s", commit.number, error
            )
            return
        self._unsettled = None
        kept = last == commit.number
        _log.info("Commit %d was %s.", commit.number, "kept" if kept else "lost; nothing changed")
        if kept:
            self._publish(draft, commit)
            self._give_out(draft)

    def _give_out(self, draft: Draft) -> None:
        for act in draft.afterwards:
            act()
        self._on_instructions(draft.instructions)

    def _publish(self, draft: Draft, commit: Commit) -> None:
        _log.debug("Commit %d is durable: %d events.", commit.number, len(commit.entries))
        self._number = commit.number
        self._counters = commit.counters
        self._answers.take(commit.answers, self._clock.monotonic())
        self.published = Published(draft.books, commit.counters.event)
        self.history.extend(commit.entries, commit.counters.event)
        self._on_entries(commit.entries)


def _repeated(work: Work, earlier: Answer) -> _Done:
    try:
        return _Done(work, msgspec.json.decode(earlier.text, type=work.gives))
    except msgspec.ValidationError:
        words = "The id of this request was given to another call before: give each its own."
        return _Done(work, error=BadRequest(words))


def _answer(done: Iterable[_Done]) -> None:
    for one in done:
        if not one.work.answer.set_running_or_notify_cancel():
            continue
        if one.error is None:
            one.work.answer.set_result(one.result)
        else:
            one.work.answer.set_exception(one.error)
