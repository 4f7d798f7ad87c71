"""Who may talk to whom: encryption, trusted networks, and the names daemons use for each other."""

from typing import TYPE_CHECKING

from tashi.settings import kinds
from tashi.settings.declare import section, setting

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network


@section("Security")
class SecuritySettings:
    """Whether peers prove who they are; every program reads this."""

    auth_and_encrypt: bool = setting(
        "authAndEncrypt",
        kinds.flag,
        default=False,
        words="""Whether every connection is encrypted and both ends prove who they are. Without
        it a daemon listens on loopback only, unless trustedNetworks allows more.""",
    )
    trusted_networks: "tuple[IPv4Network | IPv6Network, ...]" = setting(
        "trustedNetworks",
        kinds.networks,
        default=(),
        words="""Networks whose machines are believed without proof. A daemon that listens off
        loopback without authAndEncrypt starts only when this names its peers, and warns.""",
    )


@section("AccessClusterManager")
class AccessClusterManagerSettings:
    """What a daemon or client calls itself towards the cluster manager."""

    username: str | None = setting(
        "username", kinds.text, default=None, words="The name to log in with."
    )
    password: str | None = setting(
        "password",
        kinds.secret,
        default=None,
        words="Its password; people are asked when it is empty.",
    )


@section("AccessNodeManager")
class AccessNodeManagerSettings:
    """What the cluster manager calls itself towards node managers."""

    username: str | None = setting(
        "username", kinds.text, default=None, words="The name to log in with."
    )
    password: str | None = setting("password", kinds.secret, default=None, words="Its password.")


@section("AllowedUsers")
class AllowedUsersSettings:
    """The names and passwords under which daemons are let in when they log in by password."""

    node_manager_user: str | None = setting(
        "nodeManagerUser", kinds.text, default=None, words="The name of node managers."
    )
    node_manager_password: str | None = setting(
        "nodeManagerPassword", kinds.secret, default=None, words="Their password."
    )
    agent_user: str | None = setting(
        "agentUser", kinds.text, default=None, words="The name of the scheduler and other agents."
    )
    agent_password: str | None = setting(
        "agentPassword", kinds.secret, default=None, words="Their password."
    )
    cluster_manager_user: str | None = setting(
        "clusterManagerUser", kinds.text, default=None, words="The name of the cluster manager."
    )
    cluster_manager_password: str | None = setting(
        "clusterManagerPassword", kinds.secret, default=None, words="Its password."
    )
