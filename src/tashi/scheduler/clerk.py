"""Tells the site's servers and hooks what the books say, and the books what was told.

Everything here waits on the world, so it happens on workers: the site's servers in lanes of their
own, hooks in others, that none holds up the loop or each other. What is to be told follows from the
record; so whoever died on the way, the next scheduler begins again, and does twice what may have
been done. One end escapes it: of an instance that is destroyed while hooks are told of its
beginning, if the scheduler dies before it can tell them. A server that is away is left alone for a
growing while, by all instances at once; one that does not take an entry is told of the others.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from logging import getLogger
from typing import Final

from tashi.domain.differences import DHCP, DNS
from tashi.domain.errors import Failed, NoSuchInstance, ServerAway, TashiError
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Instance, Listing
from tashi.domain.listings import SiteEntry, duty_of, entry_of
from tashi.domain.notices import SiteTold
from tashi.domain.states import InstanceState, Phase, facts
from tashi.ports.clock import Clock
from tashi.ports.cluster import ClusterManager
from tashi.ports.dhcp import AddressService
from tashi.ports.dns import NameService
from tashi.ports.hooks import Hook
from tashi.ports.workers import Workers
from tashi.scheduler.queue import Pauses

_log = getLogger(__name__)

LANES: Final = 8
"""So many instances at once are told of."""


Server = NameService | AddressService


@dataclass(frozen=True, slots=True)
class Servers:
    """The site's servers, as far as there are any."""

    names: NameService | None = None
    addresses: AddressService | None = None

    def everyone(self) -> dict[str, Server]:
        """All of them, by what they are, in the order of entering."""
        found = {DHCP: self.addresses, DNS: self.names}
        return {where: one for where, one in found.items() if one is not None}

    def for_entry(self, entry: SiteEntry) -> dict[str, Server]:
        """Those that are told of an entry, in the order of entering."""
        served = self.addresses is not None and self.addresses.serves(entry.ip)
        return {where: one for where, one in self.everyone().items() if served or where != DHCP}


@dataclass(slots=True)
class _Case:
    """What is known of one instance; `turn` tells a new job from those before it.

    `heard` has what hooks were told and is booked, that it begins (False) or is over (True), also
    while the record here does not say so yet.
    """

    record: Instance
    turn: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    heard: set[bool] = field(default_factory=set)


@dataclass(slots=True)
class _Outcome:
    """What came of telling the servers: what they know now, and the first thing that went wrong."""

    listed: list[Listing] = field(default_factory=list)
    forgotten: list[Listing] = field(default_factory=list)
    trouble: TashiError | None = None


