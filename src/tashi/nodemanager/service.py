"""The answers to every call that a node manager takes, by the name of its method."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from tashi.domain.errors import NoSuchVm, TashiError
from tashi.domain.identity import Epoch, InstanceId
from tashi.domain.permissions import Caller
from tashi.nodemanager.node import Inbox, Node
from tashi.ports.clock import Clock
from tashi.ports.hypervisor import Hypervisor
from tashi.ports.workers import Workers
from tashi.wire.forms import ConsoleForm, OrderForm

MOST_CONSOLE_BYTES: Final = 64 * 1024
_LOOK_AGAIN_SECONDS: Final = 0.1


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
        answer: Future[Any] = Future()

        def job() -> None:
            taken = self._node.take_orders(Epoch(epoch), session, number, orders)
            taken.add_done_callback(lambda done: _pass_on(done, answer))

        self._inbox.post(job)
        return answer

    def live_check(self, _caller: Caller, _request: str, epoch: int) -> Future[Any]:
        """Say which session is open."""
        answer: Future[Any] = Future()
        self._inbox.post(lambda: answer.set_result(self._node.live_check(Epoch(epoch))))
        return answer

    def reset(self, _caller: Caller, _request: str, instance_id: int, attempt: int) -> Future[Any]:
        """Press a guest's reset button."""
        answer: Future[Any] = Future()

        def press() -> None:
            try:
                self._hypervisor.reset(InstanceId(instance_id))
                answer.set_result(True)
            except TashiError as error:
                answer.set_exception(error)

        def check() -> None:
            here = {guest.instance_id: guest.attempt for guest in self._node.inventory()}
            if here.get(instance_id) == attempt:
                self._workers.run(f"guest {instance_id}", press)
            else:
                answer.set_exception(NoSuchVm(f"There is no guest of instance {instance_id} here."))

        self._inbox.post(check)
        return answer

    def console(
        self, _caller: Caller, _request: str, instance_id: int, offset: int, timeout: float
    ) -> Future[Any]:
        """Read a guest's serial console; with a timeout, wait for something to read."""
        answer: Future[Any] = Future()
        lane = f"console {instance_id} {id(answer)}"
        until = self._clock.monotonic() + timeout

        def look(start: int) -> None:
            try:
                text, end = self._hypervisor.console(
                    InstanceId(instance_id), start, MOST_CONSOLE_BYTES
                )
            except TashiError as error:
                answer.set_exception(error)
                return
            if text or self._clock.monotonic() >= until:
                answer.set_result(ConsoleForm(text.decode("utf-8", "replace"), end))
                return
            # QEMU writes the log by itself and tells nobody, so following it means looking again.
            self._workers.after(_LOOK_AGAIN_SECONDS, lane, lambda: look(end))

        self._workers.run(lane, lambda: look(offset))
        return answer


def _pass_on(done: Future[bool], answer: Future[Any]) -> None:
    error = done.exception()
    if error is None:
        answer.set_result(done.result())
    else:
        answer.set_exception(error)
