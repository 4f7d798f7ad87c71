"""A whole cluster manager, put together from its rooms and whatever ports it is given."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from logging import INFO, getLogger
from random import Random

from tashi.clustermanager import gauges
from tashi.clustermanager.board import Board
from tashi.clustermanager.claims import Claims
from tashi.clustermanager.dispatch import Dispatch
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.history import in_keys, in_words
from tashi.clustermanager.images import Images, Undertaking
from tashi.clustermanager.imports import Imports
from tashi.clustermanager.instances import Rules
from tashi.clustermanager.jobs import Jobs
from tashi.clustermanager.ledger import Ledger, Together
from tashi.clustermanager.logins import LogIns
from tashi.clustermanager.monitor import Monitor, Times
from tashi.clustermanager.people import People
from tashi.clustermanager.persons import Persons
from tashi.clustermanager.service import (
    admins,
    alterations,
    certificates,
    daemons,
    drains,
    images,
    owners,
    people,
    questions,
    screens,
    site,
    vmmcalls,
)
from tashi.clustermanager.service.aside import Looks, Readers
from tashi.clustermanager.service.office import Handler, Office, Renew
from tashi.clustermanager.service.repeats import told_apart
from tashi.clustermanager.tickets import Tickets
from tashi.clustermanager.timing import Timing
from tashi.domain import metrics
from tashi.domain.errors import TashiError
from tashi.domain.host import Host
from tashi.domain.instructions import DeleteSpent, owed_deletions
from tashi.domain.journal import Entry, Put, Record
from tashi.domain.metrics import Reading
from tashi.domain.notices import Deleted
from tashi.ports.clock import Clock
from tashi.ports.images import ImageStore
from tashi.ports.metrics import Meter, Unwatched
from tashi.ports.nodes import Nodes
from tashi.ports.store import Store
from tashi.ports.users import Directory, PasswordCheck, PasswordTable
from tashi.ports.workers import Workers
from tashi.wire.methods import CLUSTER_MANAGER

_log = getLogger(__name__)

_FIRST_PAUSE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports that a cluster manager needs; `on_step` hears of the ledger's moments.

    `together` surrounds all that is said, in the log and to callers, of one batch of works.

    Without a `password_check` nobody but Tashi itself keeps passwords; without `renew` there are no
    certificates.
    """

    store: Store
    clock: Clock
    nodes: Nodes
    workers: Workers
    directory: Directory
    passwords: PasswordTable
    password_check: PasswordCheck | None = None
    images: ImageStore
    draws: Random
    on_step: Callable[[str], None] = lambda _: None
    meter: Meter = Unwatched()
    renew: Renew | None = None
    together: Together = nullcontext


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the settings say of a cluster manager.

    `configured` are records that stand in the configuration and are put into the books when they
    are not there yet. `version` is the one that nodes must have, ``None`` for any.
    """

    rules: Rules
    times: Times
    most_events: int
    fetch_threshold: float
    version: str | None
    largest_image: int
    ticket_seconds: float = 43200.0
    configured: tuple[Record, ...] = ()


class ClusterManager:
    """Begin once, then `turn` for ever; `turn` and `tick` belong to one thread."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self.dispatch = Dispatch(
            world.nodes, world.workers, lambda: self.ledger.epoch, world.images, self._note_deleted
        )
        self.ledger = Ledger(
            world.store,
            world.clock,
            plan.most_events,
            self.dispatch.give,
            self._committed,
            world.on_step,
        )
        self.ledger.meter, self.ledger.together = world.meter, world.together
        self._timing = Timing(world.meter)
        world.meter.ask(self._readings)
        self.monitor = Monitor(world.clock, plan.times, self.ledger.books)
        self.board = Board()
        claims = Claims()
        self.jobs = Jobs(self.ledger, world.workers, world.clock)
        undertaking = Undertaking(self.ledger, self.jobs, claims)
        self.imports = Imports(
            world.images, world.clock, claims, self.jobs, undertaking, plan.largest_image
        )
        roster = People(world.directory, world.clock, plan.fetch_threshold, world.workers)
        self.persons = Persons(roster, lambda: self.ledger.books.users)
        self.tickets = Tickets(world.clock, plan.ticket_seconds)
        self._office = Office(
            ledger=self.ledger,
            monitor=self.monitor,
            board=self.board,
            people=roster,
            persons=self.persons,
            logins=LogIns(
                self.persons,
                world.passwords,
                world.password_check,
                self.tickets,
                world.clock,
                world.workers,
            ),
            nodes=world.nodes,
            workers=world.workers,
            images=world.images,
            claims=claims,
            jobs=self.jobs,
            making=Images(world.images),
            undertaking=undertaking,
            imports=self.imports,
            looks=Looks(world.workers),
            readers=Readers(world.workers),
            clock=world.clock,
            rules=plan.rules,
            draws=world.draws,
            version=plan.version,
            renew=world.renew,
        )

    def handlers(self) -> dict[str, Handler]:
        """The handler of every call, by method."""
        rooms = (
            owners,
            questions,
            people,
            admins,
            drains,
            daemons,
            images,
            alterations,
            screens,
            site,
            certificates,
        )
        known = {name: one for room in rooms for name, one in room.handlers(self._office).items()}
        known |= vmmcalls.handlers(self._office, known)
        # Of what changes nothing no answers are kept; pieces of images would be long to compare.
        return {
            name: told_apart(name, one) if CLUSTER_MANAGER[name].changes else one
            for name, one in known.items()
        }

    def begin(self) -> None:
        """Begin a reign, take in what is configured, and let the nodes know."""
        self.ledger.begin_reign()
        begun = self.ledger.ask(self._take_in_configured), self.ledger.ask(self.monitor.greet)
        self.ledger.turn(0.0)
        for answer in begun:
            answer.result(timeout=0)
        for record in self.ledger.books.instances.values():
            self.dispatch.give(owed_deletions(record))
        self._office.people.begin()
        self._world.workers.run("images", partial(self._tidy_images, _FIRST_PAUSE_SECONDS))

    def turn(self, wait_seconds: float) -> None:
        """Wait for work, at most so long, and do it."""
        self.ledger.turn(wait_seconds)

    def tick(self) -> None:
        """Do what time brings."""
        now = self._world.clock.monotonic()
        self.ledger.history.expire(now)
        self.jobs.expire(now)
        for one in self.imports.idle(now):
            self._world.workers.run(f"import {one.id}", partial(self.imports.give_up, one))
        self.ledger.tend()
        self.ledger.ask(self.monitor.tick)

    def stop(self) -> None:
        """Give up what is under way and can be given up."""
        self.dispatch.stop()
        self.jobs.stop()

    def _tidy_images(self, pause: float) -> None:
        """Remove what an earlier reign left half made, and look once at what there is.

        So nobody waits for that look later. A store that is away is waited for.
        """
        try:
            for name in self._world.images.sweep():
                _log.info("%s was left half made and is removed.", name)
            self._world.images.images()
        except TashiError as error:
            _log.warning("The image store is looked at again in %.0f s: %s", pause, error)
            longer = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self._world.workers.after(pause, "images", partial(self._tidy_images, longer))

    def _note_deleted(self, owed: DeleteSpent) -> None:
        """Cross out what was to be deleted; of an instance that is forgotten nothing is booked."""

        def cross_out(draft: Draft) -> None:
            if owed.instance_id in draft.books.instances:
                draft.befall(owed.instance_id, Deleted(owed.spent))

        self.jobs.surely(cross_out)

    def _committed(self, entries: Iterable[Entry]) -> None:
        self.monitor.note(entries)
        self.board.note(entries)
        self._timing.note(entries, self._world.clock.monotonic())
        if not _log.isEnabledFor(INFO):
            return
        books = self.ledger.books
        for entry in entries:
            if entry.line:
                about = partial(in_keys, entry, books)
                _log.info("%s", in_words(entry, books), extra={"about": about})

    def _readings(self) -> Iterable[Reading]:
        now = self._world.clock.monotonic()
        yield from gauges.readings(
            self.ledger.books,
            lambda record: self.board.stats(record, now),
            self._world.clock.wall(),
        )
        yield Reading(metrics.EPOCH, self.ledger.epoch)
        yield Reading(metrics.EVENTS, self.ledger.published.next_event)
        yield Reading(metrics.JOBS, self.jobs.under_way)

    def _take_in_configured(self, draft: Draft) -> None:
        for record in self._plan.configured:
            put = Put(record)
            if draft.books.has(put.kind, put.key):
                continue
            if isinstance(record, Host):
                draft.reserve_host(record.id)
            draft.put(record)
