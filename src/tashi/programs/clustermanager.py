"""The cluster manager as a program: its socket, its store, and who answers.

Where several share their books, one leads (`reign`) and the others stand by. Who stands by answers
every call with the name of the leader, and looks twice a second whether it is its turn.
"""

import errno
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Final

from tashi.adapters.rpyc.listening import listen, listen_locally
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.rpyc.server import EventedServer
from tashi.adapters.system.clock import SystemClock
from tashi.adapters.system.workers import ThreadWorkers
from tashi.clustermanager.standby import Standby
from tashi.domain.errors import Misconfigured, Refused
from tashi.domain.permissions import Caller, Role
from tashi.domain.succession import LEAST_SECONDS
from tashi.ports.peers import Peer, Promise
from tashi.ports.store import Store
from tashi.programs import heldlines, proving
from tashi.programs.daemon import run, settle_memory
from tashi.programs.implementations import (
    chosen_store,
    own_address,
    succession_of,
    trusted_networks,
)
from tashi.programs.metering import Metering
from tashi.programs.passwordlines import chosen_passwords, warn_of_unread
from tashi.programs.reign import Reign
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.clustermanager import ClusterManagerParts, ClusterManagerSettings
from tashi.settings.sections.security import SecuritySettings
from tashi.wire.calls import to_cluster_manager

_log = logging.getLogger(__name__)

_WORDS = "Keep the books of the cluster: hosts, instances, networks and users."
LOOK_SECONDS: Final = 0.5
"""How often who stands by looks at the lease."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cluster manager; returns its exit code."""
    return run("clustermanager", _WORDS, Program.CLUSTER_MANAGER, ClusterManagerDaemon, argv)


class ClusterManagerDaemon:
    """The cluster manager with its socket, its store and its threads.

    `on_step` hears of the moments between which the process may die; a `store` takes the place of
    the one that the settings choose.
    """

    def __init__(
        self,
        settings: Settings,
        on_step: Callable[[str], None] = lambda _: None,
        store: Store | None = None,
    ) -> None:
        ours = settings.of(ClusterManagerSettings)
        self._settings = settings
        self._on_step = on_step
        self._papers = proving.papers(settings, proving.CLUSTER_MANAGER)
        self._workers = ThreadWorkers()
        self._expiry = proving.Expiry(
            settings, proving.CLUSTER_MANAGER, self._workers, self._renewed_by_leader
        )
        self._store = store or chosen_store(
            settings, on_step, f"{own_address(ours.host)}:{ours.port}"
        )
        self._woken = threading.Event()
        succession = succession_of(settings, self._store)
        self._shared = succession is not None
        self._duty: Standby | Reign
        if succession is None:
            # After the books are ours: whoever finds them in use waits for their owner's end (exit
            # code 1), but whoever finds only the port taken must mend a file (2).
            self._metering = self._metered()
            self._duty = self._loaded()
            self._servers = self._listening()
            self._duty.begin()
        else:
            self._duty = Standby(succession, SystemClock(), _limit(ours))
            with _waiting_for_ports():
                self._metering = self._metered()
                self._servers = self._listening()
            if self._duty.look():
                self._take_over()
        for server, where in self._servers:
            server.serve()
            _log.info("Listening on %s.", where)
        self._metering.begin()

    def turn(self, wait_seconds: float) -> None:
        """Let the ledger take what is queued, or look whether it is our turn to have one."""
        if isinstance(self._duty, Reign):
            self._duty.turn(wait_seconds)
            return
        self._woken.wait(min(wait_seconds, LOOK_SECONDS))
        if self._duty.look_again():
            self._take_over()
            settle_memory()

    def tick(self) -> None:
        """Let time do its part."""
        self._expiry.tick()
        if isinstance(self._duty, Reign):
            self._duty.tick()

    def wake(self) -> None:
        """Let a waiting turn return."""
        self._woken.set()
        if isinstance(self._duty, Reign):
            self._duty.wake()

    def stop(self) -> None:
        """Answer no more calls, send no more orders, give the store back."""
        for server, _ in self._servers:
            server.stop()
        self._metering.stop()
        if isinstance(self._duty, Reign):
            self._duty.stop()
        self._workers.stop()
        self._store.close()

    def _take_over(self) -> None:
        reign = self._loaded()
        reign.begin()
        self._duty = reign
        _log.info("This cluster manager leads.")

    def _metered(self) -> Metering:
        publisher = self._settings.of(ClusterManagerParts).publisher
        metering = Metering("clustermanager", self._settings, publisher)
        metering.meter.ask(self._expiry.readings)
        return metering

    def _loaded(self) -> Reign:
        reign = Reign(
            self._settings,
            self._store,
            shared=self._shared,
            papers=self._papers,
            meter=self._metering.meter,
            on_step=self._on_step,
        )
        warn_of_unread(self._settings, chosen_passwords(self._settings, self._store))
        return reign

    def _listening(self) -> list[tuple[EventedServer, str]]:
        """Every way in, with where it is in words; none of them answers yet."""
        ours = self._settings.of(ClusterManagerSettings)
        server = listen(
            self._answer,
            (ours.host, ours.port),
            section="ClusterManagerService",
            trusted_networks=trusted_networks(self._settings),
            papers=self._papers,
        )
        ways = [(server, "{}:{}".format(*server.address))]
        path = self._settings.of(SecuritySettings).local_socket
        if path is not None:
            ways.append((listen_locally(self._answer, path), f"{path} for this machine"))
        for way, _ in ways:
            way.later.before = heldlines.write_held
        return ways

    def _renewed_by_leader(self, held: str) -> str:
        """Have the one that leads renew our certificate: it may have the authority's key."""
        leader = self._duty.leader if isinstance(self._duty, Standby) else None
        if leader is None:
            raise Refused(
                "The authority's key (ca-key.pem) is not here, and no other cluster manager leads "
                "that could be asked: copy the key to this machine, or let one that has it lead."
            )
        host, _, port = leader.rpartition(":")
        secrets = proving.towards(self._papers, proving.CLUSTER_MANAGER)
        with closing(Link((host, int(port)), secrets=secrets)) as link:
            calls = to_cluster_manager(link, Caller(Role.CLUSTER_MANAGER))
            return proving.asking(calls)(held)

    def _answer(self, request: bytes, peer: Peer) -> bytes | Promise:
        return self._duty.answer(request, peer)


@contextmanager
def _waiting_for_ports() -> Iterator[None]:
    """Refuse, rather than ask for other settings, where a port is taken.

    The lease keeps nobody from starting: it is a second one of ours, most likely, and will end.
    """
    try:
        yield
    except Misconfigured as wrong:
        if getattr(wrong.__cause__, "errno", None) == errno.EADDRINUSE:
            raise Refused(wrong.message) from wrong
        raise


def _limit(ours: ClusterManagerSettings) -> float:
    if ours.take_over_after < LEAST_SECONDS:
        raise Misconfigured(
            f"takeOverAfter in [ClusterManagerService] is {ours.take_over_after:g}: write "
            f"{LEAST_SECONDS:g} seconds or more."
        )
    return ours.take_over_after


if __name__ == "__main__":
    sys.exit(main())