class Clerk:
    """`serve` and `complain` may be called from any thread, and never wait."""

    def __init__(
        self,
        servers: Servers,
        hooks: Sequence[Hook],
        cluster: ClusterManager,
        workers: Workers,
        clock: Clock,
        pauses: Pauses | None = None,
    ) -> None:
        self._servers = servers
        self._hooks = hooks
        self._cluster = cluster
        self._workers = workers
        self._clock = clock
        self._pauses = pauses or Pauses()
        self._lock = threading.Lock()
        self._cases: dict[InstanceId, _Case] = {}
        self._unsettled: set[InstanceId] = set()
        self._away: dict[int, tuple[float, ServerAway]] = {}
        self._away_since: dict[int, int] = {}

    def serve(self, key: InstanceId, record: Instance | None, *, lacks_nothing: bool) -> None:
        """Tell of an instance what has yet to be told of that record; ``None``: it is gone.

        `lacks_nothing` says that all is booked that is to be: hooks hear of it with its addresses.
        """
        with self._lock:
            if record is not None and record.announced:
                self._unsettled.discard(key)
            known = self._cases.get(key)
            turn = 0 if known is None else known.turn + 1
            owes_hooks = record is not None and lacks_nothing and self._owes_hooks(record)
            if record is None or not (self._owes_site(record) or owes_hooks):
                self._cases.pop(key, None)
                return
            case = _Case(record) if known is None else known
            self._cases[key] = replace(case, record=record, turn=turn)
        if self._owes_site(record):
            self._workers.run(_lane("site", key), partial(self._tell_site, key, turn))
        if owes_hooks:
            self._workers.run(_lane("hooks", key), partial(self._tell_hooks, key, turn))

    def complain(self, record: Instance, words: str) -> None:
        """Have the books say what keeps an instance from an address, if that is news."""
        if record.trouble != words:
            _log.warning("%s has no address yet: %s", str(record).capitalize(), words)
            told = SiteTold(trouble=words)
            self._workers.run(_lane("site", record.id), partial(self._say_once, record.id, told))

    # ---- the site's servers ---------------------------------------------------------------------

    def _owes_site(self, record: Instance) -> bool:
        return bool(duty_of(record))

    def _tell_site(self, key: InstanceId, turn: int) -> None:
        record = self._record(key, turn)
        if record is None:
            return
        duty, outcome = duty_of(record), _Outcome()
        # What is to be forgotten goes first: a name may only have changed its owner's card.
        for listing in duty.forget:
            self._try(record, listing, outcome.forgotten, outcome, entering=False)
        for listing in duty.enter if outcome.trouble is None else ():
            self._try(record, listing, outcome.listed, outcome, entering=True)
        if not self._report(record, outcome) or outcome.trouble is not None:
            self._later("site", key, turn, self._tell_site)

    def _try(
        self,
        record: Instance,
        listing: Listing,
        done: list[Listing],
        outcome: _Outcome,
        *,
        entering: bool,
    ) -> None:
        entry = entry_of(record.id, listing)
        servers = list(self._servers.for_entry(entry).values())
        try:
            for server in servers if entering else reversed(servers):
                self._ask(server, entry, entering=entering)
        except TashiError as error:
            outcome.trouble = outcome.trouble or error
        else:
            done.append(listing)

    def _ask(self, server: Server, entry: SiteEntry, *, entering: bool) -> None:
        """Tell one server; raises at once while it is left alone because it was away."""
        number = id(server)
        until, failure = self._away.get(number, (0.0, None))
        if failure is not None and self._clock.monotonic() < until:
            raise failure
        try:
            (server.enter if entering else server.remove)(entry)
        except ServerAway as error:
            failures = self._away_since.get(number, 0) + 1
            self._away_since[number] = failures
            self._away[number] = self._clock.monotonic() + self._pauses.after(failures), error
            raise
        self._away_since.pop(number, None)

    def _report(self, record: Instance, outcome: _Outcome) -> bool:
        """Have the books say what the servers know; whether that was heard."""
        words = "" if outcome.trouble is None else outcome.trouble.message
        if outcome.trouble is not None and words != record.trouble:
            _log.warning("%s: %s", str(record).capitalize(), words)
        told = SiteTold(
            listed=tuple(outcome.listed),
            forgotten=tuple(outcome.forgotten),
            trouble=words if words != record.trouble else None,
        )
        if not outcome.listed and not outcome.forgotten and told.trouble is None:
            return True
        try:
            self._cluster.tell_site(record.id, told)
        except NoSuchInstance:
            # It is over, and another scheduler has seen to that: what was entered is too much.
            return self._undo(record, outcome.listed)
        except Failed as failure:
            _log.warning("What the site knows of %s is not booked yet: %s", record, failure)
            return False
        for listing in outcome.listed:
            _log.info("%s is %s with %s.", str(record).capitalize(), listing.name, listing.ip)
        return True

    def _undo(self, record: Instance, listed: Iterable[Listing]) -> bool:
        outcome = _Outcome()
        for listing in listed:
            self._try(record, listing, outcome.forgotten, outcome, entering=False)
        return outcome.trouble is None

    # ---- hooks ----------------------------------------------------------------------------------

    def _owes_hooks(self, record: Instance) -> bool:
        if record.state is InstanceState.EXITED:
            return record.announced and not duty_of(record)
        waits = facts(record.state).phase is Phase.WAITING
        ready = not duty_of(record) or bool(record.trouble)
        return bool(self._hooks) and waits and not record.announced and ready

    def _tell_hooks(self, key: InstanceId, turn: int) -> None:
        record = self._record(key, turn)
        if record is None:
            return
        over = record.state is InstanceState.EXITED
        if self._has_heard(key, over):
            return
        self._call_hooks(record, over=over)
        heard = self._say(key, SiteTold(announced=False)) if over else self._note_begun(record)
        if heard:
            self._note_heard(key, over)
        elif not self._later("hooks", key, turn, self._tell_hooks) and not over:
            self._note_begun_later(record, 1)

    def _call_hooks(self, record: Instance, *, over: bool) -> None:
        for hook in self._hooks:
            try:
                (hook.post_destroy if over else hook.pre_create)(record)
            except TashiError as error:
                _log.error("%s, told of %s: %s", hook.name, record, error)

    def _note_begun(self, record: Instance) -> bool:
        """Have the books say that hooks were told that it begins; whether that is settled.

        Of one that was destroyed meanwhile the books have nothing: hooks hear of its end at once.
        """
        with self._lock:
            self._unsettled.add(record.id)
        try:
            heard = self._book(record.id, SiteTold(announced=True))
        except NoSuchInstance:
            self._call_hooks(record, over=True)
            heard = True
        if heard:
            with self._lock:
                self._unsettled.discard(record.id)
        return heard

    def _note_begun_later(self, record: Instance, failures: int) -> None:
        """Say it again, though the record has changed and no hook is to be told anew."""

        def again() -> None:
            with self._lock:
                settled = record.id not in self._unsettled
            if not settled and not self._note_begun(record):
                self._note_begun_later(record, failures + 1)

        self._workers.after(self._pauses.after(failures), _lane("hooks", record.id), again)

    def _has_heard(self, key: InstanceId, over: bool) -> bool:
        """Whether it is booked that hooks were told: a record from before that asked again."""
        with self._lock:
            case = self._cases.get(key)
            return case is not None and over in case.heard

    def _note_heard(self, key: InstanceId, over: bool) -> None:
        with self._lock:
            case = self._cases.get(key)
            if case is not None:
                case.heard.add(over)

    # ---- both -----------------------------------------------------------------------------------

    def _say_once(self, key: InstanceId, told: SiteTold) -> None:
        """Like `_say`; what was not heard is said again when it is news again."""
        self._say(key, told)

    def _say(self, key: InstanceId, told: SiteTold) -> bool:
        """Like `_book`; of what is gone nothing needs to be said."""
        try:
            return self._book(key, told)
        except NoSuchInstance:
            return True

    def _book(self, key: InstanceId, told: SiteTold) -> bool:
        """Have the books say it; whether that was heard."""
        try:
            self._cluster.tell_site(key, told)
        except Failed as failure:
            _log.warning("What instance %d was told is not booked yet: %s", key, failure)
            return False
        return True

    def _record(self, key: InstanceId, turn: int) -> Instance | None:
        """The record as it is to be told; ``None`` when another job has taken that over."""
        with self._lock:
            case = self._cases.get(key)
            return case.record if case is not None and case.turn == turn else None

    def _later(
        self, kind: str, key: InstanceId, turn: int, job: Callable[[InstanceId, int], None]
    ) -> bool:
        """Do it again after a pause; not, when another job has taken that over."""
        with self._lock:
            case = self._cases.get(key)
            if case is None or case.turn != turn:
                return False
            failures = case.failures.get(kind, 0) + 1
            case.failures[kind] = failures
        pause = self._pauses.after(failures)
        self._workers.after(pause, _lane(kind, key), partial(job, key, turn))
        return True


def _lane(kind: str, key: InstanceId) -> str:
    return f"{kind} {key % LANES}"
