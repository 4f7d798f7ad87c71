"""The networks of this node's guests, looked after beside all else.

That a guest has ended is told before anything that is left of it is tidied up, and many ends at
once are tidied up once. What fails here harms no guest: the log has it, and it is tried again.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from logging import getLogger
from typing import Final

from tashi.adapters.hypervisor.qemu.logged import logged
from tashi.adapters.hypervisor.qemu.reactor import Reactor
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.network import Cards, Networks

_log = getLogger(__name__)

_AGAIN_SECONDS: Final = 60.0


class Caretaker:
    """Looks after networks in a thread of its own; to be closed."""

    def __init__(self, networks: Networks, reactor: Reactor, *clears: Callable[[], None]) -> None:
        """`clears` remove what else may be left of guests; they raise HypervisorFailed."""
        self._networks = networks
        self._reactor = reactor
        # What leads to a network keeps it in use, so that goes first.
        self._steps = (*clears, networks.tidy)
        self._thread = ThreadPoolExecutor(1, "qemu-networks")
        self._is_due = threading.Event()
        self._is_put_off = threading.Event()

    def close(self) -> None:
        """Finish what is under way."""
        self._thread.shutdown()

    def adopt(self, guests: Mapping[InstanceId, Cards]) -> None:
        """Take over from an earlier process; these guests live."""
        try:
            self._networks.adopt(guests)
        except HypervisorFailed as failed:
            _log.warning("The networks of guests were not looked after: %s", failed)

    def allow(self, guest: InstanceId, cards: Cards) -> None:
        """These cards have the addresses that they are given with; raises HypervisorFailed."""
        for number, nic in cards.items():
            self._networks.allow(guest, number, nic)

    def tidy_soon(self) -> None:
        """A guest has ended."""
        if not self._is_due.is_set():
            self._is_due.set()
            with suppress(RuntimeError):  # closed: the next process looks at its start
                self._thread.submit(logged(self._tidy))

    def _tidy(self) -> None:
        self._is_due.clear()
        for step in self._steps:
            try:
                step()
            except HypervisorFailed as failed:
                _log.warning("Something may be left of guests that have ended: %s", failed)
                self._put_off()

    def _put_off(self) -> None:
        if not self._is_put_off.is_set():
            self._is_put_off.set()
            self._reactor.post(lambda: self._reactor.later(_AGAIN_SECONDS, self._try_again))

    def _try_again(self) -> None:
        self._is_put_off.clear()
        self.tidy_soon()
