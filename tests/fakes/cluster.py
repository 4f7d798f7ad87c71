"""A cluster manager that keeps its books in memory and never lets anybody wait."""

from collections.abc import Sequence

from tashi.domain.books import Books
from tashi.domain.errors import NoSuchInstance, PeerSilent, TashiError, TooOld
from tashi.domain.events import Migrate
from tashi.domain.identity import EventNumber, InstanceId, Operation
from tashi.domain.instance import Listing
from tashi.domain.journal import Change, Drop, Entry, Kind, Put, Record
from tashi.domain.listings import check_booking
from tashi.domain.notices import BookAddresses, SiteTold
from tashi.domain.placement.draft import booked
from tashi.domain.placement.drain import is_movable, move_refusal
from tashi.domain.placement.filters import Policy, first_refusal
from tashi.domain.placement.plan import Proposal, Verdict
from tashi.domain.transitions import is_forgotten, step
from tashi.ports.cluster import News, Snapshot


class FakeClusterManager:
    """Keeps the port `ClusterManager`, checks proposals by the real rules, and can fall silent.

    A call of a name in `mishaps` does nothing and raises the next of them. `wishes` has every
    booking that was asked for, batch by batch.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.books = Books()
        self.entries: list[Entry] = []
        self.kept_from = EventNumber(1)
        self.timeouts: list[float] = []
        self.batches: list[tuple[Proposal, ...]] = []
        self.snapshots = 0
        self.silent = 0
        self.silent_after_placing = 0
        self.deaf_to_places = 0
        self.before_placing: list[Record] = []
        self.moves: list[tuple[Proposal, ...]] = []
        self.mishaps: dict[str, list[TashiError]] = {}
        self.wishes: list[dict[InstanceId, tuple[Listing, ...]]] = []
        self.silent_after_booking = 0

    # ---- what a test does to it ----------------------------------------------------------------

    def put(self, *records: Record) -> None:
        """Enter records, each as one event."""
        for record in records:
            self._publish(Put(record))

    def drop(self, kind: Kind, key: int) -> None:
        """Remove a record."""
        self._publish(Drop(kind, key))

    def forget(self) -> None:
        """Keep none of the past events."""
        self.kept_from = self._next

    # ---- the port ------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        self._speak("snapshot")
        self.snapshots += 1
        records = (
            *self.books.instances.values(),
            *self.books.hosts.values(),
            *self.books.networks.values(),
            *self.books.users.values(),
        )
        return Snapshot(records, self._next)

    def watch(self, since: EventNumber, timeout_seconds: float) -> News:
        self.timeouts.append(timeout_seconds)
        self._speak()
        if since < self.kept_from or since > self._next:
            raise TooOld(f"Event {since} is not kept.")
        return News(tuple(self.entries[since - 1 :]), self._next)

    def place(self, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        if self.deaf_to_places:
            self.deaf_to_places -= 1
            raise PeerSilent("The cluster manager did not answer.")
        self._speak("place")
        self.put(*self.before_placing)
        self.before_placing = []
        self.batches.append(tuple(proposals))
        verdicts = [self._place(one) for one in proposals]
        if self.silent_after_placing:
            self.silent_after_placing -= 1
            raise PeerSilent("The cluster manager did not answer.")
        return verdicts

    def book(self, wishes: Sequence[tuple[InstanceId, tuple[Listing, ...]]]) -> Sequence[Verdict]:
        self.wishes.append(dict(wishes))
        self._speak("book")
        verdicts = []
        for key, wanted in wishes:
            try:
                record, books = self.books.instance(key), self.books
                check_booking(books.places, books.host_names, record, wanted)
            except TashiError as error:
                verdicts.append(Verdict(key, accepted=False, words=error.message))
                continue
            self._publish(Put(step(record, BookAddresses(wanted)).record))
            verdicts.append(Verdict(key, accepted=True))
        if self.silent_after_booking:
            self.silent_after_booking -= 1
            raise PeerSilent("The cluster manager did not answer.")
        return verdicts

    def relist(self, key: InstanceId, lost: Sequence[Listing]) -> None:
        self.tell_site(key, SiteTold(lost=tuple(lost)))

    def tell_site(self, key: InstanceId, told: SiteTold) -> None:
        self._speak()
        if key not in self.books.instances:
            raise NoSuchInstance(f"There is no instance {key}.")
        after = step(self.books.instances[key], told).record
        self._publish(Drop(Kind.INSTANCE, key) if is_forgotten(after) else Put(after))

    def move(self, proposals: Sequence[Proposal]) -> Sequence[Verdict]:
        self._speak("move")
        self.moves.append(tuple(proposals))
        return [self._move(one) for one in proposals]

    # ---- inside --------------------------------------------------------------------------------

    @property
    def _next(self) -> EventNumber:
        return EventNumber(len(self.entries) + 1)

    def _publish(self, change: Change) -> None:
        self.entries.append(Entry(self._next, 0.0, "", "test", change))
        self.books = self.books.apply(change)

    def _speak(self, call: str = "") -> None:
        if self.silent:
            self.silent -= 1
            raise PeerSilent("The cluster manager did not answer.")
        if mishaps := self.mishaps.get(call):
            raise mishaps.pop(0)

    def _place(self, one: Proposal) -> Verdict:
        if one.instance_id not in self.books.waiting:
            return Verdict(one.instance_id, accepted=False, words="It does not wait.")
        instance = self.books.instances[one.instance_id]
        host = self.books.host(one.host_id)
        refusal = first_refusal(self.books, host, instance, self.policy)
        if refusal is not None:
            return Verdict(one.instance_id, accepted=False, words=f"{host} {refusal.words}.")
        self._publish(Put(booked(instance, one.host_id)))
        return Verdict(one.instance_id, accepted=True)

    def _move(self, one: Proposal) -> Verdict:
        instance = self.books.instances[one.instance_id]
        source = None if instance.host_id is None else self.books.hosts[instance.host_id]
        if source is None or not source.draining or not is_movable(instance, source):
            return Verdict(one.instance_id, accepted=False, words="It is not to be moved.")
        target = self.books.host(one.host_id)
        refusal = move_refusal(self.books, instance, target, self.policy)
        if refusal is not None:
            return Verdict(one.instance_id, accepted=False, words=f"{target} {refusal.words}.")
        self._publish(Put(step(instance, Migrate(Operation(0), target.id)).record))
        return Verdict(one.instance_id, accepted=True)
