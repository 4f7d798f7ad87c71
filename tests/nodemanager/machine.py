"""One machine with a node manager on it, which can be killed and started again.

The daemon is the real one; its hypervisor is simulated, its disk is a dictionary, and the cluster
manager it speaks to does what a test says.
"""

from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import Any

from fakes.clock import HandTurnedClock
from fakes.frames import FakeFrames
from fakes.notebook import MemoryNotebook
from fakes.registrar import FakeRegistrar
from fakes.workers import HandWorkers
from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.domain.errors import StoreFailed
from tashi.domain.host import Machine as Facts
from tashi.domain.identity import Attempt, Epoch, InstanceId, Mib
from tashi.domain.states import Order
from tashi.nodemanager.daemon import NodeManager, Times, World
from tashi.ports.hypervisor import GuestSpec
from tashi.wire.forms import DiskForm, InstanceForm, OrderForm

FACTS = Facts(
    name="h1", memory=Mib(4096), cores=4, version="1.0", address="h1", port=9883, boot_id="boot-1"
)
PATIENCE = 200


class Died(BaseException):
    """The program was killed here."""


class RationedNotebook(MemoryNotebook):
    """A notebook whose disk is full, or whose writer dies, at the so-many-th write.

    It is full for so many `times` on end; the writer dies once, before or after the write.
    """

    def __init__(
        self, *, full_at: int = 0, times: int = 1, dies_at: int = 0, dies_before: bool = True
    ) -> None:
        super().__init__()
        self.writes = 0
        self._full = range(full_at, full_at + times) if full_at else range(0)
        self._dies_at = dies_at
        self._dies_before = dies_before

    def write(self, guest: InstanceId, page: bytes) -> None:
        self._do(lambda: super(RationedNotebook, self).write(guest, page))

    def keep_epoch(self, epoch: Epoch) -> None:
        self._do(lambda: super(RationedNotebook, self).keep_epoch(epoch))

    def tear_out(self, guest: InstanceId) -> None:
        self._do(lambda: super(RationedNotebook, self).tear_out(guest))

    def _do(self, act: Callable[[], None]) -> None:
        self.writes += 1
        if self.writes in self._full:
            raise StoreFailed("The notes could not be written: No space left on device.")
        if self.writes != self._dies_at:
            act()
            return
        if not self._dies_before:
            act()
        raise Died


class Machine:
    """Begins switched off: `begin` starts its node manager and lets it open a session."""

    def __init__(
        self,
        notebook: MemoryNotebook | None = None,
        hypervisor: SimulatedHypervisor | None = None,
    ) -> None:
        self.clock = HandTurnedClock()
        self.hypervisor = hypervisor or SimulatedHypervisor(now=self.clock.monotonic)
        self.notebook = notebook or MemoryNotebook()
        self.registrar = FakeRegistrar()
        self._operations = count(1)
        self._numbers = count(1)
        self._make()

    # ---- the program --------------------------------------------------------------------------

    def _make(self) -> None:
        self.workers = HandWorkers(self.clock)
        self.frames = FakeFrames()
        world = World(
            hypervisor=self.hypervisor,
            notebook=self.notebook,
            registrar=self.registrar,
            frames=self.frames,
            workers=self.workers,
            clock=self.clock,
        )
        self.manager = NodeManager(world, lambda: FACTS, Times(statistics=15.0), register=False)
        self.node = self.manager.node

    def begin(self) -> None:
        """Start the program, and let everything happen that needs no time."""
        self._or_restart(self.manager.begin)
        self.settle()

    def kill(self) -> None:
        """The program dies at once; guests and notes stay."""
        self.workers.drop_all()
        self._make()

    def restart(self) -> None:
        """Kill the program and start the next."""
        self.kill()
        self.begin()

    def settle(self) -> None:
        """Let everything happen that needs no time to pass."""
        for _ in range(PATIENCE):
            self._or_restart(lambda: self.manager.turn(0.0))
            if not self.workers.run_all():
                self._or_restart(lambda: self.manager.turn(0.0))
                return
        raise AssertionError("The node does not come to rest.")

    def let_pass(self, seconds: int) -> None:
        """Let time pass in steps of a second."""
        for _ in range(seconds):
            self.clock.turn(1.0)
            self._or_restart(self.manager.tick)
            self.settle()

    def _or_restart(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Died:
            self.kill()
            self._or_restart(self.manager.begin)

    # ---- the cluster manager ------------------------------------------------------------------

    def order(self, order: Order, *, guest: int = 7, attempt: int = 1, **record: Any) -> OrderForm:
        """An order under a number of its own."""
        instance = InstanceForm(guest, f"i{guest}", 1000, 1, 128, (DiskForm("web"),), **record)
        return OrderForm(order, guest, attempt, next(self._operations), instance)

    def spec(self, guest: int = 7) -> GuestSpec:
        """What a guest is made of that somebody else starts here."""
        return GuestSpec(
            instance_id=InstanceId(guest),
            attempt=Attempt(1),
            name=f"i{guest}",
            cores=1,
            memory=Mib(128),
            disks=(),
            nics=(),
        )

    def tell(
        self,
        *orders: OrderForm,
        session: int | None = None,
        number: int | None = None,
        settle: bool = True,
    ) -> Future[Any]:
        """Hand over orders as one batch, in the open session unless told otherwise."""
        number = next(self._numbers) if number is None else number
        session = self.registrar.session if session is None else session
        epoch = self.registrar.epoch
        handler = self.manager.handlers()["takeOrders"]
        taken: Future[Any] = handler(None, "", epoch, session, number, orders)
        self._or_restart(lambda: self.manager.turn(0.0))
        if settle:
            self.settle()
        return taken

    def insist(self, order: OrderForm) -> None:
        """Give an order as a cluster manager does, until its outcome is heard."""
        told_in = None
        for _ in range(PATIENCE):
            if any(report.operation == order.operation for report in self.registrar.reports):
                return
            if told_in != self.registrar.session:
                session = self.registrar.session
                taken = self.tell(order)
                told_in = session if taken.done() and taken.exception(0) is None else None
            self.let_pass(1)
        raise AssertionError(f"{order.order} has no outcome.")

    def reported(self) -> list[str]:
        """The kinds of what the cluster manager has heard, in order."""
        return [report.kind for report in self.registrar.reports]
