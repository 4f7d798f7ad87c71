"""Where users come from: the directory that the settings choose, and who checks their passwords."""

import math
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from tashi.adapters.users.config import ConfiguredUsers
from tashi.adapters.users.getent import GetentDirectory, NoDirectory
from tashi.adapters.users.ldap_access import LdapAccess
from tashi.adapters.users.remembered import RememberedLogins
from tashi.domain.catalogue import User
from tashi.domain.errors import Misconfigured
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role
from tashi.ports.commands import Commands
from tashi.ports.users import Directory, PasswordCheck
from tashi.programs.passwords import password_in
from tashi.settings.ldapsearch import LdapSearch
from tashi.settings.load import Settings
from tashi.settings.sections.clustermanager import ClusterManagerParts
from tashi.settings.sections.ldap import LdapSettings
from tashi.settings.sections.parts import FROM_CONFIG
from tashi.settings.sections.users import ROLES, FromConfigSettings, GetentSettings

if TYPE_CHECKING:
    from tashi.adapters.users.ldap import LdapDirectory

GETENT = "tashi.clustermanager.data.GetentOverride"
LDAP = "tashi.clustermanager.data.LdapOverride"


def base_data(settings: Settings) -> str:
    """What keeps everything but the users: the store below the directory."""
    data = settings.of(ClusterManagerParts).data
    return {
        GETENT: settings.of(GetentSettings).base_data,
        LDAP: settings.of(LdapSettings).base_data,
    }.get(data, data)


def chosen_directory(settings: Settings, commands: Commands) -> tuple[Directory, float]:
    """The directory of users, and for how many seconds its list is good; raises Misconfigured."""
    data = settings.of(ClusterManagerParts).data
    threshold = math.inf
    directory: Directory = NoDirectory()
    if data == GETENT:
        ours = settings.of(GetentSettings)
        groups = [
            (role, group)
            for role, group in (
                (Role.OPERATOR, ours.operator_group),
                (Role.ADMIN, ours.admin_group),
            )
            if group
        ]
        directory = GetentDirectory(commands, _local_file(ours), groups)
        threshold = ours.fetch_threshold
    elif data == LDAP:
        directory, threshold = _ldap(settings), settings.of(LdapSettings).fetch_threshold
    if base_data(settings) == FROM_CONFIG:
        directory = _with_configured(settings, directory)
    return directory, threshold


def chosen_password_check(settings: Settings) -> PasswordCheck | None:
    """Who checks the passwords of the directory's users; ``None`` where nobody can."""
    if settings.of(ClusterManagerParts).data != LDAP:
        return None
    seconds = settings.of(LdapSettings).remember_logins
    check: PasswordCheck = _ldap(settings)
    return RememberedLogins(check, seconds, monotonic) if seconds else check


def _with_configured(settings: Settings, base: Directory) -> Directory:
    lines = settings.of(FromConfigSettings).users.items()
    written = {UserId(number if user.id is None else user.id): user for number, user in lines}
    roles = {key: Role(user.role) for key, user in written.items() if user.role != ROLES[0]}
    return ConfiguredUsers([User(key, user.name) for key, user in written.items()], base, roles)


def _local_file(ours: GetentSettings) -> Path | None:
    if not ours.getent_from_local_file:
        return None
    if ours.getent_local_file is None:
        raise Misconfigured("[GetentOverride] getentFromLocalFile needs getentLocalFile as well.")
    return ours.getent_local_file


def _ldap(settings: Settings) -> "LdapDirectory":
    access = ldap_access(settings.of(LdapSettings))
    try:
        from tashi.adapters.users.ldap import LdapDirectory
    except ImportError as missing:
        raise Misconfigured(
            f"Users are to come from LDAP ({LDAP}), but its library cannot be used ({missing}): "
            "run `make compiled` where Tashi is checked out."
        ) from missing
    return LdapDirectory(access)


def ldap_access(ours: LdapSettings) -> LdapAccess:
    """What [LdapOverride] comes to, its own keys before those of its line; raises Misconfigured."""
    line = ours.ldap_command or LdapSearch()
    servers = ours.servers or line.servers
    base = line.base if ours.base is None else ours.base
    if not servers:
        raise Misconfigured(
            "[LdapOverride] names no server: write uri = ldaps://…, or the host behind -h in "
            "ldapCommand."
        )
    if base is None:
        raise Misconfigured(
            "[LdapOverride] does not say below which entry users are: write base = dc=…, or -b in "
            "ldapCommand."
        )
    who = ours.bind_dn or line.bind_dn or ""
    password = _password(ours, line)
    if bool(who) != bool(password):
        raise Misconfigured(
            "[LdapOverride] needs both a name and a password to bind with (bindDn with "
            "bindPassword or bindPasswordFile; -D with -w or -y in ldapCommand), or neither."
        )
    if ours.ca_file is not None and not ours.ca_file.is_file():
        raise Misconfigured(f"caFile in [LdapOverride] is {ours.ca_file}, which is no file.")
    return LdapAccess(
        servers=servers,
        start_tls=line.start_tls if ours.start_tls is None else ours.start_tls,
        ca_file=ours.ca_file,
        bind_dn=who,
        password=password,
        base=base,
        scope=line.scope,
        filter=ours.filter or line.filter or "",
        name_key=ours.name_key,
        id_key=ours.id_key,
        page_size=ours.page_size,
        size_limit=line.size_limit,
        time_limit=line.time_limit or -1,
        timeout=ours.timeout,
        admin_group=ours.admin_group or "",
        operator_group=ours.operator_group or "",
    )


def _password(ours: LdapSettings, line: LdapSearch) -> str:
    written = ours.bind_password or (None if ours.bind_password_file else line.password)
    file = ours.bind_password_file or line.password_file
    if written is not None or file is None:
        return written or ""
    setting = "bindPasswordFile" if ours.bind_password_file else "ldapCommand's -y"
    return password_in(file, f"[LdapOverride] {setting}")
