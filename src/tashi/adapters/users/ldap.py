"""The users of an LDAP directory, through python-ldap.

Two schemas are meant and others do as well: posixAccount (uid, uidNumber) and Active Directory's.
A conversation is short: connect, bind, ask, hang up; nothing is kept between two of them. Every
wait in it has a limit. Referrals are not followed: they would take our password to servers that
nobody named.

This is the only room that imports ldap, and is itself imported only where LDAP is used: the library
is compiled where it is installed, and a site without LDAP has none.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging import getLogger
from typing import Any, Final

import ldap
import ldap.dn
import ldap.filter
from ldap.controls.libldap import SimplePagedResultsControl
from ldap.ldapobject import LDAPObject

from tashi.adapters.users.ldap_access import LdapAccess
from tashi.adapters.users.ldap_entries import Entry, Members, members_of, roll_of
from tashi.adapters.users.ldap_line import line_to_any_of
from tashi.domain.errors import DirectoryFailed
from tashi.domain.permissions import Role
from tashi.ports.users import Roll

_log = getLogger(__name__)

_SCOPES: Final = {
    "base": ldap.SCOPE_BASE,
    "one": ldap.SCOPE_ONELEVEL,
    "sub": ldap.SCOPE_SUBTREE,
}
_NO: Final = (
    ldap.INVALID_CREDENTIALS,
    ldap.INAPPROPRIATE_AUTH,  # the entry has no password
    ldap.UNWILLING_TO_PERFORM,  # so say servers of an account that is locked
    ldap.CONSTRAINT_VIOLATION,
)
"""What a server says to a password that does not let its user in."""


class LdapDirectory:
    """Keeps the ports `Directory` and `PasswordCheck`; safe to use from several threads."""

    def __init__(self, access: LdapAccess) -> None:
        self._access = access

    def read(self) -> Roll:
        """Everybody who has a name and a number, and the roles that the groups give."""
        access = self._access
        with self._conversation() as server:
            entries = self._search(server, access.users_filter, (access.name_key, access.id_key))
            groups = [
                (role, self._members(server, group))
                for role, group in (
                    (Role.OPERATOR, access.operator_group),
                    (Role.ADMIN, access.admin_group),
                )
                if group
            ]
        roll = roll_of(entries, access.name_key, access.id_key, groups, _plain_dn)
        if not roll.users:
            raise DirectoryFailed(
                f"The LDAP server shows no user below {access.base!r}: look at base, filter, "
                f"nameKey ({access.name_key}) and idKey ({access.id_key}) in [LdapOverride], and "
                "at what the server shows to whom Tashi binds as."
            )
        return roll

    def proves(self, name: str, password: str) -> bool:
        """Whether the server lets the one user of that name bind with that password."""
        if not name or not password:  # RFC 4513, 5.1.2: without a password nobody proves anything
            return False
        if not self._access.is_private:
            raise DirectoryFailed(
                "Passwords are not sent to an LDAP server in the clear: set startTls, or write an "
                "ldaps:// address, in [LdapOverride]."
            )
        with self._conversation() as server:
            who = self._entry_of(server, name)
            return who is not None and self._lets_in(server, who, password)

    @contextmanager
    def _conversation(self) -> Iterator[LDAPObject]:
        """A server that knows who we are; what goes wrong in it becomes ours."""
        access = self._access
        try:
            with line_to_any_of(access) as line:
                server = line.library(ldap.initialize)
                server.protocol_version = ldap.VERSION3
                server.set_option(ldap.OPT_REFERRALS, ldap.OPT_OFF)
                server.set_option(ldap.OPT_NETWORK_TIMEOUT, access.timeout)
                server.set_option(ldap.OPT_TIMEOUT, access.timeout)
                try:
                    self._bind(server)
                    yield server
                finally:
                    server.unbind_s()
        except ldap.LDAPError as error:
            raise DirectoryFailed(_in_words(error, access)) from error

    def _bind(self, server: LDAPObject) -> None:
        try:
            server.simple_bind_s(self._access.bind_dn, self._access.password)
        except (ldap.INVALID_CREDENTIALS, ldap.INVALID_DN_SYNTAX) as error:
            raise DirectoryFailed(
                "The LDAP server does not take the name and password that Tashi binds with: "
                "look at bindDn and bindPassword, or at -D and -w in ldapCommand."
            ) from error

    def _search(
        self, server: LDAPObject, which: str, attributes: tuple[str, ...], most: int | None = None
    ) -> list[Entry]:
        """All entries of a search below the base, page after page."""
        access, found = self._access, []
        page = SimplePagedResultsControl(False, size=access.page_size, cookie="")
        while True:
            number = server.search_ext(
                access.base,
                _SCOPES[access.scope],
                which,
                list(attributes),
                serverctrls=[page],
                timeout=access.time_limit,
                sizelimit=access.size_limit if most is None else most,
            )
            _, entries, _, controls = server.result3(number, all=1, timeout=access.timeout)
            found += [(dn, values) for dn, values in entries if dn is not None]  # no referrals
            page.cookie = _cookie(controls)
            if not page.cookie:
                return found

    def _members(self, server: LDAPObject, group: str) -> Members:
        """The members of a group; of one that is not there nobody is one."""

        def ask(attributes: Sequence[str]) -> Mapping[str, Sequence[bytes]]:
            answers: list[Entry] = server.search_st(
                group, ldap.SCOPE_BASE, "(objectClass=*)", list(attributes), 0, self._access.timeout
            )
            return answers[0][1] if answers else {}

        try:
            return members_of(ask, _plain_dn)
        except ldap.NO_SUCH_OBJECT:
            _log.warning("The LDAP server shows no group %s: nobody has its role.", group)
            return Members(frozenset(), frozenset())

    def _entry_of(self, server: LDAPObject, name: str) -> str | None:
        """The entry of exactly that user; ``None`` if there is none, or more than one."""
        access = self._access
        asked = ldap.filter.escape_filter_chars(name)
        which = f"(&{access.users_filter}({access.name_key}={asked}))"
        entries = self._search(server, which, (access.name_key, access.id_key), most=0)
        # The server does not mind case and blanks; whoever reads the roll does.
        exact = [
            (dn, values)
            for dn, values in entries
            if [user.name for user in roll_of([(dn, values)], access.name_key, access.id_key).users]
            == [name]
        ]
        return exact[0][0] if len(exact) == 1 else None

    def _lets_in(self, server: LDAPObject, who: str, password: str) -> bool:
        try:
            server.simple_bind_s(who, password)
        except _NO:
            return False
        return True


def _cookie(controls: list[Any]) -> bytes | str:
    for control in controls:
        if control.controlType == SimplePagedResultsControl.controlType:
            cookie: bytes | str = control.cookie
            return cookie
    return ""  # a server without pages has said all


def _plain_dn(written: str) -> str:
    """A DN as it can be compared: without case, and without blanks that mean nothing."""
    try:
        return str(ldap.dn.dn2str(ldap.dn.str2dn(written))).casefold()
    except ldap.DECODING_ERROR:
        return written.casefold()


def _in_words(error: ldap.LDAPError, access: LdapAccess) -> str:
    match error:
        case ldap.SIZELIMIT_EXCEEDED():
            return (
                "The LDAP server cuts the list of users short, so it is not used: let it give "
                "whole lists to whom Tashi binds as (slapd: limits … size.prtotal=unlimited), or "
                "take -z out of ldapCommand."
            )
        case ldap.TIMEOUT() | ldap.TIMELIMIT_EXCEEDED():
            return f"The LDAP server has not answered within {access.timeout:g} s."
        case ldap.SERVER_DOWN() | ldap.CONNECT_ERROR():
            return "The LDAP server has closed the connection, or cannot be reached."
        case ldap.NO_SUCH_OBJECT():
            return (
                f"The LDAP server has no entry {access.base!r} (base in [LdapOverride], -b in "
                "ldapCommand), or does not show it to whom Tashi binds as."
            )
        case ldap.FILTER_ERROR():
            return f"{access.users_filter!r} is no filter that LDAP knows."
    said = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    words = ": ".join(str(said[key]) for key in ("desc", "info") if said.get(key)) or str(error)
    return f"The LDAP server does not do what it is asked: {words}."
