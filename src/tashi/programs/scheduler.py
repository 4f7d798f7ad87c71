"""The scheduler as a program: the agent, its link to the cluster manager, and the loop."""

import sys
from collections.abc import Sequence
from typing import Final

from tashi import __version__
from tashi.adapters.system.clock import SystemClock
from tashi.adapters.system.commands import SystemCommands
from tashi.adapters.system.seat import Seat
from tashi.domain.permissions import Caller, Role
from tashi.domain.placement.filters import Policy
from tashi.programs import proving
from tashi.programs.daemon import run
from tashi.programs.listening import Listener
from tashi.programs.site import chosen_hooks, chosen_servers, chosen_site
from tashi.scheduler.agent import Agent
from tashi.scheduler.clerk import Clerk
from tashi.scheduler.loop import Loop
from tashi.scheduler.queue import Pauses
from tashi.scheduler.remote import RemoteClusterManager
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.client import ClientSettings
from tashi.settings.sections.clustermanager import ClusterManagerSettings
from tashi.settings.sections.scheduler import AgentParts, PrimitiveSettings

_WORDS = "Find hosts for the instances that wait."
_ME: Final = Caller(Role.SCHEDULER, name="scheduler")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scheduler; returns its exit code."""
    return run("scheduler", _WORDS, Program.AGENT, SchedulerDaemon, argv)


class SchedulerDaemon:
    """The scheduler with its link to the cluster manager.

    On another machine a second one may run: nothing is booked twice, as the cluster manager looks.
    """

    def __init__(self, settings: Settings) -> None:
        self._seat = Seat("scheduler", f"the cluster manager at {_places(settings)}")
        ours = settings.of(PrimitiveSettings)
        rules = settings.of(ClusterManagerSettings)
        policy = Policy(
            version=__version__,
            cpu_overcommit=rules.cpu_overcommit,
            memory_overcommit=rules.memory_overcommit,
            dense_pack=ours.dense_pack,
            allow_mismatched_versions=rules.allow_mismatched_versions,
        )
        pauses = Pauses(ours.held_first_pause, ours.held_longest_pause)
        publisher = settings.of(AgentParts).publisher
        self._listener = Listener("scheduler", settings, _ME, proving.SCHEDULER, publisher)
        agent = Agent(policy, pauses, ours.drain_parallel, site=chosen_site(settings))
        # The loop waits for news on its own line; what the site was told is said on another.
        clerk = Clerk(
            chosen_servers(settings),
            chosen_hooks(settings, SystemCommands()),
            RemoteClusterManager(self._listener.another_line()),
            self._listener.workers,
            SystemClock(),
        )
        cluster = RemoteClusterManager(self._listener.calls)
        self._loop = Loop(agent, cluster, SystemClock(), clerk=clerk)
        self._loop.watched_by(self._listener.metering.meter)
        self._listener.metering.begin()

    def turn(self, _: float) -> None:
        """Listen and propose once; the cluster manager's answer, or news, ends the wait."""
        self._listener.rest(self._loop.turn())

    def tick(self) -> None:
        """Look at the certificate; the loop knows itself what else is due."""
        self._seat.greet()
        self._listener.tick()

    def wake(self) -> None:
        """Let a waiting turn return, by giving up its line for good."""
        self._loop.end_soon()
        self._listener.wake()

    def stop(self) -> None:
        """Let go of the lines; who is being told of something is told again by the next one."""
        self._listener.stop()
        self._seat.give_up()


def _places(settings: Settings) -> str:
    places = settings.of(ClientSettings).cluster_managers
    return ", ".join(sorted(f"{host}:{port}" for host, port in places))


if __name__ == "__main__":
    sys.exit(main())
