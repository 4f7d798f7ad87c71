"""The nodes of a cluster as its manager sees them: each takes orders in its session."""

from collections.abc import Callable, Sequence

from tashi.domain.errors import NoSuchVm, PeerSilent, StaleSession, TashiError
from tashi.domain.host import Host
from tashi.domain.identity import Attempt, Epoch, HostId, InstanceId, Session
from tashi.domain.instructions import NodeOrder
from tashi.ports.nodes import ScreenPlace

CONSOLE = "BOOT\n"


class FakeNodes:
    """Keeps the port `Nodes`; a node takes the orders of the session in `sessions`, else of any.

    `while_asked` is called in the middle of each call, then one of the `mishaps` is raised, if any
    is left. `taken` holds every batch that counted, once, and `epochs` those in which orders came.
    `guests` are the guests that can be reset, and `resets` those that were. `forgotten` are the
    hosts that were let go of.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.guests: set[tuple[InstanceId, Attempt]] = set()
        self.resets: list[InstanceId] = []
        self.passwords: list[str] = []
        self.typed = b""
        self.taken: list[tuple[str, int, tuple[NodeOrder, ...]]] = []
        self.checked: list[tuple[str, Epoch]] = []
        self.forgotten: list[HostId] = []
        self.calls = 0
        self.epochs: list[Epoch] = []
        self.while_asked: Callable[[], None] = lambda: None
        self.mishaps: list[TashiError] = []
        self._last: dict[tuple[str, Session], int] = {}

    @property
    def orders(self) -> list[NodeOrder]:
        """Every order that counted, in the order they came."""
        return [order for _, _, orders in self.taken for order in orders]

    def take_orders(
        self, host: Host, epoch: Epoch, number: int, orders: Sequence[NodeOrder]
    ) -> None:
        self._speak()
        self.epochs.append(epoch)
        if self.sessions.get(host.name, host.session) != host.session:
            raise StaleSession(f"Session {host.session} of epoch {epoch} is not open here.")
        conversation = (host.name, host.session)
        if number > self._last.get(conversation, 0):
            self._last[conversation] = number
            self.taken.append((host.name, number, tuple(orders)))

    def forget(self, host: HostId) -> None:
        self.forgotten.append(host)

    def live_check(self, host: Host, epoch: Epoch) -> None:
        self._speak()
        self.checked.append((host.name, epoch))

    def reset(self, host: Host, instance: InstanceId, attempt: Attempt) -> None:
        self._speak()
        self._check(instance, attempt)
        self.resets.append(instance)

    def start_vnc(
        self, host: Host, instance: InstanceId, attempt: Attempt, password: str, *, on_socket: bool
    ) -> ScreenPlace:
        self._speak()
        self._check(instance, attempt)
        self.passwords.append(password)
        return ScreenPlace(socket="/vnc") if on_socket else ScreenPlace(host.name, 5900, tls=True)

    def stop_vnc(self, host: Host, instance: InstanceId, attempt: Attempt) -> None:
        self._speak()
        self._check(instance, attempt)

    def type_console(
        self, host: Host, instance: InstanceId, attempt: Attempt, typed: bytes
    ) -> None:
        self._speak()
        self._check(instance, attempt)
        self.typed += typed

    def read_console(
        self, host: Host, instance: InstanceId, offset: int, timeout_seconds: float
    ) -> tuple[bytes, int]:
        text, end = self.console(host, instance, offset, timeout_seconds)
        return text.encode(), end

    def console(
        self, host: Host, instance: InstanceId, offset: int, timeout_seconds: float
    ) -> tuple[str, int]:
        self._speak()
        begin = max(0, len(CONSOLE) + offset) if offset < 0 else min(offset, len(CONSOLE))
        return CONSOLE[begin:], len(CONSOLE)

    def _check(self, instance: InstanceId, attempt: Attempt) -> None:
        if (instance, attempt) not in self.guests:
            raise NoSuchVm(f"There is no guest of instance {instance} here.")

    def _speak(self) -> None:
        self.calls += 1
        self.while_asked()
        if self.mishaps:
            raise self.mishaps.pop(0)


def silence() -> TashiError:
    """The mishap of a call that nobody answers."""
    return PeerSilent("The node did not answer.")
