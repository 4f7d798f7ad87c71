"""The scheduler as a program: the agent, its link to the cluster manager, and the loop."""

import sys
import threading
from collections.abc import Sequence

from tashi import __version__
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.system.clock import SystemClock
from tashi.domain.permissions import Caller, Role
from tashi.domain.placement.filters import Policy
from tashi.programs.daemon import run
from tashi.scheduler.agent import Agent
from tashi.scheduler.loop import Loop
from tashi.scheduler.queue import Pauses
from tashi.scheduler.remote import RemoteClusterManager
from tashi.settings.load import Settings
from tashi.settings.search import Program
from tashi.settings.sections.client import ClientSettings
from tashi.settings.sections.clustermanager import ClusterManagerSettings
from tashi.settings.sections.scheduler import PrimitiveSettings
from tashi.wire.calls import to_cluster_manager

_WORDS = "Find hosts for the instances that wait."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scheduler; returns its exit code."""
    return run("scheduler", _WORDS, Program.AGENT, SchedulerDaemon, argv)


class SchedulerDaemon:
    """The scheduler with its link to the cluster manager."""

    def __init__(self, settings: Settings) -> None:
        client = settings.of(ClientSettings)
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
        self._link = Link((client.cluster_manager_host, client.cluster_manager_port))
        calls = to_cluster_manager(self._link, Caller(Role.SCHEDULER, name="scheduler"))
        agent = Agent(policy, pauses, ours.drain_parallel)
        self._loop = Loop(agent, RemoteClusterManager(calls), SystemClock())
        self._woken = threading.Event()

    def turn(self, _: float) -> None:
        """Listen and propose once; the cluster manager's answer, or news, ends the wait."""
        self._woken.wait(self._loop.turn())

    def tick(self) -> None:
        """Nothing: the loop knows itself what is due."""

    def wake(self) -> None:
        """Let a waiting turn return: the link is given up, since this happens only at the end."""
        self._woken.set()
        self._link.close()

    def stop(self) -> None:
        """Let go of the link."""
        self._link.close()


if __name__ == "__main__":
    sys.exit(main())
