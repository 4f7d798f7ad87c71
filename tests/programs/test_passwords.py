"""A file with a password is read by one rule, whoever needs it."""

from pathlib import Path

import pytest

from tashi.domain.errors import Misconfigured
from tashi.programs.databases import described
from tashi.programs.directories import ldap_access
from tashi.programs.passwords import password_in
from tashi.settings.ldapsearch import LdapServer
from tashi.settings.sections.ldap import LdapSettings
from tashi.settings.sections.stores import SqlSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.touch(0o600)
    return file


@pytest.mark.parametrize(
    ("content", "password"),
    [
        ("geheim", "geheim"),
        ("geheim\n", "geheim"),
        ("geheim\r\nmore\n", "geheim"),
        (" söß \n", " söß "),
        ("", ""),
    ],
)
def test_the_password_is_the_first_line(file: Path, content: str, password: str) -> None:
    file.write_text(content, encoding="utf-8", newline="")

    assert password_in(file, "[A] b") == password


@pytest.mark.parametrize("mode", [0o604, 0o606, 0o602, 0o644])
def test_a_file_that_everybody_can_read_or_write_is_refused(file: Path, mode: int) -> None:
    file.write_text("geheim")
    file.chmod(mode)

    with pytest.raises(Misconfigured, match=rf"^\[A\] b {file} may be read by everybody: chmod"):
        password_in(file, "[A] b")


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    file.write_bytes(b"\xff")

    with pytest.raises(Misconfigured, match=r"\[A\] b .*secret cannot be read \(it is not UTF-8"):
        password_in(file, "[A] b")
    file.unlink()
    with pytest.raises(Misconfigured, match=r"\[A\] b .*secret cannot be read \(No such file"):
        password_in(file, "[A] b")


def test_databases_and_directories_have_the_same_rule(file: Path) -> None:
    file.write_text("geheim\n")
    ldap = LdapSettings(
        servers=(LdapServer("ldap", "a", 389),),
        base="dc=a",
        bind_dn="cn=a",
        bind_password_file=file,
    )
    sql = SqlSettings(password_file=file)

    passwords = ldap_access(ldap).password, described("mysql://a@b/c", sql).password
    file.chmod(0o644)

    assert passwords == ("geheim", "geheim")
    with pytest.raises(Misconfigured, match=r"\[LdapOverride\] bindPasswordFile .* by everybody"):
        ldap_access(ldap)
    with pytest.raises(Misconfigured, match=r"\[SQL\] passwordFile .* by everybody"):
        described("mysql://a@b/c", sql)
