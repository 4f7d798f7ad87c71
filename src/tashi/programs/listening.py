"""A daemon that listens to the cluster manager, as the scheduler and the accounting daemon do.

Its lines to whoever leads, its certificate and its meter are here; what it makes of what it hears
is its own.
"""

import logging
import threading

from tashi.adapters.rpyc.leading import LeaderLink
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.system.workers import ThreadWorkers
from tashi.domain.permissions import Caller
from tashi.programs import proving
from tashi.programs.metering import Metering
from tashi.settings.load import Settings
from tashi.settings.sections.client import ClientSettings
from tashi.wire.calls import Calls, to_cluster_manager

_log = logging.getLogger(__name__)


class Listener:
    """What such a daemon has towards the cluster manager; `role` is that of its certificate.

    `publisher` names who else is told what it measures. Raises Misconfigured.
    """

    def __init__(
        self, daemon: str, settings: Settings, who: Caller, role: str, publisher: str | None
    ) -> None:
        self._who = who
        self._places = settings.of(ClientSettings).cluster_managers
        self._secrets = proving.towards(proving.papers(settings, role), proving.CLUSTER_MANAGER)
        self._links: list[LeaderLink] = []
        self._woken = threading.Event()
        self.calls = self.another_line()
        self.workers = ThreadWorkers()
        self._expiry = proving.Expiry(settings, role, self.workers, proving.asking(self.calls))
        self.metering = Metering(daemon, settings, publisher)
        self.metering.meter.ask(self._expiry.readings)

    def another_line(self) -> Calls:
        """Calls that wait for no others of this daemon."""
        lines = [Link(one, secrets=self._secrets) for one in self._places]
        link = LeaderLink(lines, lambda words: _log.warning("%s It is tried again.", words))
        self._links.append(link)
        return to_cluster_manager(link, self._who)

    def rest(self, seconds: float) -> None:
        """Wait for so long, or until woken."""
        self._woken.wait(seconds)

    def tick(self) -> None:
        """Look at the certificate."""
        self._expiry.tick()

    def wake(self) -> None:
        """Let who rests or listens return, by giving up the first line for good."""
        self._woken.set()
        self._links[0].close()

    def stop(self) -> None:
        """Let go of the lines, and of who reads the meter; what is under way comes to its end."""
        self.metering.stop()
        for link in self._links:
            link.close()
        self.workers.stop()
