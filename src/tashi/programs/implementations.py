"""Which adapter a dotted name in the configuration stands for.

The names are Apache Tashi's; what stands behind them is ours. Nothing is imported by a name that a
file gives: the names are keys of this room.
"""

import socket
from collections.abc import Callable

from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.hypervisor.simulated import SimulatedHypervisor
from tashi.adapters.network.guard import Guard, Nftables, NoGuard
from tashi.adapters.network.script import ScriptNetworks
from tashi.adapters.network.user import UserNetworks
from tashi.adapters.store.flatfile import FlatFile
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import Misconfigured
from tashi.ports.hypervisor import Hypervisor
from tashi.ports.network import Networks
from tashi.ports.store import Store
from tashi.ports.succession import Succession
from tashi.programs.directories import base_data
from tashi.programs.proving import NODE_MANAGER, folder_of, papers
from tashi.settings.load import Settings
from tashi.settings.sections.bridges import BridgesSettings
from tashi.settings.sections.images import VfsSettings
from tashi.settings.sections.libvirt import LibvirtSettings
from tashi.settings.sections.nodemanager import NodeManagerParts, NodeManagerSettings
from tashi.settings.sections.parts import DATABASE, FROM_CONFIG
from tashi.settings.sections.qemu import QemuSettings, UserNetworkSettings
from tashi.settings.sections.security import SecuritySettings
from tashi.settings.sections.stores import PickledSettings

_SIMULATED = "tashi.nodemanager.vmcontrol.Simulated"
_LIBVIRT = "tashi.nodemanager.vmcontrol.Libvirt"
_BRIDGES = "bridges"
_USER = "user"
_ANY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104  # compared with, never bound to


def trusted_networks(settings: Settings) -> list[str]:
    """The networks that a daemon believes without proof; none where proof is asked for."""
    security = settings.of(SecuritySettings)
    if security.auth_and_encrypt:
        return []
    return [str(network) for network in security.trusted_networks]


def keeps_config_records(settings: Settings) -> bool:
    """Whether hosts and networks of [FromConfig] belong into the books."""
    return base_data(settings) == FROM_CONFIG


def chosen_store(settings: Settings, on_step: Callable[[str], None], holder: str = "") -> Store:
    """The store that the settings choose, owned in that name; raises Misconfigured."""
    if base_data(settings) == DATABASE:
        # Its libraries cost those who have no database memory and time.
        from tashi.programs.databases import chosen_database

        return chosen_database(settings, on_step, holder)
    return FlatFile(settings.of(PickledSettings).file, on_step=on_step)


def succession_of(settings: Settings, store: Store) -> Succession | None:
    """How others may follow the store's owner; ``None`` where nobody can while that one lives."""
    if base_data(settings) != DATABASE:
        return None
    from tashi.programs.databases import shared

    return shared(store)


def chosen_guard(settings: Settings) -> Nftables | None:
    """What keeps guests of this machine from sending in another's name, if anything does."""
    parts = settings.of(NodeManagerParts)
    if parts.network == _USER or parts.vmm == _SIMULATED:
        return None
    guarded = parts.network == _BRIDGES if parts.anti_spoofing is None else parts.anti_spoofing
    return Nftables(SystemCommands()) if guarded else None


def chosen_networks(settings: Settings, chosen: Nftables | None) -> Networks:
    """How guests of this machine reach networks, under that guard; raises Misconfigured."""
    parts = settings.of(NodeManagerParts)
    if parts.network == _USER or parts.vmm == _SIMULATED:
        return UserNetworks(settings.of(UserNetworkSettings).forward)
    commands = SystemCommands()
    guard: Guard = chosen or NoGuard(commands)
    if parts.network == _BRIDGES:
        # Its library costs a host that does not need it memory and time.
        from tashi.adapters.network.bridges import BridgeNetworks

        return BridgeNetworks(settings.of(BridgesSettings), guard)
    return ScriptNetworks(commands, guard)


def chosen_hypervisor(
    settings: Settings, networks: Networks, on_step: Callable[[str], None]
) -> Hypervisor:
    """What runs the guests of this machine, as the settings choose; raises Misconfigured."""
    if settings.of(NodeManagerParts).vmm == _SIMULATED:
        return SimulatedHypervisor()
    if settings.of(NodeManagerParts).vmm == _LIBVIRT:
        return _libvirt(settings, networks, on_step)
    return Qemu(
        settings.of(QemuSettings),
        settings.of(VfsSettings).prefix,
        networks,
        SystemCommands(),
        on_step,
        road=_road(settings),
    )


def _libvirt(settings: Settings, networks: Networks, on_step: Callable[[str], None]) -> Hypervisor:
    try:
        # Its library is compiled, and nothing else needs it.
        from tashi.adapters.hypervisor.libvirt.hypervisor import Libvirt
        from tashi.adapters.hypervisor.libvirt.relay import Way
        from tashi.adapters.hypervisor.libvirt.site import Site
    except ImportError as missing:
        raise Misconfigured(
            f"Guests are to run through libvirt ({_LIBVIRT}), but its library cannot be used "
            f"({missing}): run `make compiled` where Tashi is checked out."
        ) from missing
    prefix = settings.of(VfsSettings).prefix
    return Libvirt(
        Site(settings.of(LibvirtSettings).uri, settings.of(QemuSettings), prefix),
        networks,
        SystemCommands(),
        on_step=on_step,
        way=Way(
            migration_address(settings.of(NodeManagerSettings)), papers(settings, NODE_MANAGER)
        ),
    )


def _road(settings: Settings) -> Road:
    """From and to where guests are sent, and how they are encrypted."""
    security = settings.of(SecuritySettings)
    folder = folder_of(settings, NODE_MANAGER) if security.auth_and_encrypt else None
    return Road(migration_address(settings.of(NodeManagerSettings)), folder)


def migration_address(ours: NodeManagerSettings) -> str:
    """Where guests are sent from and to, in numbers; raises Misconfigured."""
    name = ours.migration_address or ours.host
    try:
        if name in _ANY_ADDRESS:
            return _address_towards(*ours.cluster_managers[0])
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise Misconfigured(
            f"The address that guests move from and to is not known ({error.strerror}): set "
            "migrationAddress in [NodeManagerService]."
        ) from error


def _address_towards(host: str, port: int) -> str:
    """Our end of a line to that place; nothing is sent to find it out."""
    family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as line:
        line.connect(place)
        return str(line.getsockname()[0])


def own_address(host: str) -> str:
    """Where others reach a daemon of this machine that listens on that address.

    Who listens on every address is reached by name; else by the address that was configured.
    """
    return socket.getfqdn() if host in _ANY_ADDRESS else host
