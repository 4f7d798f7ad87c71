"""An ldapsearch line is read for what it asks; what it cannot mean here is said, secrets never."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.settings import ldapsearch
from tashi.settings.kinds import Unsuitable
from tashi.settings.ldapsearch import LdapSearch, LdapServer, read

GUIDE = (
    "ldapsearch -x -w AbCdef1G {host} -b ou=ABC,dc=abcd,dc=abcd,dc=abc "
    "-D cn=abcd,cn=Abcde,dc=abcd,dc=abcd,dc=abc msSFU30LoginShell=* -z 0"
)


@pytest.mark.parametrize(
    ("host", "servers"),
    [("-h ldap.example.test", (LdapServer("ldap", "ldap.example.test", 389),)), ("-h", ())],
)
def test_the_guides_line_means_what_it_says_also_without_its_host(
    host: str, servers: tuple[LdapServer, ...]
) -> None:
    asked = read(GUIDE.format(host=host))

    assert asked.servers == servers
    assert asked.bind_dn == "cn=abcd,cn=Abcde,dc=abcd,dc=abcd,dc=abc"
    assert asked.password == "AbCdef1G"
    assert asked.base == "ou=ABC,dc=abcd,dc=abcd,dc=abc"
    assert asked.filter == "msSFU30LoginShell=*"
    assert (asked.scope, asked.size_limit, asked.time_limit) == ("sub", 0, 0)
    assert asked.start_tls is False


def test_every_other_option_is_read() -> None:
    asked = read(
        "/usr/bin/ldapsearch -xLLL -ZZ -H 'ldap://a ldaps://[fd00::1]:3269' -y /etc/ldap.password "
        "-D 'cn=x y,dc=z' -s one -z 100 -l 7 -P3 -v -E pr=500/noprompt -o ldif-wrap=no "
        "-b dc=z '(&(a=b)(c=d))' uid uidNumber"
    )

    assert asked.servers == (LdapServer("ldap", "a", 389), LdapServer("ldaps", "fd00::1", 3269))
    assert asked.start_tls is True
    assert asked.password is None
    assert asked.password_file == Path("/etc/ldap.password")
    assert asked.bind_dn == "cn=x y,dc=z"
    assert (asked.scope, asked.size_limit, asked.time_limit) == ("one", 100, 7)
    assert asked.filter == "(&(a=b)(c=d))"


def test_host_and_port_may_stand_apart_and_nothing_need_be_said() -> None:
    assert read("ldapsearch -h ::1 -p 3890").servers == (LdapServer("ldap", "::1", 3890),)
    assert read("ldapsearch -Z uid").filter is None
    assert read("ldapsearch -Z").start_tls is True


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ldapsearch -q", "has an option that means nothing here: -q"),
        ("ldapsearch -b", "has an option that needs a value: -b"),
        ("ldapsearch -W", "has -W, but nobody is there to type a password"),
        ("ldapsearch -Y GSSAPI", "has -Y, but Tashi binds by name and password"),
        ("ldapsearch -P 2", "asks for another version of LDAP"),
        ("ldapsearch -s children", "has a scope (-s) that is none of base, one, sub"),
        ("ldapsearch -z many", "has a limit (-z) that is no whole number"),
        ("ldapsearch -z 2147483648", "has a limit (-z) above 2147483647"),
        ("ldapsearch -l " + "9" * 5000, "has a limit (-l) above 2147483647"),
        ("ldapsearch -y ~nobody-at-all/pw", "has a file of a password (-y) that begins with ~"),
        ("ldapsearch -E sss=uid", "has an extension (-E) other than pr="),
        ("ldapsearch -o tls_reqcert=never", "has an option (-o) other than"),
        ("ldapsearch -h a -p x", "has a port (-p) that is no number"),
        ("ldapsearch -h a -p 70000", "with a port that there is not"),
        ("ldapsearch -H http://a", "has an address that is no ldap://host"),
        ("ldapsearch -H ldap://", "has an address without a host"),
        ("ldapsearch -b x | grep y", "is more than one command"),
        ("ldapsearch -b 'x", "has a quotation mark that is never closed"),
        ("ldapmodify -b x", "does not begin with ldapsearch"),
        ("", "does not begin with ldapsearch"),
    ],
)
def test_what_cannot_be_meant_is_named(line: str, words: str) -> None:
    with pytest.raises(Unsuitable) as wrong:
        read(f"{line} -w hunter2" if line.endswith("-q") else line)

    assert words in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


@given(st.text(max_size=80))
def test_any_other_text_is_read_or_refused_in_words(tail: str) -> None:
    with suppress(Unsuitable):
        assert isinstance(read(f"ldapsearch {tail}"), LdapSearch)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ldaps://a", (LdapServer("ldaps", "a", 636),)),
        (
            "LDAP://a:1/ ldapi://%2Frun%2Fldapi",
            (LdapServer("ldap", "a", 1), LdapServer("ldapi", "/run/ldapi", 0)),
        ),
        ("", ()),
    ],
)
def test_addresses_are_read_and_written(written: str, meant: tuple[LdapServer, ...]) -> None:
    assert ldapsearch.servers.read(written) == meant
    assert ldapsearch.servers.read(ldapsearch.servers.write(meant)) == meant
