"""The site's servers as tashi-admin looks at them: where and with which keys, Agent.cfg says.

These are the scheduler's own files, with its secrets, so this works for who may read them.
"""

import os

from tashi.adapters.system.clock import SystemClock
from tashi.domain.errors import Misconfigured
from tashi.programs.site import chosen_ranges, chosen_servers, is_told
from tashi.scheduler.inspection import Inspection
from tashi.scheduler.remote import RemoteClusterManager
from tashi.settings.load import load
from tashi.settings.search import Program
from tashi.wire.calls import Calls


def inspection(calls: Calls) -> Inspection:
    """Who holds the books that these calls tell of against the servers; raises Misconfigured."""
    settings = load(Program.AGENT, os.environ)
    if not is_told(settings):
        raise Misconfigured(
            "The site's servers are told nothing: [Primitive] has no hook1 = tashi.agents.DhcpDns "
            "in the files of this machine. Ask where the scheduler runs."
        )
    return Inspection(
        chosen_servers(settings),
        chosen_ranges(settings).values(),
        RemoteClusterManager(calls),
        SystemClock(),
    )
