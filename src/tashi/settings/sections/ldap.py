"""Where users are found in an LDAP directory, and which of them are more than users."""

from pathlib import Path

from tashi.settings import kinds, ldapsearch
from tashi.settings.declare import section, setting
from tashi.settings.ldapsearch import LdapSearch, LdapServer
from tashi.settings.sections.parts import FLAT_FILE
from tashi.settings.sections.users import BASE, BASE_WORDS


@section("LdapOverride")
class LdapSettings:
    """Users from an LDAP directory; ldapCommand, or the keys below it, which go before it."""

    base_data: str = setting("baseData", BASE, default=FLAT_FILE, words=BASE_WORDS)
    fetch_threshold: float = setting(
        "fetchThreshold",
        kinds.seconds_or_never,
        default=3600.0,
        words="Seconds for which users are remembered before they are asked for again.",
    )
    name_key: str = setting(
        "nameKey",
        kinds.word,
        default="sAMAccountName",
        words="The attribute that holds a user's name; uid where accounts are posixAccount.",
    )
    id_key: str = setting(
        "idKey",
        kinds.word,
        default="msSFU30UidNumber",
        words="The attribute that holds a user's number; uidNumber where they are posixAccount.",
    )
    ldap_command: LdapSearch | None = setting(
        "ldapCommand",
        ldapsearch.line,
        default=None,
        words="""An ldapsearch line, of which the server, the name and password to bind with, the
        base, the scope, the limits and the filter are read. No program is run. Shown masked,
        because -w is a password.""",
    )
    servers: tuple[LdapServer, ...] = setting(
        "uri",
        ldapsearch.servers,
        default=(),
        words="""Where the directory is: ldaps://host, ldap://host or ldapi://%2Fpath. Of several
        the first that answers is asked.""",
    )
    start_tls: bool | None = setting(
        "startTls",
        kinds.flag,
        default=None,
        words="""Whether an ldap:// connection is encrypted before anything is said on it; not set,
        it is if ldapCommand has -Z or -ZZ. A server that cannot do it is not used.""",
    )
    ca_file: Path | None = setting(
        "caFile",
        kinds.path,
        default=None,
        words="""The certificates (PEM) of the authorities that servers are believed from; not set,
        those of the system.""",
    )
    bind_dn: str | None = setting(
        "bindDn",
        kinds.text,
        default=None,
        words="Whom Tashi says it is; not set, nobody (an anonymous bind).",
    )
    bind_password: str | None = setting(
        "bindPassword", kinds.secret, default=None, words="Its password."
    )
    bind_password_file: Path | None = setting(
        "bindPasswordFile",
        kinds.path,
        default=None,
        words="A file whose first line is its password, which nobody else may read.",
    )
    base: str | None = setting(
        "base", kinds.text, default=None, words="Below which entry users are looked for."
    )
    filter: str | None = setting(
        "filter",
        kinds.text,
        default=None,
        words="""Which entries are users, such as (objectClass=posixAccount); not set, those that
        have both nameKey and idKey.""",
    )
    page_size: int = setting(
        "pageSize",
        kinds.whole("a whole number from 1 to 1000", at_least=1, at_most=1000),
        default=500,
        words="""How many entries are asked for at a time, which lets a list be longer than the
        server's limit for one answer.""",
    )
    timeout: float = setting(
        "timeout",
        kinds.decimal("seconds above 0, such as 10.0", zero=False, at_most=300),
        default=10.0,
        words="Seconds that a server has to connect, and to answer each request.",
    )
    remember_logins: float = setting(
        "rememberLogins",
        kinds.seconds_or_never,
        default=0.0,
        words="""Seconds for which somebody who has logged in by password can log in again while no
        server answers; 0 lets nobody in without the directory's word.""",
    )
    admin_group: str | None = setting(
        "adminGroup",
        kinds.text,
        default=None,
        words="""The entry of a group whose members are administrators of Tashi, such as
        cn=tashi-admins,ou=groups,dc=example. Its member, uniqueMember and memberUid count.""",
    )
    operator_group: str | None = setting(
        "operatorGroup",
        kinds.text,
        default=None,
        words="The same for operators.",
    )
