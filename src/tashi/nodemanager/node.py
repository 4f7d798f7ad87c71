"""The one writer of a node's notes.

Orders, outcomes and happenings are posted here and taken one after the other. A note is on disk
before its order is acknowledged, and before anything is done; so whenever this program dies, the
next one finds in the notes what was under way and finishes it, once. Likewise nothing is reported
before it is on disk: while the disk is full, orders are refused and what befalls guests waits.

`post` may be called from any thread; everything else belongs to the thread that calls `turn`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from logging import getLogger

import msgspec

from tashi.domain.errors import StaleSession, StoreFailed
from tashi.domain.guest import Glimpse, GuestState, Progress, Stats
from tashi.domain.identity import Epoch, InstanceId, Operation
from tashi.domain.states import Order
from tashi.nodemanager import guests
from tashi.nodemanager.guests import Do, Note, Step
from tashi.nodemanager.inbox import Inbox, settle
from tashi.nodemanager.notes import read, stranger
from tashi.nodemanager.orders import (
    InDoubt,
    came,
    cancel,
    clear_away,
    hold,
    left,
    see_through,
    started,
    to_be_no_more,
)
from tashi.nodemanager.outbox import Outbox
from tashi.nodemanager.sightings import Sightings
from tashi.nodemanager.storing import Storing
from tashi.nodemanager.teller import Teller
from tashi.ports.frames import Overheard
from tashi.ports.hypervisor import Found, FoundGuest, Happening, Hypervisor, News
from tashi.ports.notebook import Notebook
from tashi.ports.workers import Job, Workers
from tashi.wire.forms import GuestForm, OrderForm, ReportForm, SessionForm

_log = getLogger(__name__)

_SEEN = {Happening.FROZE: GuestState.FROZEN, Happening.THAWED: GuestState.RUNNING}


class Node:
    """Every guest of this machine, and what the cluster manager has asked of each."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        notebook: Notebook,
        voices: tuple[Outbox, Teller],
        sightings: Sightings,
        workers: Workers,
        inbox: Inbox,
    ) -> None:
        self._hypervisor = hypervisor
        self._notebook = notebook
        self._outbox, self._teller = voices
        self._storing = Storing(workers, inbox.post, self._teller.tell, self._store_again)
        self._sightings = sightings
        self._workers = workers
        self._inbox = inbox
        self._notes: dict[InstanceId, Note] = {}
        self._epoch = notebook.epoch()
        self._taken = 0
        self._early: list[Job] = []
        self._befallen: deque[tuple[InstanceId, Callable[[Note], Step]]] = deque()

    # ---- beginning ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Take up the notes and the guests from before, then say hello."""
        self._notes = {key: read(key, page) for key, page in self._notebook.pages().items()}
        self._hypervisor.listen(lambda news: self._inbox.post(partial(self._happened, news)))
        self._hypervisor.follow(
            lambda guest, progress: self._inbox.post(partial(self._went_on, guest, progress))
        )
        self._sightings.listen(lambda heard: self._inbox.post(partial(self._overheard, heard)))
        found = {one.instance_id: one for one in self._hypervisor.adopt()}
        for note in self._notes.values():
            self._sightings.look(note)
        for key in sorted({*self._notes, *found}):
            self._take_up_again(key, self._notes.get(key), found.get(key))
        self._outbox.serve(self)

    def tick(self) -> None:
        """Keep what found the disk full before."""
        with suppress(StoreFailed):
            self._catch_up()

    def _take_up_again(self, key: InstanceId, note: Note | None, found: FoundGuest | None) -> None:
        if note is None and found is not None:
            self._notes[key] = stranger(found)
        elif note is not None and note.doing is not None:
            self._finish(note, note.doing, found)
            if note.doing.order not in guests.MAKES and (found is None or found.running is None):
                # What was under way may have been what ended it, so it is finished first.
                self._after_its_orders(key, partial(self._compare, key, found))
        elif note is not None:
            self._compare(key, found)
            if note.cleared and found is not None and found.running is None:
                self._clear_away(key)

    def _clear_away(self, key: InstanceId) -> None:
        self._workers.run(_lane(key), partial(clear_away, self._hypervisor, key))

    def _finish(self, note: Note, order: OrderForm, found: FoundGuest | None) -> None:
        """Go on with what was under way when the program before this one ended."""
        do = guests.again(note, order)
        if do is Do.SEND:
            self._finish_send(note, order, found)
            return
        if do in {Do.START, Do.REPLACE, Do.RESTORE} and found and found.attempt == note.attempt:
            if found.running is not None:
                self._conclude(note.id, order, started(order, found.running))
                self._compare(note.id, found)
                return
            if found.found is Found.NOT_BEGUN and do is Do.REPLACE:
                do = Do.START
        _log.info("Instance %d: going on with its %s.", note.id, order.order.value)
        self._do(do, order)

    def _finish_send(self, note: Note, order: OrderForm, found: FoundGuest | None) -> None:
        """A send is cut short with the program, or it was complete and the guest has left."""
        if found is None or found.found is Found.LEFT:
            self._conclude(note.id, order, left(order))
            self._clear_away(note.id)
        elif found.running is not None:
            self._conclude(note.id, order, guests.failure(order, "Its node was restarted."))
            self._compare(note.id, found)
        else:
            # In this order: its disks are here, and a failed move leaves them to it.
            self._conclude(note.id, order, guests.failure(order, "Its guest has ended."))
            self._befall(note.id, lambda kept: guests.ended(kept, found.how, found.words))

    def _compare(self, key: InstanceId, found: FoundGuest | None) -> None:
        if found is not None and found.found in {Found.RECEIVING, Found.LEFT}:
            return
        if found is None:
            self._befall(key, guests.vanished)
            return
        if found.running is None:
            words = found.words or "It ended while its node was away."
            self._befall(key, lambda note: guests.ended(note, found.how, words))
            return
        running = found.running
        # Its source's word was heard, but no longer noted by the program before this one.
        self._befall(key, lambda note: guests.arrived(note, came(note, running)))
        frozen = found.found is Found.FROZEN
        state = GuestState.FROZEN if frozen else GuestState.RUNNING
        self._befall(key, lambda note: guests.seen(note, state, found.words))

    def notes(self) -> tuple[Note, ...]:
        """Every note as it is now. From any thread."""
        return tuple(self._notes.values())

    # ---- the outbox's desk --------------------------------------------------------------------

    def admit(self, session: SessionForm) -> None:
        """Keep the session's epoch; raises StaleSession when it is of an earlier reign."""
        if session.epoch < self._epoch:
            raise StaleSession(
                f"The cluster manager that answered is of epoch {session.epoch}, but one of epoch "
                f"{self._epoch} has been here: books are put back from a copy with tashi-admin "
                "restore, which goes on with a later one."
            )
        if session.epoch > self._epoch:
            self._notebook.keep_epoch(Epoch(session.epoch))
            self._epoch = Epoch(session.epoch)

    def opened(self) -> None:
        """A session is open; orders that came before its answer are taken now."""
        self._taken = 0
        early, self._early = self._early, []
        for job in early:
            job()

    def unheard(self) -> Iterable[ReportForm]:
        """Reports that no session has acknowledged."""
        return [report for key in sorted(self._notes) for report in self._notes[key].unheard]

    def inventory(self) -> tuple[GuestForm, ...]:
        """Every guest as it is now."""
        return tuple(
            guests.listed(note) for _, note in sorted(self._notes.items()) if not note.cleared
        )

    def acknowledged(self, reports: Sequence[ReportForm]) -> None:
        """The cluster manager has these for good."""
        for report in reports:
            self._befall(InstanceId(report.instance_id), partial(_acknowledge, report))

    # ---- orders -------------------------------------------------------------------------------

    def live_check(self, epoch: Epoch) -> SessionForm:
        """Which session is open; a newer epoch makes the node open another."""
        session = self._outbox.session
        if session is None or session.epoch < epoch:
            self._outbox.open()
            return session or SessionForm(0, self._epoch, 0)
        return session

    def take_orders(
        self, epoch: Epoch, session: int, number: int, orders: Sequence[OrderForm]
    ) -> Future[bool]:
        """Take orders up; the future ends once their notes are on disk."""
        answer: Future[bool] = Future()
        take = partial(settle, answer, partial(self._take, epoch, session, number, orders))
        if self._outbox.is_opening and epoch >= self._epoch:
            # The order may have overtaken the answer to our hello; it belongs to the new session.
            self._early.append(take)
        else:
            take()
        return answer

    def _take(self, epoch: Epoch, session: int, number: int, orders: Sequence[OrderForm]) -> None:
        current = self._outbox.session
        if epoch < self._epoch or current is None or current.session != session:
            raise StaleSession(f"Session {session} of epoch {epoch} is not open here.")
        if number <= self._taken:
            return
        try:
            self._catch_up()
            for order in orders:
                self._take_up(order)
        except StoreFailed:
            # They are asked again until they are answered, and what goes with a guest makes room.
            for note in to_be_no_more(self._notes, orders):
                self._call_back(note)
                self._clear_away(note.id)
            raise
        self._taken = number

    def _take_up(self, order: OrderForm) -> None:
        note = self._notes.get(InstanceId(order.instance_id))
        result = guests.ordered(note, order)
        if result is None:
            _log.info("Instance %d: %s is of the past.", order.instance_id, order.order.value)
            return
        self._settle(result)
        if result.do is not None:
            if note and (result.do in {Do.CANCEL, Do.KILL} or guests.is_stored(note)):
                self._call_back(note)
            self._do(result.do, order)

    def _call_back(self, note: Note) -> None:
        """Let what is under way in the guest's lane keep what follows there waiting no longer."""
        self._workers.run(f"cancel {note.id}", partial(cancel, self._hypervisor, note))

    def _store_again(self, order: OrderForm) -> None:
        note = self._notes.get(InstanceId(order.instance_id))
        if note is not None and note.doing is None:
            self._take_up(order)

    def _do(self, do: Do, order: OrderForm) -> None:
        key = InstanceId(order.instance_id)

        def tell(outcome: ReportForm | None) -> None:
            _log.debug("Instance %d: %s: %s.", key, order.order.value, outcome)
            self._inbox.post(partial(self._conclude, key, order, outcome))

        def job() -> None:
            try:
                given_up = do is Do.STORE and not self._is_doing(order)
                outcome = None if given_up else see_through(self._hypervisor, do, order, tell)
            except InDoubt:
                return  # it stays under way, and the next program finds out
            tell(outcome)
            if do is Do.SEND and outcome == left(order):
                clear_away(self._hypervisor, key)

        if do is not Do.CANCEL:
            self._workers.run(_lane(order.instance_id), job)

    def _is_doing(self, order: OrderForm) -> bool:
        note = self._notes.get(InstanceId(order.instance_id))
        return note is not None and note.doing == order

    def _after_its_orders(self, key: InstanceId, job: Job) -> None:
        """Post a job once the outcome of every order that the guest has now is posted."""
        self._workers.run(_lane(key), partial(self._inbox.post, job))

    def _conclude(self, key: InstanceId, order: OrderForm, outcome: ReportForm | None) -> None:
        wanted = self._is_doing(order)
        self._befall(key, lambda note: guests.concluded(note, order, outcome))
        if order.order is Order.STORE:
            self._storing.concluded(order, outcome, wanted=wanted)

    def _happened(self, news: News) -> None:
        note = self._notes.get(news.instance_id)
        under_way = None if note is None or note.doing is None else note.doing.order
        if note is not None and under_way in guests.MAKES | guests.AWAITED:
            # A guest can end before its start is told: the start is then heard of first. One that
            # ends while it is sent has its disks here, which a failed move leaves to it.
            self._after_its_orders(note.id, partial(self._befell, news))
        else:
            self._befell(news)

    def _befell(self, news: News) -> None:
        if news.what is Happening.ENDED:
            self._befall(news.instance_id, lambda note: guests.ended(note, news.how, news.words))
        elif news.what is Happening.ADDRESSED:
            self._saw(news.instance_id, news.mac, news.ip, given=False)
        elif news.what is Happening.ARRIVED:
            self._befall(news.instance_id, partial(_arrive, news))
        else:
            state = _SEEN[news.what]
            self._befall(news.instance_id, lambda note: guests.seen(note, state, news.words))

    def _overheard(self, heard: Overheard) -> None:
        """A guest's address was seen on its network."""
        if (card := self._sightings.card(heard)) is not None:
            self._saw(*card, heard.ip, given=heard.given)

    def _saw(self, key: InstanceId, mac: str, ip: str, *, given: bool) -> None:
        note = self._notes.get(key)
        if note is None or not self._sightings.is_news(note, mac, ip, given=given):
            return
        self._befall(key, lambda kept: guests.addressed(kept, mac, ip))
        # A card may have many IPv6 addresses, and changes them: it is not held to one of those.
        if ":" not in ip:
            self._workers.run(f"address {key}", partial(hold, self._hypervisor, key, mac, ip))

    def measured(self, stats: Mapping[InstanceId, Stats]) -> None:
        """Tell what guests use; of one that is no longer here, nothing."""
        self._teller.tell(
            [
                Glimpse(instance_id=key, operation=Operation(note.operation), stats=one)
                for key, one in stats.items()
                if (note := self._notes.get(key)) is not None
            ]
        )

    def _went_on(self, key: InstanceId, progress: Progress) -> None:
        """A move or a save went on a bit: tell people, keep nothing."""
        note = self._notes.get(key)
        if note is not None and note.doing is not None:
            operation = Operation(note.doing.operation)
            self._teller.tell([Glimpse(instance_id=key, operation=operation, progress=progress)])

    # ---- notes --------------------------------------------------------------------------------

    def _befall(self, key: InstanceId, act: Callable[[Note], Step]) -> None:
        """Let something befall a guest, behind everything that could not be kept yet."""
        self._befallen.append((key, act))
        try:
            self._catch_up()
        except StoreFailed as error:
            _log.error("Instance %d: what befell it waits to be noted: %s", key, error)

    def _catch_up(self) -> None:
        while self._befallen:
            key, act = self._befallen[0]
            note = self._notes.get(key)
            if note is not None:
                self._settle(act(note))
            self._befallen.popleft()

    def _settle(self, result: Step) -> None:
        """Keep a note, then report; raises StoreFailed, and then nothing has changed."""
        self._keep(result.note)
        self._outbox.push(result.reports)

    def _keep(self, note: Note) -> None:
        self._write(note)
        self._sightings.look(note)

    def _write(self, note: Note) -> None:
        if note.is_over:
            self._notebook.tear_out(note.id)
            self._notes.pop(note.id, None)
        elif self._notes.get(note.id) != note:
            self._notebook.write(note.id, msgspec.json.encode(note))
            self._notes[note.id] = note


def _lane(guest: int) -> str:
    return f"guest {guest}"


def _arrive(news: News, note: Note) -> Step:
    if news.running is None or not guests.awaits(note, news.incoming):
        return Step(note)
    return guests.arrived(note, came(note, news.running))


def _acknowledge(report: ReportForm, note: Note) -> Step:
    return Step(guests.heard(note, report))
