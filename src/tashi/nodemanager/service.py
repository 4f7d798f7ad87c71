"""The answers to every call that a node manager takes, by the name of its method."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from logging import getLogger
from typing import Any, Final, TypeVar

from tashi.domain.errors import Broken, NoSuchVm, TashiError
from tashi.domain.identity import Epoch, InstanceId
from tashi.domain.permissions import Caller
from tashi.nodemanager.inbox import Inbox
from tashi.nodemanager.node import Node
from tashi.ports.clock import Clock
from tashi.ports.hypervisor import Hypervisor
from tashi.ports.workers import Workers
from tashi.wire.chaining import then
from tashi.wire.forms import ConsoleForm, OrderForm
from tashi.wire.screens import ScreenForm, TypedForm

T = TypeVar("T")

_log = getLogger(__name__)

MOST_CONSOLE_BYTES: Final = 64 * 1024
_LOOK_AGAIN_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 60.0


class NodeCalls:
    """Handlers around one node; those that touch its notes run in its writer thread."""

    def __init__(
        self, node: Node, inbox: Inbox, hypervisor: Hypervisor, workers: Workers, clock: Clock
    ) -> None:
        self._node = node
        self._inbox = inbox
        self._hypervisor = hypervisor
        self._workers = workers
        self._clock = clock

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """The handlers by method."""
        return {
            "takeOrders": self.take_orders,
            "liveCheck": self.live_check,
            "resetVm": self.reset,
            "getConsole": self.console,
            "readConsole": self.read_console,
            "typeConsole": self.type_console,
            "startVnc": self.start_vnc,
            "stopVnc": self.stop_vnc,
        }

    def take_orders(
        self,
        _caller: Caller,
        _request: str,
        epoch: int,
        session: int,
        number: int,
        orders: tuple[OrderForm, ...],
    ) -> Future[Any]:
        """Take orders up, in order."""
        taken = self._asked(lambda: self._node.take_orders(Epoch(epoch), session, number, orders))
        return then(taken, lambda taken_up: taken_up)

    def live_check(self, _caller: Caller, _request: str, epoch: int) -> Future[Any]:
        """Say which session is open."""
        return self._asked(lambda: self._node.live_check(Epoch(epoch)))

    def reset(self, _caller: Caller, _request: str, instance_id: int, attempt: int) -> Future[Any]:
        """Press a guest's reset button."""
        guest = InstanceId(instance_id)
        return self._push(guest, attempt, lambda: self._hypervisor.reset(guest))

    def start_vnc(
        self,
        _caller: Caller,
        _request: str,
        instance_id: int,
        attempt: int,
        password: str,
        on_socket: bool,
    ) -> Future[Any]:
        """Show a guest's display."""
        guest, show = InstanceId(instance_id), self._hypervisor.start_vnc

        def act() -> ScreenForm:
            screen = show(guest, password, on_socket=on_socket)
            return ScreenForm(screen.address, screen.port, screen.socket, screen.tls)

        return self._push(guest, attempt, act)

    def stop_vnc(
        self, _caller: Caller, _request: str, instance_id: int, attempt: int
    ) -> Future[Any]:
        """Show a guest's display no more."""
        guest = InstanceId(instance_id)
        return self._push(guest, attempt, lambda: self._hypervisor.stop_vnc(guest))

    def type_console(
        self, _caller: Caller, _request: str, instance_id: int, attempt: int, data: bytes
    ) -> Future[Any]:
        """Type on a guest's serial console."""
        guest = InstanceId(instance_id)
        # A lane of its own: what is typed should not wait for a long order, nor one for it.
        return self._push(
            guest, attempt, lambda: self._hypervisor.type_in(guest, data), f"keyboard {guest}"
        )

    def console(
        self, _caller: Caller, _request: str, instance_id: int, offset: int, timeout: float
    ) -> Future[Any]:
        """Read a guest's serial console; with a timeout, wait for something to read."""
        return self._read(
            InstanceId(instance_id),
            offset,
            timeout,
            lambda said, end: ConsoleForm(said.decode("utf-8", "replace"), end),
        )

    def read_console(
        self, _caller: Caller, _request: str, instance_id: int, offset: int, timeout: float
    ) -> Future[Any]:
        """Read a guest's serial console, to the byte."""
        return self._read(InstanceId(instance_id), offset, timeout, TypedForm)

    def _asked(self, question: Callable[[], T]) -> "Future[T]":
        """What the writer answers in its turn."""
        answer: Future[T] = Future()

        def job() -> None:
            with _failures_told(answer):
                answer.set_result(question())

        self._inbox.post(job)
        return answer

    def _push(
        self, guest: InstanceId, attempt: int, act: Callable[[], object], lane: str = ""
    ) -> Future[Any]:
        """Do something to a guest that no order asked for, if it is still the one that was meant.

        The answer is what `act` returns, or True.
        """
        answer: Future[Any] = Future()

        def push() -> None:
            with _failures_told(answer):
                done = act()
                answer.set_result(True if done is None else done)

        def check() -> None:
            here = {one.instance_id: one.attempt for one in self._node.inventory()}
            if here.get(guest) == attempt:
                self._workers.run(lane or f"guest {guest}", push)
            else:
                answer.set_exception(NoSuchVm(f"There is no guest of instance {guest} here."))

        self._inbox.post(check)
        return answer

    def _read(
        self,
        guest: InstanceId,
        offset: int,
        timeout: float,
        shape: Callable[[bytes, int], ConsoleForm | TypedForm],
    ) -> Future[Any]:
        answer: Future[Any] = Future()
        lane = f"console {guest} {id(answer)}"
        until = self._clock.monotonic() + min(max(timeout, 0.0), _LONGEST_WAIT_SECONDS)

        def look(start: int) -> None:
            with _failures_told(answer):
                said, end = self._hypervisor.console(guest, start, MOST_CONSOLE_BYTES)
                if said or self._clock.monotonic() >= until:
                    answer.set_result(shape(said, end))
                    return
                # QEMU writes the log by itself and tells nobody, so to follow it is to look again.
                self._workers.after(_LOOK_AGAIN_SECONDS, lane, lambda: look(end))

        self._workers.run(lane, lambda: look(offset))
        return answer


@contextmanager
def _failures_told(answer: Future[Any]) -> Iterator[None]:
    """Let whoever waits for the answer know why there is none."""
    try:
        yield
    except TashiError as error:
        answer.set_exception(error)
    except Exception:  # noqa: BLE001  # a lane would log it, and leave whoever waits waiting
        _log.exception("A question to the node failed in a way that it should not.")
        answer.set_exception(Broken("Tashi made a mistake; the node's log says more."))
