"""Who may talk to whom: encryption, trusted networks, and the names daemons use for each other."""

from pathlib import Path
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
    local_socket: Path | None = setting(
        "localSocket",
        kinds.path,
        default=None,
        words="""A socket on the cluster manager's machine, such as
        /run/tashi/clustermanager.sock, on which the kernel says who calls. Clients on that machine
        use it by themselves. Not set, there is none.""",
    )
    password_table: Path = setting(
        "passwordTable",
        kinds.path,
        default=Path("/var/lib/tashi/passwords"),
        words="""The cluster manager's file of the passwords that tashi-admin setPassword sets, as
        scrypt makes them. They are for users whose directory keeps none. Where the books are in a
        database, so are the passwords, and this file is not read.""",
    )
    ticket_time: float = setting(
        "ticketTime",
        kinds.seconds,
        default=43200.0,
        words="Seconds for which somebody who gave the right password is not asked for it again.",
    )
    pki_dir: Path = setting(
        "pkiDir",
        kinds.path,
        default=Path("/etc/tashi/pki"),
        words="""The folder of certificates: the authority's, and one folder for each daemon of this
        machine, named after its role. People have theirs in ~/.tashi/pki.""",
    )


@section("AccessClusterManager")
class AccessClusterManagerSettings:
    """What a client calls itself towards the cluster manager; daemons show their certificates."""

    username: str | None = setting(
        "username", kinds.text, default=None, words="The name to log in with."
    )
    password: str | None = setting(
        "password",
        kinds.secret,
        default=None,
        words="Its password; people are asked when it is empty.",
    )
    password_file: Path | None = setting(
        "passwordFile",
        kinds.path,
        default=None,
        words="A file that holds the password, for its eyes only; a line break at its end is none.",
    )
