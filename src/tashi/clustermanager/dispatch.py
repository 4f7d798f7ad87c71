"""Instructions on their way: orders to nodes, and to the image store what it is to delete.

There is one sender for each node, which keeps the order in which orders were given.

An order is sent only within a session. Whatever has not been taken up when a session ends is
dropped, because the next session begins with every order that the books imply. A node that does
not answer is tried again with the same number until it does, or until its session is over. What is
refused is sent once more order by order, and an order that is refused alone is left out: the others
must not wait for it, and its instance's patience repeats it.

Each sender has a lane of its own among the workers, so a node that hangs delays nobody else.

What is to be deleted stays in the books until it is: a next reign begins with what is left of it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from logging import getLogger
from typing import Final

from tashi.domain.errors import (
    Failed,
    NotLoggedIn,
    NotPermitted,
    StaleSession,
    TashiError,
    VersionMismatch,
)
from tashi.domain.host import Host
from tashi.domain.identity import Epoch, HostId
from tashi.domain.instructions import DeleteSpent, Instruction, NodeOrder
from tashi.ports.images import ImageStore
from tashi.ports.nodes import Nodes
from tashi.ports.workers import Workers
from tashi.wire.orders import order_bytes

_log = getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 10.0
MOST_ORDERS_AT_ONCE: Final = 100
MOST_BYTES_AT_ONCE: Final = 512 * 1024
"""Half of what a request may have."""

_NOT_HEARD: Final = (Failed, NotPermitted, NotLoggedIn, VersionMismatch)
"""What says nothing about the orders themselves, so that the same ones are tried again."""


@dataclass(frozen=True, slots=True)
class OpenSession(Instruction):
    """A session was booked: begin it with these orders."""

    host: Host
    orders: tuple[NodeOrder, ...]


@dataclass(frozen=True, slots=True)
class CloseSession(Instruction):
    """The host is lost or removed: nothing more is sent to it."""

    host_id: HostId


@dataclass(frozen=True, slots=True)
class CheckAlive(Instruction):
    """Ask a host whether it lives; if it does, its node will make itself heard."""

    host: Host


class Dispatch:
    """Carries instructions out; only the ledger's thread calls it, and never waits.

    `on_deleted` hears, from a worker, of everything that is deleted.
    """

    def __init__(
        self,
        nodes: Nodes,
        workers: Workers,
        epoch: Callable[[], Epoch],
        images: ImageStore,
        on_deleted: Callable[[DeleteSpent], None],
    ) -> None:
        self._nodes = nodes
        self._workers = workers
        self._epoch = epoch
        self._images = images
        self._on_deleted = on_deleted
        self._senders: dict[HostId, _Sender] = {}

    def give(self, instructions: Iterable[Instruction]) -> None:
        """Take instructions on."""
        for instruction in instructions:
            match instruction:
                case OpenSession(host, orders):
                    self._close(host.id)
                    sender = _Sender(host, self._epoch(), self._nodes, self._workers)
                    self._senders[host.id] = sender
                    sender.give(orders)
                case CloseSession(host_id):
                    self._close(host_id)
                    self._nodes.forget(host_id)
                case CheckAlive(host):
                    self._workers.run(f"ask {host.name}", partial(self._check_alive, host))
                case NodeOrder() if instruction.host_id in self._senders:
                    self._senders[instruction.host_id].give((instruction,))
                case DeleteSpent():
                    act = partial(self._delete, instruction, FIRST_PAUSE_SECONDS)
                    self._workers.run("images", act)

    def stop(self) -> None:
        """Send nothing more; what was not sent is told again in the next session."""
        for host in list(self._senders):
            self._close(host)

    def _close(self, host: HostId) -> None:
        sender = self._senders.pop(host, None)
        if sender is not None:
            sender.close()

    def _delete(self, owed: DeleteSpent, pause: float) -> None:
        """Delete it, or try again until the image store lets it."""
        spent = owed.spent
        what = f"{'saved memory' if spent.memory else 'stored disks'} {spent.name}"
        try:
            if spent.memory:
                self._images.delete_saved(spent.name)
            else:
                self._images.delete_stored(spent.name)
        except Failed as error:
            _log.warning("The %s stay for %.1f s more: %s", what, pause, error)
            longer = min(pause * 2, LONGEST_PAUSE_SECONDS)
            self._workers.after(pause, "images", partial(self._delete, owed, longer))
            return
        except TashiError as error:
            _log.error("The %s stay: %s", what, error)
        self._on_deleted(owed)

    def _check_alive(self, host: Host) -> None:
        try:
            self._nodes.live_check(host, self._epoch())
        except TashiError as error:
            _log.info("%s was asked whether it lives: %s", host.name, error)


class _Sender:
    """The orders of one session.

    `give` and `close` belong to the ledger's thread, everything else to the sender's lane; they
    meet in a deque, which takes appends and pops from two threads.
    """

    def __init__(self, host: Host, epoch: Epoch, nodes: Nodes, workers: Workers) -> None:
        self._host = host
        self._epoch = epoch
        self._nodes = nodes
        self._workers = workers
        self._lane = f"orders {host.name} {host.session}"
        self._waiting: deque[NodeOrder] = deque()
        self._batch: Sequence[NodeOrder] = ()
        self._number = 0
        self._alone = 0
        self._pause = 0.0
        self._open = True

    def give(self, orders: Iterable[NodeOrder]) -> None:
        self._waiting.extend(orders)
        if self._waiting:
            self._workers.run(self._lane, self._send)

    def close(self) -> None:
        self._open = False

    def _send(self) -> None:
        # While a failed batch waits to be tried again, new orders wait behind it.
        if self._pause == 0.0:
            self._send_all()

    def _send_all(self) -> None:
        while self._open and self._next_batch():
            try:
                self._nodes.take_orders(self._host, self._epoch, self._number, self._batch)
            except _NOT_HEARD as error:
                self._pause = min(max(self._pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
                _log.warning("%s: next try in %.1f s.", error, self._pause)
                self._workers.after(self._pause, self._lane, self._send_all)
                return
            except StaleSession as error:
                _log.warning("%s took no orders, its session is over: %s", self._host.name, error)
                self._open = False
                return
            except TashiError as error:
                self._single_out(error)
            else:
                for order in self._batch:
                    _log.debug("%s has taken %s.", self._host.name, order)
            self._batch, self._pause = (), 0.0

    def _single_out(self, refusal: TashiError) -> None:
        """Have each order of a batch that was refused sent alone, or leave the only one out."""
        if len(self._batch) == 1:
            order = self._batch[0]
            what = f"{order.order.name} of instance {order.instance_id}"
            _log.error("%s refuses %s, which is left out: %s", self._host.name, what, refusal)
            return
        number = len(self._batch)
        _log.warning("%s refuses %d orders: one by one now. %s", self._host.name, number, refusal)
        self._alone = number
        self._waiting.extendleft(reversed(self._batch))

    def _next_batch(self) -> bool:
        if not self._batch and self._waiting:
            self._batch = tuple(self._taken_out())
            self._number += 1
        return bool(self._batch)

    def _taken_out(self) -> Iterator[NodeOrder]:
        """The next orders that go together, one at least; measured only where there are more."""
        first = self._waiting.popleft()
        yield first
        if self._alone:
            self._alone -= 1
            return
        number, size = 1, order_bytes(first) if self._waiting else 0
        while self._waiting and number < MOST_ORDERS_AT_ONCE:
            number, size = number + 1, size + order_bytes(self._waiting[0])
            if size > MOST_BYTES_AT_ONCE:
                return
            yield self._waiting.popleft()
