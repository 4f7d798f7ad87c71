"""The site's DNS and DHCP and the hooks, as the settings choose them for the scheduler."""

from pathlib import Path

from tashi.adapters.hooks.programs import FolderHook, class_hook
from tashi.domain.errors import Misconfigured
from tashi.domain.identity import NetworkId
from tashi.domain.pools import Span, kept_out_of
from tashi.ports.commands import Commands
from tashi.ports.dhcp import AddressService
from tashi.ports.dns import NameService
from tashi.ports.hooks import Hook
from tashi.scheduler.clerk import Servers
from tashi.scheduler.names import Range, Site
from tashi.settings.addresses import AddressRange
from tashi.settings.load import Settings
from tashi.settings.sections.dhcpdns import DhcpDnsSettings
from tashi.settings.sections.parts import DHCP_DNS
from tashi.settings.sections.scheduler import PrimitiveSettings


def is_told(settings: Settings) -> bool:
    """Whether the site's DNS and DHCP are told of guests: one of the hooks is DhcpDns."""
    return DHCP_DNS in settings.of(PrimitiveSettings).hooks.values()


def chosen_ranges(settings: Settings) -> dict[NetworkId, Range]:
    """The addresses that guests may have, by network; raises Misconfigured."""
    ours = settings.of(DhcpDnsSettings)
    for key in {*ours.ip_networks, *ours.ip_reserved} - {*ours.ip_ranges}:
        raise Misconfigured(
            f"[DhcpDns] ipNetwork{key} or ipReserved{key} is given, but no ipRange{key}: give the "
            "addresses that guests on that network may have."
        )
    return {
        NetworkId(key): Range(
            _span(one),
            (
                *(kept_out_of(ours.ip_networks[key]) if key in ours.ip_networks else ()),
                *map(_span, ours.ip_reserved.get(key, ())),
            ),
        )
        for key, one in ours.ip_ranges.items()
    }


def chosen_site(settings: Settings) -> Site:
    """What the scheduler has to know of the site; raises Misconfigured."""
    told = is_told(settings)
    return Site(
        ranges=chosen_ranges(settings) if told else {},
        has_hooks=bool(_class_names(settings)) or _folder(settings) is not None,
        starts_without=settings.of(DhcpDnsSettings).start_without_names,
    )


def chosen_servers(settings: Settings) -> Servers:
    """The site's servers; raises Misconfigured."""
    if not is_told(settings):
        return Servers()
    ours = settings.of(DhcpDnsSettings)
    return Servers(
        _names(ours) if ours.dns_enabled else None,
        _addresses(ours) if ours.dhcp_enabled else None,
    )


def chosen_hooks(settings: Settings, commands: Commands) -> list[Hook]:
    """The administrator's own hooks, in the order of their numbers; raises Misconfigured."""
    ours = settings.of(PrimitiveSettings)
    names, folder = _class_names(settings), _folder(settings)
    if names and ours.hook_path is None:
        raise Misconfigured(
            f"[Primitive] a hook is {names[0]}, which Tashi does not bring along: say in hookPath "
            "which folder has the module."
        )
    hooks: list[Hook] = [
        class_hook(name, ours.hook_path or Path(), commands, ours.hook_timeout) for name in names
    ]
    return [*hooks, *([FolderHook(folder, commands, ours.hook_timeout)] if folder else [])]


def _class_names(settings: Settings) -> list[str]:
    return [one for one in settings.of(PrimitiveSettings).hooks.values() if one != DHCP_DNS]


def _folder(settings: Settings) -> Path | None:
    return settings.of(PrimitiveSettings).hook_folder


def _span(one: AddressRange) -> Span:
    return Span(one.first, one.last)


def _names(ours: DhcpDnsSettings) -> NameService:
    # Only schedulers that tell a DNS server pay for the library.
    from tashi.adapters.dns.keys import Key, made_key, read_key
    from tashi.adapters.dns.rfc2136 import DnsSite, Rfc2136

    if ours.dns_server is None or ours.dns_domain is None:
        raise Misconfigured(
            "[DhcpDns] dnsServer and dnsDomain are needed, or dnsEnabled = False to go without DNS."
        )
    key: Key | None = None
    if ours.dns_key_file is not None:
        key = read_key(ours.dns_key_file)
    elif ours.dns_key_name is not None and ours.dns_secret_key is not None:
        key = made_key(ours.dns_key_name, ours.dns_key_algorithm, ours.dns_secret_key)
    elif ours.dns_key_name is not None or ours.dns_secret_key is not None:
        raise Misconfigured("[DhcpDns] dnsKeyName and dnsSecretKey belong together: give both.")
    return Rfc2136(
        DnsSite(
            host=ours.dns_server.host,
            port=ours.dns_server.port,
            domain=ours.dns_domain,
            expire_seconds=ours.dns_expire,
            key=key,
            reverse=ours.reverse_dns,
            timeout_seconds=ours.server_timeout,
        )
    )


def _addresses(ours: DhcpDnsSettings) -> AddressService:
    if ours.dhcp_hosts_dir is not None:
        from tashi.adapters.dhcp.dnsmasq import Dnsmasq

        if ours.dhcp_pid_file is None:
            raise Misconfigured("[DhcpDns] dhcpHostsDir needs dhcpPidFile as well.")
        return Dnsmasq(ours.dhcp_hosts_dir, ours.dhcp_pid_file, ours.dns_expire)
    from tashi.adapters.dhcp.omapi import Dhcpd, OmapiPlace

    if ours.dhcp_server is None:
        raise Misconfigured(
            "[DhcpDns] dhcpServer is needed (or dhcpHostsDir for dnsmasq), or dhcpEnabled = False "
            "to go without DHCP."
        )
    if (ours.dhcp_key_name is None) != (ours.dhcp_secret_key is None):
        raise Misconfigured("[DhcpDns] dhcpKeyName and dhcpSecretKey belong together: give both.")
    return Dhcpd(
        OmapiPlace(
            host=ours.dhcp_server.host,
            port=ours.dhcp_server.port,
            key_name=ours.dhcp_key_name or "",
            algorithm=ours.dhcp_key_algorithm,
            secret=ours.dhcp_secret_key or "",
            timeout_seconds=ours.server_timeout,
            leases=ours.dhcp_leases_file,
        )
    )
