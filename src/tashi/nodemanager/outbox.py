"""The node's side of the conversation with the cluster manager.

A session is opened with a hello; then follow, in order and numbered: what was not heard in the
session before, an inventory made now, and whatever is reported from then on. One message is under
way at a time and is repeated until it is acknowledged, so "it is not here" can never overtake "it
has left". When the cluster manager says that the session is over, another is opened.

Everything here belongs to the node's writer thread, but for the calls themselves, which wait in the
lane ``cluster`` and come back through `post`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from logging import getLogger
from typing import Final, Protocol

from tashi.domain.errors import Failed, StaleSession, TashiError
from tashi.domain.guest import Glimpse
from tashi.domain.host import Machine
from tashi.ports.clock import Clock
from tashi.ports.workers import Job, Workers
from tashi.wire.forms import GuestForm, InventoryForm, ReportForm, SessionForm

_log = getLogger(__name__)

_LANE: Final = "cluster"
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 10.0
MOST_REPORTS_AT_ONCE: Final = 200


class Registrar(Protocol):
    """Where a node registers and reports. Every call raises PeerSilent when nobody answers."""

    def register(self, machine: Machine, *, register: bool) -> SessionForm:
        """Open a session; `register` lets an unknown host add itself.

        Raises NoSuchHost or HostNameMismatch when the cluster does not want this node.
        """
        ...

    def report(
        self,
        session: SessionForm,
        number: int,
        reports: Sequence[ReportForm],
        inventory: InventoryForm | None,
    ) -> None:
        """Hand over reports, once they are durable there; raises StaleSession when it is over."""
        ...

    def tell(self, session: SessionForm, guests: Sequence[Glimpse]) -> None:
        """Tell what is known of guests right now; raises StaleSession when it is over."""
        ...


class Desk(Protocol):
    """What the outbox asks of the node it speaks for."""

    def admit(self, session: SessionForm) -> None:
        """Look at a session before it is opened; raises TashiError when it must not be."""
        ...

    def opened(self) -> None:
        """A session is open; orders of it may be taken."""
        ...

    def unheard(self) -> Iterable[ReportForm]:
        """Reports that no session has acknowledged, oldest first for each guest."""
        ...

    def inventory(self) -> tuple[GuestForm, ...]:
        """Every guest as it is now."""
        ...

    def acknowledged(self, reports: Sequence[ReportForm]) -> None:
        """The cluster manager has these for good."""
        ...


class Outbox:
    """Speaks to one cluster manager; `frequency_seconds` is the longest silence it keeps.

    The hello says what the machine is, and whether it may add itself. What the machine is is asked
    again with every sign of life: when that has changed, a new session tells it.
    """

    def __init__(
        self,
        registrar: Registrar,
        workers: Workers,
        clock: Clock,
        post: Callable[[Job], None],
        hello: tuple[Callable[[], Machine], bool],
        frequency_seconds: float,
    ) -> None:
        self._registrar = registrar
        self._workers = workers
        self._clock = clock
        self._post = post
        self._describe, self._register = hello
        self._told: Machine | None = None
        self._frequency = frequency_seconds
        self._desk: Desk | None = None
        self._opening = False
        self._sending = False
        self._pause = 0.0
        self._number = 0
        self._spoke_at = clock.monotonic()
        self._queue: deque[ReportForm | None] = deque()
        self.session: SessionForm | None = None

    def serve(self, desk: Desk) -> None:
        """Speak for that node from now on, beginning with a hello."""
        self._desk = desk
        self.open()

    @property
    def is_opening(self) -> bool:
        """Whether a hello is under way."""
        return self._opening

    def open(self) -> None:
        """Say hello, unless that is under way."""
        if not self._opening:
            self._opening = True
            self.session = None
            self._workers.run(_LANE, self._say_hello)

    def push(self, reports: Iterable[ReportForm]) -> None:
        """Report these after everything before; outside a session the notes remember them."""
        if self.session is not None:
            self._queue.extend(reports)
            self._send_next()

    def tick(self) -> None:
        """Give a sign of life when nothing else was said for a while."""
        quiet = self._clock.monotonic() - self._spoke_at
        if self.session is not None and not self._sending and quiet >= self._frequency:
            self._send((), None)

    # ---- hello --------------------------------------------------------------------------------

    def _described(self) -> Machine:
        """What this machine is now; raises TashiError where that is not found out."""
        try:
            return self._describe()
        except TashiError:
            raise
        except Exception as error:
            # Whatever it was: in this lane it would keep the node from ever speaking again.
            _log.exception("What this machine is was not found out.")
            raise Failed("What this machine is was not found out: see the log.") from error

    def _say_hello(self) -> None:
        try:
            machine = self._described()
            session = self._registrar.register(machine, register=self._register)
        except TashiError as error:
            self._post(partial(self._not_opened, error))
        else:
            self._post(partial(self._opened, session, machine))

    def _not_opened(self, error: TashiError) -> None:
        self._pause = min(max(self._pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        _log.warning("No session yet, next try in %.1f s: %s", self._pause, error)
        self._workers.after(self._pause, _LANE, self._say_hello)

    def _opened(self, session: SessionForm, machine: Machine) -> None:
        assert self._desk is not None
        try:
            self._desk.admit(session)
        except TashiError as error:
            self._not_opened(error)
            return
        _log.info("Session %d of epoch %d is open.", session.session, session.epoch)
        self._opening, self._sending, self._number = False, False, 0
        self.session, self._told = session, machine
        # The empty place is where the inventory goes: made when its turn comes.
        self._queue = deque((*self._desk.unheard(), None))
        self._desk.opened()
        self._send_next()

    # ---- reports ------------------------------------------------------------------------------

    def _send_next(self) -> None:
        if self._sending or not self._queue:
            return
        reports: list[ReportForm] = []
        while self._queue and len(reports) < MOST_REPORTS_AT_ONCE:
            following = self._queue.popleft()
            if following is None:
                self._send(reports, self._inventory())
                return
            reports.append(following)
        self._send(reports, None)

    def _inventory(self) -> InventoryForm:
        assert self.session is not None
        assert self._desk is not None
        return InventoryForm(self.session.session, self._desk.inventory())

    def _send(self, reports: Sequence[ReportForm], inventory: InventoryForm | None) -> None:
        assert self.session is not None
        self._sending = True
        self._number += 1
        call = partial(self._speak, self.session, self._number, tuple(reports), inventory)
        self._workers.run(_LANE, call)

    def _speak(
        self,
        session: SessionForm,
        number: int,
        reports: Sequence[ReportForm],
        inventory: InventoryForm | None,
    ) -> None:
        try:
            self._registrar.report(session, number, reports, inventory)
        except Failed as error:
            again = partial(self._speak, session, number, reports, inventory)
            self._post(partial(self._unheard, session, error, again))
        except TashiError as error:
            self._post(partial(self._over, session, error))
        else:
            says_nothing = not reports and inventory is None
            machine = None
            if says_nothing:
                with suppress(TashiError):  # it is asked again with the next sign of life
                    machine = self._described()
            self._post(partial(self._heard, session, reports, machine))

    def _heard(
        self, session: SessionForm, reports: Sequence[ReportForm], machine: Machine | None
    ) -> None:
        assert self._desk is not None
        self._desk.acknowledged(reports)
        self._spoke_at = self._clock.monotonic()
        if session == self.session:
            self._sending, self._pause = False, 0.0
            if machine is not None and machine != self._told:
                _log.info("This machine has changed: a new session tells the cluster manager.")
                self.open()
            else:
                self._send_next()

    def _unheard(self, session: SessionForm, error: TashiError, again: Job) -> None:
        if session == self.session:
            self._pause = min(max(self._pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            _log.warning("Not heard, next try in %.1f s: %s", self._pause, error)
            self._workers.after(self._pause, _LANE, again)

    def _over(self, session: SessionForm, error: TashiError) -> None:
        if session != self.session:
            return
        if isinstance(error, StaleSession):
            _log.info("The session is over: %s", error)
            self.open()
            return
        # A message that is refused as such would be refused again: no haste to open a session.
        self._opening, self.session = True, None
        self._not_opened(error)
