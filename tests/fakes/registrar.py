"""A cluster manager as one node sees it: it opens sessions and takes reports."""

from collections.abc import Callable, Sequence

from tashi.domain.errors import NoSuchHost, PeerSilent, StaleSession, TashiError
from tashi.domain.guest import Glimpse
from tashi.domain.host import Machine
from tashi.wire.forms import InventoryForm, ReportForm, SessionForm


class FakeRegistrar:
    """Keeps `Registrar` for one host, which it knows under `known` or lets register itself.

    `while_told` is called in the middle of each report. `mishaps` are raised one a call, before
    anything counts. `taken` holds every message that counted, once, and `told` every glimpse.
    """

    def __init__(self, known: str = "h1", epoch: int = 1) -> None:
        self.known = {known}
        self.epoch = epoch
        self.machines: list[Machine] = []
        self.taken: list[tuple[int, tuple[ReportForm, ...], InventoryForm | None]] = []
        self.told: list[Glimpse] = []
        self.while_told: Callable[[], None] = lambda: None
        self.mishaps: list[TashiError] = []
        self._session: SessionForm | None = None
        self._last = 0

    @property
    def reports(self) -> list[ReportForm]:
        """Every report that counted, in the order it came."""
        return [report for _, reports, _ in self.taken for report in reports]

    @property
    def inventories(self) -> list[InventoryForm]:
        """Every inventory that counted."""
        return [inventory for _, _, inventory in self.taken if inventory is not None]

    @property
    def session(self) -> int:
        """The number of the open session, 0 without one."""
        return 0 if self._session is None else self._session.session

    def end_session(self) -> None:
        """Forget the session, as a new cluster manager does."""
        self._session = None

    def register(self, machine: Machine, *, register: bool) -> SessionForm:
        self._speak()
        if machine.name not in self.known and not register:
            raise NoSuchHost(f"There is no host {machine.name}.")
        self.known.add(machine.name)
        self.machines.append(machine)
        self._session = SessionForm(1, self.epoch, len(self.machines))
        self._last = 0
        return self._session

    def report(
        self,
        session: SessionForm,
        number: int,
        reports: Sequence[ReportForm],
        inventory: InventoryForm | None,
    ) -> None:
        self.while_told()
        self._speak()
        if session != self._session:
            raise StaleSession(f"Session {session.session} of host {session.host_id} is over.")
        if number > self._last:
            self._last = number
            self.taken.append((number, tuple(reports), inventory))

    def tell(self, session: SessionForm, guests: Sequence[Glimpse]) -> None:
        self._speak()
        if session != self._session:
            raise StaleSession(f"Session {session.session} of host {session.host_id} is over.")
        self.told.extend(guests)

    def _speak(self) -> None:
        if self.mishaps:
            raise self.mishaps.pop(0)


def silence() -> TashiError:
    """The mishap of a call that nobody answers."""
    return PeerSilent("The cluster manager did not answer.")
