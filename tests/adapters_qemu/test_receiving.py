"""A guest that has arrived: what is done to let it run, and what cannot go wrong then."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, cast

from tashi.adapters.hypervisor.qemu.receiving import Receiving
from tashi.adapters.hypervisor.qemu.record import Record
from tashi.adapters.hypervisor.qemu.road import Road

if TYPE_CHECKING:
    from tashi.adapters.hypervisor.qemu.guest import Guest
    from tashi.adapters.hypervisor.qemu.reactor import Reactor


class Arrived:
    """A guest that is there and stands still, in a folder that cannot be written."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def status(self) -> str:
        return "paused"

    def ask(self, command: str) -> None:
        self.said.append(command)

    def begin(self) -> None:
        self.said.append("begin")

    def remember(self, change: Callable[[Record], Record]) -> None:
        raise OSError(28, f"No space left on device for {change.__name__}")

    def accompany(self, work: Coroutine[object, object, None]) -> None:
        work.close()
        self.said.append("announced")

    def catch_up(self) -> None:
        self.said.append("caught up")


def test_a_guest_that_runs_has_arrived_though_that_cannot_be_written_down() -> None:
    guest, steps = Arrived(), list[str]()

    Receiving(Road(), cast("Reactor", None), steps.append).run(cast("Guest", guest))

    assert steps == ["arrived", "runs"]
    assert guest.said == ["nbd-server-stop", "begin", "announced", "caught up"]
