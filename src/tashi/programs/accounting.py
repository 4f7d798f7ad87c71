"""The accounting daemon as a program: the follower, its journal, and what is made from that."""

import sys
from collections.abc import Iterator, Sequence
from typing import Final

from tashi.adapters.accounting.reading import FolderReader
from tashi.adapters.accounting.writing import FolderWriter
from tashi.adapters.system.clock import SystemClock
from tashi.agents.delivery import Delivery
from tashi.agents.follower import Follower
from tashi.domain import metrics
from tashi.domain.metrics import Reading
from tashi.domain.permissions import Caller, Role
from tashi.programs import proving
from tashi.programs.daemon import run
from tashi.programs.listening import Listener
from tashi.programs.outlets import chosen_outlets
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.accounting import AccountingParts, AccountingSettings

_WORDS = "Keep all that happens in the cluster, for accounting."
_ME: Final = Caller(Role.AGENT, name="accounting")
_MIB: Final = 1024 * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Run the accounting daemon; returns its exit code."""
    return run("accounting", _WORDS, Program.ACCOUNTING, AccountingDaemon, argv)


class AccountingDaemon:
    """The follower with its link to the cluster manager, the journal and the outlets."""

    def __init__(self, settings: Settings) -> None:
        ours = settings.of(AccountingSettings)
        publisher = settings.of(AccountingParts).publisher
        self._journal = FolderWriter(ours.journal)
        self._listener = Listener("accounting", settings, _ME, proving.AGENT, publisher)
        self._outlets = chosen_outlets(settings)
        reader = FolderReader(ours.journal)
        self._deliveries = [Delivery(one, reader, self._listener.workers) for one in self._outlets]
        volume_bytes = ours.volume_size * _MIB
        self._follower = Follower(
            self._listener.calls, self._journal, SystemClock(), volume_bytes, self._news
        )
        self._listener.metering.meter.ask(self._readings)
        self._listener.metering.begin()
        self._news()

    def turn(self, _: float) -> None:
        """Listen once; the cluster manager's answer, or news, ends the wait."""
        self._listener.rest(self._follower.turn())

    def tick(self) -> None:
        """Look at the certificate; nothing else comes with time."""
        self._listener.tick()

    def wake(self) -> None:
        """Let a waiting turn return, by giving up its line for good."""
        self._follower.end_soon()
        self._listener.wake()

    def stop(self) -> None:
        """Let go of everything; who has not taken an event yet is offered it by the next one."""
        for delivery in self._deliveries:
            delivery.stop()
        self._listener.stop()
        for outlet in self._outlets:
            outlet.close()
        self._journal.close()

    def _readings(self) -> Iterator[Reading]:
        yield Reading(metrics.JOURNAL_NEXT, self._follower.next)
        for delivery in self._deliveries:
            yield from delivery.readings()

    def _news(self) -> None:
        for delivery in self._deliveries:
            delivery.news()


if __name__ == "__main__":
    sys.exit(main())
