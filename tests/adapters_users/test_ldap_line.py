"""The way to an LDAP server, where there is none."""

import pytest

from tashi.adapters.users.ldap_access import LdapAccess
from tashi.adapters.users.ldap_line import line_to_any_of
from tashi.domain.errors import DirectoryFailed
from tashi.settings.ldapsearch import LdapServer


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_there_cannot_be_is_one_that_cannot_be_reached(host: str) -> None:
    access = LdapAccess(servers=(LdapServer("ldap", host, 389),))

    with pytest.raises(DirectoryFailed, match="cannot be reached"), line_to_any_of(access):
        pass
