"""How programs that call the cluster manager find it: the clients, the scheduler, other agents."""

from tashi.settings import kinds
from tashi.settings.declare import section, setting


@section("Client")
class ClientSettings:
    """Where clients, the scheduler and other agents find the cluster manager."""

    cluster_manager_hosts: tuple[kinds.Place, ...] = setting(
        "clusterManagerHost",
        kinds.places,
        default=(kinds.Place("127.0.0.1"),),
        variable="TASHI_CM_HOST",
        words="""The machine that runs the cluster manager; where several share their books, all of
        them, with commas between. A port behind one, as in merkabah:9882, goes before
        clusterManagerPort.""",
    )
    cluster_manager_port: int = setting(
        "clusterManagerPort",
        kinds.port,
        default=9882,
        variable="TASHI_CM_PORT",
        words="The port it listens on.",
    )
    cluster_manager_timeout: float = setting(
        "clusterManagerTimeout",
        kinds.seconds,
        default=10.0,
        variable="TASHI_CM_TIMEOUT",
        words="""Seconds to wait for a connection, and for the answer to a call that needs nothing
        but the cluster manager's memory.""",
    )

    @property
    def cluster_managers(self) -> tuple[tuple[str, int], ...]:
        """Where each of the cluster managers is called."""
        return tuple(one.address(self.cluster_manager_port) for one in self.cluster_manager_hosts)
