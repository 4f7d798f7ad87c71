"""Which adapter a dotted name in the configuration stands for.

The names are Apache Tashi's; what stands behind them is ours. Nothing is imported by a name that a
file gives: the names are keys of this room.
"""

import socket
from collections.abc import Callable
from pathlib import Path

from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.adapters.network.guard import Guard, Nftables, NoGuard
from tashi.adapters.network.script import ScriptNetworks
from tashi.adapters.network.user import UserNetworks
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.system.commands import SystemCommands
from tashi.adapters.users.getent import GetentDirectory, NoDirectory
from tashi.domain.errors import Misconfigured
from tashi.ports.commands import Commands
from tashi.ports.hypervisor import Hypervisor
from tashi.ports.network import Networks
from tashi.ports.store import Store
from tashi.ports.users import Directory
from tashi.settings.load import Settings
from tashi.settings.sections.bridges import BridgesSettings
from tashi.settings.sections.clustermanager import ClusterManagerParts
from tashi.settings.sections.images import VfsSettings
from tashi.settings.sections.nodemanager import NodeManagerParts, NodeManagerSettings
from tashi.settings.sections.parts import DATABASE, FLAT_FILE
from tashi.settings.sections.qemu import QemuSettings, UserNetworkSettings
from tashi.settings.sections.security import SecuritySettings
from tashi.settings.sections.stores import PickledSettings
from tashi.settings.sections.users import GetentSettings, LdapSettings

_FROM_CONFIG = "tashi.clustermanager.data.FromConfig"
_GETENT = "tashi.clustermanager.data.GetentOverride"
_LDAP = "tashi.clustermanager.data.LdapOverride"
_SIMULATED = "tashi.nodemanager.vmcontrol.Simulated"
_BRIDGES = "bridges"
_USER = "user"
_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  # compared with, never bound to


def trusted_networks(settings: Settings) -> list[str]:
    """The networks that a daemon believes; raises Misconfigured where proof is asked for."""
    security = settings.of(SecuritySettings)
    if security.auth_and_encrypt:
        raise Misconfigured(
            "authAndEncrypt is not available in this version: set it to False in [Security], and "
            "listen on loopback or for the trustedNetworks only."
        )
    return [str(network) for network in security.trusted_networks]


def keeps_config_records(settings: Settings) -> bool:
    """Whether hosts, networks and users of [FromConfig] belong into the books."""
    return settings.of(ClusterManagerParts).data == _FROM_CONFIG


def chosen_store(settings: Settings, on_step: Callable[[str], None]) -> Store:
    """The store that the settings choose; raises Misconfigured."""
    data = settings.of(ClusterManagerParts).data
    base = {
        _FROM_CONFIG: FLAT_FILE,
        _GETENT: settings.of(GetentSettings).base_data,
        _LDAP: settings.of(LdapSettings).base_data,
    }.get(data, data)
    if base == DATABASE:
        raise Misconfigured(
            f"{DATABASE} is not available in this version: keep the books in {FLAT_FILE}."
        )
    return FlatFile(settings.of(PickledSettings).file, on_step=on_step)


def chosen_directory(settings: Settings, commands: Commands) -> tuple[Directory, float]:
    """The directory of users, and for how many seconds its list is good; raises Misconfigured."""
    data = settings.of(ClusterManagerParts).data
    if data == _GETENT:
        ours = settings.of(GetentSettings)
        return GetentDirectory(commands, _local_file(ours)), ours.fetch_threshold
    if data == _LDAP:
        raise Misconfigured(
            f"{_LDAP} is not available in this version: use {_GETENT}, which asks the system."
        )
    return NoDirectory(), 0.0


def _local_file(ours: GetentSettings) -> Path | None:
    if not ours.getent_from_local_file:
        return None
    if ours.getent_local_file is None:
        raise Misconfigured("[GetentOverride] getentFromLocalFile needs getentLocalFile as well.")
    return ours.getent_local_file


def chosen_networks(settings: Settings) -> Networks:
    """How guests of this machine reach networks; raises Misconfigured."""
    parts = settings.of(NodeManagerParts)
    if parts.network == _USER or parts.vmm == _SIMULATED:
        return UserNetworks(settings.of(UserNetworkSettings).forward)
    commands = SystemCommands()
    bridges = parts.network == _BRIDGES
    guarded = bridges if parts.anti_spoofing is None else parts.anti_spoofing
    guard: Guard = Nftables(commands) if guarded else NoGuard(commands)
    if bridges:
        # Its library costs a host that does not need it memory and time.
        from tashi.adapters.network.bridges import BridgeNetworks  # noqa: PLC0415

        return BridgeNetworks(settings.of(BridgesSettings), guard)
    return ScriptNetworks(commands, guard)


def chosen_hypervisor(
    settings: Settings, networks: Networks, on_step: Callable[[str], None]
) -> Hypervisor:
    """What runs the guests of this machine, as the settings choose; raises Misconfigured."""
    if settings.of(NodeManagerParts).vmm == _SIMULATED:
        return SimulatedHypervisor()
    return Qemu(
        settings.of(QemuSettings),
        settings.of(VfsSettings).prefix,
        networks,
        SystemCommands(),
        on_step,
        migration_address=migration_address(settings.of(NodeManagerSettings)),
    )


def migration_address(ours: NodeManagerSettings) -> str:
    """Where guests are sent from and to, in numbers; raises Misconfigured."""
    name = ours.migration_address or ours.host
    try:
        if name in _ANY_ADDRESS:
            return _address_towards(ours.cluster_manager_host, ours.cluster_manager_port)
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise Misconfigured(
            f"The address that guests move from and to is not known ({error}): set "
            "migrationAddress in [NodeManagerService]."
        ) from error


def _address_towards(host: str, port: int) -> str:
    """Our end of a line to that place; nothing is sent to find it out."""
    family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as line:
        line.connect(place)
        return str(line.getsockname()[0])


def own_address(ours: NodeManagerSettings) -> str:
    """Where others reach this machine.

    Who listens on every address is reached by name; else by the address that was configured.
    """
    return socket.getfqdn() if ours.host in _ANY_ADDRESS else ours.host
