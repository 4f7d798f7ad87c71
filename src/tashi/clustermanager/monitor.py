"""What happens because time passes: silent hosts, late orders, watchers whose time is up.

It is told what is heard and what is committed, and looks at the clock in `tick`; it never waits
and never polls the records. Only the ledger's thread enters here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from logging import getLogger
from typing import Final

from tashi.clustermanager import nodes
from tashi.clustermanager.dispatch import CheckAlive, CloseSession
from tashi.clustermanager.draft import Draft
from tashi.domain.books import Books
from tashi.domain.errors import StaleSession
from tashi.domain.events import Overdue
from tashi.domain.identity import HostId, InstanceId, Session
from tashi.domain.instance import Instance
from tashi.domain.journal import Entry, Kind, Put
from tashi.domain.liveness import Watch
from tashi.domain.states import Patience, facts
from tashi.ports.clock import Clock

_log = getLogger(__name__)

LONGEST_KILL_SECONDS: Final = 30.0
_DAY_SECONDS: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Times:
    """How long things may take, in seconds."""

    expire_host: float
    decay: float
    activate: float
    monitor: float
    migrate: float

    def of(self, patience: Patience) -> float:
        """The seconds that a patience means here."""
        return {
            Patience.ACTIVATE: self.activate,
            Patience.MONITOR: self.monitor,
            Patience.MIGRATE: self.migrate,
            Patience.KILL: min(self.monitor, LONGEST_KILL_SECONDS),
        }[patience]


class Monitor:
    """Remembers when hosts were heard, which sessions are open, and when orders are due."""

    def __init__(self, clock: Clock, times: Times, books: Books) -> None:
        now = clock.monotonic()
        self._clock = clock
        self._times = times
        self._watch = Watch(looked_at=now, since=now)
        self._sessions: dict[HostId, tuple[Session, int]] = {}
        self._asked: set[HostId] = set()
        self._ends: dict[HostId, float | None] = {}
        self._due: list[tuple[float, InstanceId]] = []
        self._due_at: dict[InstanceId, float] = {}
        for instance in books.instances.values():
            self._note(instance, now)

    # ---- what is heard ------------------------------------------------------------------------

    def hear_of(self, host: HostId) -> None:
        """Count it as a sign of life that the host asks for a session, before that is durable.

        Otherwise a look at the clock that shares its commit would still count the host as silent,
        and leave it down in the session that has just been opened.
        """
        self._hear(host)

    def open_session(self, host: HostId, session: Session) -> None:
        """From now on the host's reports count in this session only."""
        self._sessions[host] = (session, 0)
        self._hear(host)

    def is_new(self, host: HostId, session: Session, number: int) -> bool:
        """Whether the report of that number is new; raises StaleSession in the wrong session."""
        return number > self.hear(host, session)

    def hear(self, host: HostId, session: Session) -> int:
        """Count a word of that session as a sign of life; the number of its last report.

        Raises StaleSession in the wrong session.
        """
        current, last = self._sessions.get(host, (None, 0))
        if current != session:
            raise StaleSession(f"Session {session} of host {host} is over: open another.")
        self._hear(host)
        return last

    def took(self, host: HostId, session: Session, number: int) -> None:
        """The report of that number is durable; its repeats change nothing."""
        current, last = self._sessions.get(host, (None, 0))
        if current == session:
            self._sessions[host] = (session, max(last, number))

    def saw_certificate(self, host: HostId, until: float | None) -> None:
        """Note when the certificate ends that the host has just shown, if it showed one."""
        self._ends[host] = until

    def certificate_days(self, host: HostId) -> float | None:
        """For how many days the certificate is good that the host showed last, if it did."""
        until = self._ends.get(host)
        return None if until is None else (until - self._clock.wall()) / _DAY_SECONDS

    def is_alive(self, host: HostId) -> bool:
        """Whether the host has a session here and was heard not too long ago."""
        return host in self._sessions and self.silence(host) <= self._times.expire_host

    def silence(self, host: HostId) -> float:
        """For how many seconds the host has been silent."""
        return self._watch.silence(host, self._clock.monotonic())

    def is_decayed(self, host: HostId) -> bool:
        """Whether what is known of the host and its guests is older than it should be."""
        return self.silence(host) > self._times.decay

    def note(self, entries: Iterable[Entry]) -> None:
        """Take in what was committed: orders that are now expected to be answered."""
        now = self._clock.monotonic()
        for entry in entries:
            change = entry.change
            if isinstance(change, Put) and isinstance(change.record, Instance):
                self._note(change.record, now)
            elif change.kind is Kind.INSTANCE:
                self._due_at.pop(InstanceId(change.key), None)

    # ---- what time brings ---------------------------------------------------------------------

    def greet(self, draft: Draft) -> None:
        """At the start of a reign: let every host that should be up open a session."""
        for host in draft.books.hosts.values():
            if host.port:
                draft.instruct(CheckAlive(host))

    def tick(self, draft: Draft) -> None:
        """Look at the clock and do what is due."""
        now = self._clock.monotonic()
        self._watch = self._watch.look(now)
        self._ask_the_silent(draft, now)
        self._give_up_the_lost(draft, now)
        self._repeat_the_overdue(draft, now)

    def _hear(self, host: HostId) -> None:
        self._watch = self._watch.hear(host, self._clock.monotonic())
        self._asked.discard(host)

    def _ask_the_silent(self, draft: Draft, now: float) -> None:
        patience = min(self._times.decay, self._times.expire_host / 2)
        for host in self._up(draft):
            if host not in self._asked and self._watch.silence(host, now) > patience:
                self._asked.add(host)
                draft.instruct(CheckAlive(draft.books.host(host)))

    def _give_up_the_lost(self, draft: Draft, now: float) -> None:
        for host in self._watch.lost(self._up(draft), now, self._times.expire_host):
            seconds = self._watch.silence(host, now)
            name = draft.books.host(host).name
            _log.warning("%s has been silent for %.0f s: counted as down.", name, seconds)
            self._sessions.pop(host, None)
            nodes.lose(draft, host, f"{name} has been silent for {seconds:.0f} s.")
            draft.instruct(CloseSession(host))

    def _up(self, draft: Draft) -> list[HostId]:
        return [host.id for host in draft.books.hosts.values() if host.up]

    def _repeat_the_overdue(self, draft: Draft, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            due, key = heappop(self._due)
            instance = draft.books.instances.get(key)
            # A record that has changed since is expected anew; this was the entry of before.
            if self._due_at.get(key) != due or instance is None or instance.host_id is None:
                continue
            _log.warning("%s has been %s for too long: told again.", instance, instance.state.title)
            draft.befall(key, Overdue(host_id=instance.host_id))
            self._note(instance, now)

    def _note(self, instance: Instance, now: float) -> None:
        patience = facts(instance.state).patience
        if patience is None:
            self._due_at.pop(instance.id, None)
            return
        self._due_at[instance.id] = now + self._times.of(patience)
        heappush(self._due, (self._due_at[instance.id], instance.id))
