"""What a store holds on to of all that was ever committed, and what it lets go.

An entry matters while it is recent (not yet forgotten) or while it is the one that put a record
which still stands in the books; an answer matters while it is recent. So a journal is made short
by leaving out everything else, and what is left is again a journal.

The rule is the same whatever an entry is kept as (E, and A for an answer): the memory store keeps
records, the flat file their text. Entries come in the order of their numbers, answers in the order
of their events. No I/O here.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from tashi.domain.errors import Broken
from tashi.domain.identity import CommitNumber, EventNumber
from tashi.domain.journal import Answer, Commit, Counters, Entry, Kept, Kind, Put

E = TypeVar("E")
A = TypeVar("A")


@dataclass(slots=True)
class Holdings(Generic[E, A]):
    """What is held after commit `number`; `standing` has the last put of each present record."""

    number: CommitNumber = CommitNumber(0)
    counters: Counters = Counters()
    forget_before: EventNumber = EventNumber(0)
    standing: dict[tuple[Kind, int], tuple[EventNumber, E]] = field(default_factory=dict)
    recent: deque[tuple[EventNumber, E]] = field(default_factory=deque)
    answers: deque[tuple[EventNumber, A]] = field(default_factory=deque)

    def expect(self, commit: Commit) -> None:
        """Refuse, with Broken, a commit that is not the next one."""
        if commit.number != self.number + 1:
            raise Broken(f"Commit {commit.number} cannot follow commit {self.number}.")

    def take(self, commit: Commit, entries: Iterable[E], answers: Iterable[A]) -> None:
        """Hold the commit, whose entries and answers are kept as those."""
        for entry, kept_as in zip(commit.entries, entries, strict=True):
            self.take_entry(entry, kept_as)
        for answer, answer_kept_as in zip(commit.answers, answers, strict=True):
            self.take_answer(answer, answer_kept_as)
        self.number = commit.number
        self.counters = commit.counters
        self._forget(commit.forget_before, commit.forget_answers_before)

    def take_entry(self, entry: Entry, kept_as: E) -> None:
        """Hold one entry as part of something larger."""
        change = entry.change
        if isinstance(change, Put):
            self.standing[change.kind, change.key] = entry.number, kept_as
        else:
            self.standing.pop((change.kind, change.key), None)
        if entry.number >= self.forget_before:
            self.recent.append((entry.number, kept_as))

    def take_answer(self, answer: Answer, kept_as: A) -> None:
        """Hold one answer as part of something larger."""
        self.answers.append((answer.event, kept_as))

    def essential(self) -> Iterator[E]:
        """The entries that still matter, in an order that gives the same holdings again."""
        for number, entry in self.standing.values():
            if number < self.forget_before:
                yield entry
        for _, entry in self.recent:
            yield entry

    def copy(self) -> "Holdings[E, A]":
        """The same holdings, untouched by what is taken later."""
        return replace(
            self,
            standing=self.standing.copy(),
            recent=self.recent.copy(),
            answers=self.answers.copy(),
        )

    def _forget(self, before: EventNumber, answers_before: EventNumber) -> None:
        self.forget_before = max(self.forget_before, before)
        while self.recent and self.recent[0][0] < self.forget_before:
            self.recent.popleft()
        while self.answers and self.answers[0][0] < answers_before:
            self.answers.popleft()


def begin(holdings: Holdings[E, A], kept: Kept) -> Iterator[Entry]:
    """Let empty holdings have the numbers of what was loaded; the entries that they are to take.

    A record whose last put is not among the recent entries stands there by an entry of its own.
    """
    holdings.number = kept.number
    holdings.counters = kept.counters
    holdings.forget_before = kept.entries[0].number if kept.entries else kept.counters.event
    for record in kept.records:
        yield Entry(EventNumber(0), 0.0, "", "", Put(record))
    yield from kept.entries


def kept(holdings: Holdings[Entry, Answer]) -> Kept:
    """What a store that has these holdings loads."""
    puts = (entry.change for _, entry in holdings.standing.values())
    return Kept(
        number=holdings.number,
        records=tuple(put.record for put in puts if isinstance(put, Put)),
        entries=tuple(entry for _, entry in holdings.recent),
        answers=tuple(answer for _, answer in holdings.answers),
        counters=holdings.counters,
    )
