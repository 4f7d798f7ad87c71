"""Names of parts that several daemons choose from."""

from typing import Final

DFS: Final = "tashi.dfs.Vfs"
PUBLISHER: Final = "tashi.messaging.GangliaPublisher"
FLAT_FILE: Final = "tashi.clustermanager.data.Pickled"
DATABASE: Final = "tashi.clustermanager.data.SQL"
FROM_CONFIG: Final = "tashi.clustermanager.data.FromConfig"
DHCP_DNS: Final = "tashi.agents.DhcpDns"
ONE_SERVICE: Final = "there is only one service to choose"
ERRORS_ARE_PLAIN: Final = "every error reaches the caller in a form it knows"
ACCOUNTING_ASKS: Final = (
    "the accounting daemon asks the cluster manager for events, and nobody calls it"
)
