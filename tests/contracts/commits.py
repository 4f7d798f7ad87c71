"""Commits to feed a store with, and what a store that was fed with them must hold.

The expectation is counted out here a second time, in the plainest way, and compared as values.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from hypothesis import strategies as st

from tashi.domain.catalogue import Network, User
from tashi.domain.host import Host
from tashi.domain.identity import (
    CommitNumber,
    Epoch,
    EventNumber,
    HostId,
    InstanceId,
    Mib,
    NetworkId,
    UserId,
)
from tashi.domain.instance import Disk, Forward, Instance, Nic
from tashi.domain.journal import (
    Answer,
    Change,
    Commit,
    Counters,
    Drop,
    Entry,
    Kept,
    Kind,
    Put,
    Record,
)
from tashi.domain.states import InstanceState


def an_instance(key: int, name: str = "web", **different: object) -> Instance:
    """An instance with a bit of everything."""
    plain = Instance(
        id=InstanceId(key),
        name=name,
        user_id=UserId(1000),
        cores=1,
        memory=Mib(128),
        disks=(Disk("debian.qcow2"), Disk("own.qcow2", persistent=True)),
        nics=(Nic(NetworkId(1), f"52:54:00:00:00:{key % 256:02x}", None, (Forward(80, 20080),)),),
        hints={"targetHost": "node1"},
    )
    return replace(plain, **different)  # type: ignore[arg-type]  # the test names the fields


def a_commit(
    number: int,
    *changes: Change,
    first: int | None = None,
    forget: int = 0,
    forget_answers: int | None = None,
) -> Commit:
    """A commit of those changes, whose first event has that number or the commit's own.

    It forgets answers like events, unless told otherwise.
    """
    first = number if first is None else first
    forget_answers = forget if forget_answers is None else forget_answers
    entries = tuple(
        Entry(EventNumber(first + place), 1764000000.25 + number, "CM VM UPDATE", "root", change)
        for place, change in enumerate(changes)
    )
    return Commit(
        number=CommitNumber(number),
        entries=entries,
        answers=(Answer(f"request-{number}", '{"ok": 1}', EventNumber(first)),),
        counters=Counters(event=EventNumber(first + len(changes)), epoch=Epoch(1)),
        forget_before=EventNumber(forget),
        forget_answers_before=EventNumber(forget_answers),
    )


def plain_commits(count: int) -> list[Commit]:
    """So many commits, each with one more instance."""
    return [a_commit(n, Put(an_instance(n, f"web-{n}"))) for n in range(1, count + 1)]


@dataclass(frozen=True)
class Holding:
    """What a store holds, so that two of them compare as values."""

    number: int
    records: dict[tuple[str, int], Record]
    entries: tuple[Entry, ...]
    answers: tuple[Answer, ...]
    counters: Counters


def held(kept: Kept) -> Holding:
    """What was loaded; the order of records means nothing."""
    records: dict[tuple[str, int], Record] = {
        (type(one).__name__, one.id): one for one in kept.records
    }
    assert len(records) == len(kept.records)
    return Holding(kept.number, records, kept.entries, kept.answers, kept.counters)


def after(commits: Sequence[Commit]) -> Holding:
    """What must be held after those commits, and no others."""
    before = max((one.forget_before for one in commits), default=0)
    answers_before = max((one.forget_answers_before for one in commits), default=0)
    entries = [entry for one in commits for entry in one.entries]
    answers = [answer for one in commits for answer in one.answers]
    return Holding(
        number=len(commits),
        records=_standing(entry.change for entry in entries),
        entries=tuple(entry for entry in entries if entry.number >= before),
        answers=tuple(answer for answer in answers if answer.event >= answers_before),
        counters=commits[-1].counters if commits else Counters(),
    )


def _standing(changes: Iterable[Change]) -> dict[tuple[str, int], Record]:
    records: dict[tuple[str, int], Record] = {}
    for change in changes:
        place = (change.kind.value.capitalize(), change.key)
        if isinstance(change, Put):
            records[place] = change.record
        else:
            records.pop(place, None)
    return records


# ---- arbitrary ones -----------------------------------------------------------------------------

WORDS = ("", "web", 'a "quoted" \\ name', "two\nlines\x00", "Ω \U0001f40d", '{"crc":"', "x" * 300)
KEYS = range(1, 5)
TIMES = (0.0, 0.1, 1764000000.123456, 4e9)


def _every_kind_of_change() -> Iterator[Change]:
    for key, word in product(KEYS, WORDS):
        yield Put(an_instance(key, word, reason=word, changed_at=TIMES[key % 4]))
        yield Put(an_instance(key, word, host_id=HostId(key), hints={word: word}, cores=2**40))
        yield Put(Host(id=HostId(key), name=word, notes=word, memory=Mib(2**50), up=key > 2))
        yield Put(Network(NetworkId(key), word))
        yield Put(User(UserId(key), word))
    for key, state in product(KEYS, InstanceState):
        yield Put(an_instance(key, state=state, was=state))
    for key, kind in product(KEYS, Kind):
        yield from [Drop(kind, key)] * 5  # as likely as puts, more or less


CHANGES = tuple(_every_kind_of_change())


@st.composite
def commit_sequences(draw: st.DrawFn, most: int = 8) -> list[Commit]:
    """Commits in order, of any changes, that forget ever more."""
    sequence: list[Commit] = []
    event, forgotten, unanswered = 1, 0, 0
    for changes in draw(st.lists(st.lists(st.sampled_from(CHANGES), max_size=3), max_size=most)):
        forgotten = draw(st.integers(forgotten, event))
        unanswered = draw(st.integers(unanswered, event))
        commit = a_commit(
            len(sequence) + 1,
            *changes,
            first=event,
            forget=forgotten,
            forget_answers=unanswered,
        )
        event = commit.counters.event
        sequence.append(commit)
    return sequence
