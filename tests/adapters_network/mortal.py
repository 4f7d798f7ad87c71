"""A node manager's networks that die at a step: python mortal.py STEP SETTINGS NETWORK.

Prints each step; at the one of that number the process kills itself, as `kill -9` would.
"""

import json
import os
import signal
import sys
from itertools import count

from tashi.adapters.network.bridges import BridgeNetworks
from tashi.adapters.network.guard import Nftables
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.identity import InstanceId, NetworkId
from tashi.domain.instance import Nic
from tashi.settings.sections.bridges import BridgesSettings


def main() -> None:
    """Wire one card, as far as it is granted."""
    deadly, settings, network = int(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
    numbers = count()

    def on_step(step: str) -> None:
        sys.stdout.write(step + "\n")
        sys.stdout.flush()
        if next(numbers) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    networks = BridgeNetworks(BridgesSettings(**settings), Nftables(SystemCommands()), on_step)
    card = Nic(NetworkId(network), "52:54:00:00:00:01")
    with networks.wire(InstanceId(7), {0: card}):
        on_step("wired")


if __name__ == "__main__":
    main()
