"""The events of the recent past, and those who wait for the next one.

Only the ledger's thread enters here, so there are no locks. A watcher is answered at once when
there is something for it, else as soon as there is, else with nothing when its time is up.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice

from tashi.domain.books import Books
from tashi.domain.errors import TooOld
from tashi.domain.identity import EventNumber, InstanceId
from tashi.domain.instance import Instance
from tashi.domain.journal import Drop, Entry, Kind

MOST_EVENTS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Events:
    """Events in order, and the number to ask with next."""

    entries: tuple[Entry, ...]
    next: EventNumber


@dataclass(frozen=True, slots=True)
class _Watcher:
    answer: Future[Events]
    until: float
    instance: InstanceId | None


class History:
    """The latest events, at most `most` of them, and their watchers."""

    def __init__(self, kept: Iterable[Entry], following: EventNumber, most: int) -> None:
        self._entries = deque(kept, maxlen=most)
        self._next = following
        self._watchers: dict[InstanceId | None, list[_Watcher]] = defaultdict(list)

    @property
    def oldest(self) -> EventNumber:
        """The number of the first event that is kept."""
        return self._entries[0].number if self._entries else self._next

    def extend(self, entries: Iterable[Entry], following: EventNumber) -> None:
        """Take in what was committed, and answer whoever waited for it."""
        fresh = tuple(entries)
        self._entries.extend(fresh)
        self._next = following
        if not (fresh and self._watchers):
            return
        told = {_instance_of(entry) for entry in fresh} | {None}
        for instance in told & self._watchers.keys():
            mine = _piece(fresh, instance, self._next)
            for watcher in self._watchers.pop(instance):
                _resolve(watcher.answer, mine)

    def watch(
        self, since: EventNumber, until: float, instance: InstanceId | None = None
    ) -> Future[Events]:
        """Events from `since` on; empty if none came until the monotonic time `until`.

        Raises TooOld through the future when events from there on are not kept, or not any more.
        A number that was not given out yet is of another past: of books that were put back.
        """
        answer: Future[Events] = Future()
        if not self.oldest <= since <= self._next:
            kept = f"from {self.oldest} to {self._next - 1}"
            answer.set_exception(TooOld(f"Event {since} is not kept, only those {kept} are."))
            return answer
        # Counted from the end, where those are who follow along.
        latest = list(islice(reversed(self._entries), self._next - since))
        found = _piece(reversed(latest), instance, self._next)
        if found.entries:
            answer.set_result(found)
        else:
            self._watchers[instance].append(_Watcher(answer, until, instance))
        return answer

    def expire(self, now: float) -> None:
        """Answer the watchers whose time is up with nothing."""
        for instance, watchers in list(self._watchers.items()):
            late = [one for one in watchers if one.until <= now]
            if not late:
                continue
            self._watchers[instance] = [one for one in watchers if one.until > now]
            if not self._watchers[instance]:
                del self._watchers[instance]
            for watcher in late:
                _resolve(watcher.answer, Events((), self._next))


def _piece(entries: Iterable[Entry], instance: InstanceId | None, following: EventNumber) -> Events:
    """As many of the entries as are given at once; `following` comes after the last of them."""
    wanted = (one for one in entries if instance in {None, _instance_of(one)})
    found = tuple(islice(wanted, MOST_EVENTS_AT_ONCE))
    if len(found) == MOST_EVENTS_AT_ONCE:
        following = EventNumber(found[-1].number + 1)
    return Events(found, following)


def _instance_of(entry: Entry) -> InstanceId | None:
    return InstanceId(entry.change.key) if entry.change.kind is Kind.INSTANCE else None


def _resolve(answer: Future[Events], events: Events) -> None:
    if answer.set_running_or_notify_cancel():
        answer.set_result(events)


def in_words(entry: Entry, books: Books) -> str:
    """One line for a log: what happened to which record, by whom, and why where that is known."""
    change = entry.change
    by = f" by {entry.by}" if entry.by else ""
    if isinstance(change, Drop):
        return f"{entry.line}{by}: {change.kind} {change.key} is removed"
    record = change.record
    if not isinstance(record, Instance):
        return f"{entry.line}{by}: {record}"
    names = _host_names(record, books)
    place = f" on {' and '.join(names)}" if names else ""
    reason = f": {record.reason}" if record.reason else ""
    return f"{entry.line}{by}: {record} is {record.state.title}{place}{reason}"


def in_keys(entry: Entry, books: Books) -> dict[str, object]:
    """What such a line is about, for logs that programs read: ids, names and the state."""
    change = entry.change
    about: dict[str, object] = {"event": entry.number, f"{change.kind}Id": change.key}
    if isinstance(change, Drop):
        return about
    about[str(change.kind)] = change.record.name
    if isinstance(change.record, Instance):
        about |= {"state": change.record.state.title, "hosts": _host_names(change.record, books)}
    return about


def _host_names(instance: Instance, books: Books) -> list[str]:
    return [host.name for key in instance.hosts if (host := books.hosts.get(key)) is not None]
