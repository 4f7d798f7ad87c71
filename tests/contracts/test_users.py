"""What every directory promises: everybody, each id once, or a clear failure."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fakes.commands import ScriptedCommands, fails, hangs, says
from fakes.users import FakeDirectory, FakePasswords
from slapd import ADMIN, GROUPS, PASSWORD, PEOPLE, Person, Slapd, running
from tashi.adapters.system.commands import SystemCommands
from tashi.adapters.users.config import ConfiguredUsers
from tashi.adapters.users.getent import GetentDirectory, NoDirectory
from tashi.adapters.users.ldap_access import LdapAccess
from tashi.adapters.users.passwords import PasswordFile
from tashi.adapters.users.remembered import RememberedLogins
from tashi.adapters.users.scrypted import ScryptedPasswords
from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role
from tashi.ports.users import Directory, PasswordTable
from tashi.settings.ldapsearch import LdapServer

PASSWD = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n"

Make = Callable[[Path], Directory]


def the_machines(_: Path) -> Directory:
    return GetentDirectory(SystemCommands())


def a_files(folder: Path) -> Directory:
    file = folder / "passwd"
    file.write_text(PASSWD + "toor:x:0:0::/root:/bin/sh\n")
    return GetentDirectory(ScriptedCommands(), file)


def a_commands(_: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(getent=says(PASSWD)))


def a_commands_with_groups(_: Path) -> Directory:
    def getent(arguments: Sequence[str], _: float) -> str:
        return PASSWD if "passwd" in arguments else "admins:x:7:alice,nobody\n"

    return GetentDirectory(ScriptedCommands(getent=getent), groups=[(Role.ADMIN, "admins")])


def nobodys(_: Path) -> Directory:
    return NoDirectory()


def the_configurations(folder: Path) -> Directory:
    users = (User(UserId(1000), "allie"), User(UserId(7), "bob"))
    return ConfiguredUsers(users, a_files(folder), {UserId(7): Role.OPERATOR})


def a_tests(_: Path) -> Directory:
    return FakeDirectory("alice", "bob")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Slapd]:
    people = [Person("alice", 1000), Person("bob", 1001), Person("bobby", 1001), Person("toor", 0)]
    group = f"dn: cn=admins,{GROUPS}\nobjectClass: posixGroup\ncn: admins\ngidNumber: 1\n"
    members = "memberUid: alice\nmemberUid: toor\nmemberUid: nobody\n\n"
    with running(tmp_path / "slapd", people, group + members) as slapd:
        yield slapd


def an_ldap_servers(slapd: Slapd, name_key: str, id_key: str) -> Directory:
    from tashi.adapters.users.ldap import LdapDirectory  # noqa: PLC0415  needs make compiled

    access = LdapAccess(
        servers=(LdapServer("ldap", "localhost", slapd.port),),
        bind_dn=ADMIN,
        password=PASSWORD,
        base=PEOPLE,
        name_key=name_key,
        id_key=id_key,
        admin_group=f"cn=admins,{GROUPS}",
    )
    return LdapDirectory(access)


MADE = [
    the_machines,
    a_files,
    a_commands,
    a_commands_with_groups,
    nobodys,
    the_configurations,
    a_tests,
]
SCHEMAS = [("uid", "uidNumber"), ("sAMAccountName", "msSFU30UidNumber")]
REAL = [pytest.mark.system, pytest.mark.timeout(180)]


@pytest.fixture(params=[*MADE, *(pytest.param(keys, marks=REAL) for keys in SCHEMAS)])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Directory:
    if isinstance(request.param, tuple):
        return an_ldap_servers(request.getfixturevalue("server"), *request.param)
    made: Directory = request.param(tmp_path)
    return made


def test_everybody_has_an_id_and_a_name_of_their_own(directory: Directory) -> None:
    users = directory.read().users

    assert len({user.id for user in users}) == len(users)
    assert all(user.id >= 0 and user.name for user in users)


def test_roles_are_of_listed_users_and_more_than_a_users(directory: Directory) -> None:
    roll = directory.read()

    assert set(roll.roles) <= {user.id for user in roll.users}
    assert set(roll.roles.values()) <= {Role.OPERATOR, Role.ADMIN}


def test_a_directory_can_be_asked_again(directory: Directory) -> None:
    assert directory.read() == directory.read()


def a_file_that_is_not_there(folder: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(), folder / "passwd")


def a_file_that_is_a_folder(folder: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(), folder)


def a_command_that_hangs(_: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(getent=hangs))


def a_command_that_fails(_: Path) -> Directory:
    return GetentDirectory(ScriptedCommands(getent=fails("the directory is down")))


def a_configurations_base_that_is_away(folder: Path) -> Directory:
    return ConfiguredUsers((User(UserId(1), "one"),), a_test_that_is_away(folder))


def a_group_that_is_not_there(_: Path) -> Directory:
    def getent(arguments: Sequence[str], seconds: float) -> str:
        return PASSWD if "passwd" in arguments else fails("no such group")(arguments, seconds)

    return GetentDirectory(ScriptedCommands(getent=getent), groups=[(Role.ADMIN, "admins")])


def a_command_that_is_not_there(_: Path) -> Directory:
    return GetentDirectory(ScriptedCommands())


def a_test_that_is_away(_: Path) -> Directory:
    directory = FakeDirectory()
    directory.is_away = True
    return directory


def test_a_configured_user_has_no_role_of_another_who_had_the_number() -> None:
    base = FakeDirectory("alice", "bob")
    base.roles = {UserId(500): Role.ADMIN, UserId(501): Role.OPERATOR}

    roll = ConfiguredUsers([User(UserId(500), "eve")], base).read()

    assert User(UserId(500), "eve") in roll.users
    assert roll.roles == {UserId(501): Role.OPERATOR}


def test_nobody_of_the_base_has_the_name_of_a_configured_user() -> None:
    base = FakeDirectory("alice", "bob")
    base.roles = {UserId(500): Role.ADMIN}

    roll = ConfiguredUsers([User(UserId(7), "alice"), User(UserId(501), "bob")], base).read()

    assert roll.users == (User(UserId(7), "alice"), User(UserId(501), "bob"))
    assert roll.roles == {}
    assert roll.local == {"alice"}


@pytest.mark.parametrize(
    "make",
    [
        a_file_that_is_not_there,
        a_file_that_is_a_folder,
        a_command_that_hangs,
        a_command_that_fails,
        a_command_that_is_not_there,
        a_group_that_is_not_there,
        a_test_that_is_away,
        a_configurations_base_that_is_away,
    ],
)
def test_a_directory_that_cannot_be_read_says_so(make: Make, tmp_path: Path) -> None:
    directory = make(tmp_path)

    with pytest.raises(DirectoryFailed):
        directory.read()


# ---- passwords (what a real server says to them is in tests/adapters_users/test_ldap.py) --------


class FakeCheck:
    """Knows one password; `is_away` makes it fail."""

    def __init__(self) -> None:
        self.is_away = False
        self.password = "wonder land"

    def proves(self, name: str, password: str) -> bool:
        if self.is_away:
            raise DirectoryFailed("The LDAP server cannot be reached.")
        return (name, password) == ("alice", self.password) and bool(password)


def test_who_has_logged_in_goes_on_while_the_directory_is_away_as_long_as_is_configured() -> None:
    now, check = [0.0], FakeCheck()
    remembered = RememberedLogins(check, 60.0, lambda: now[0])
    assert remembered.proves("alice", "wonder land")
    check.is_away = True

    now[0] = 60.0
    in_time = remembered.proves("alice", "wonder land")
    for wrong in (("alice", "wonder"), ("alice", ""), ("bob", "wonder land")):
        with pytest.raises(DirectoryFailed):
            remembered.proves(*wrong)
    now[0] = 60.1
    with pytest.raises(DirectoryFailed):
        remembered.proves("alice", "wonder land")

    assert in_time


def test_a_password_that_was_changed_is_forgotten_at_once() -> None:
    check = FakeCheck()
    remembered = RememberedLogins(check, 60.0, lambda: 0.0)
    assert remembered.proves("alice", "wonder land")
    check.password = "other"
    assert not remembered.proves("alice", "wonder land")
    check.is_away = True

    with pytest.raises(DirectoryFailed):
        remembered.proves("alice", "wonder land")


# ---- the passwords that Tashi keeps itself ------------------------------------------------------

ADA, BOB = User(UserId(500), "ada"), User(UserId(501), "bob")


@pytest.fixture(
    params=[
        lambda folder: ScryptedPasswords(PasswordFile(folder / "passwords")),
        lambda _: FakePasswords(),
    ]
)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> PasswordTable:
    made: PasswordTable = request.param(tmp_path)
    return made


def test_a_password_proves_its_user_and_nobody_else(table: PasswordTable) -> None:
    table.set(ADA, "open sesame")
    table.set(BOB, "close sesame")

    assert table.proves(ADA, "open sesame")
    assert not table.proves(ADA, "close sesame")
    assert not table.proves(ADA, "")
    assert not table.proves(User(UserId(7), "eve"), "open sesame")
    assert not table.proves(None, "open sesame")


@pytest.mark.parametrize("other", [User(UserId(500), "eve"), User(UserId(7), "ada")])
def test_who_has_the_name_or_the_number_later_does_not_inherit_it(
    table: PasswordTable, other: User
) -> None:
    table.set(ADA, "open sesame")

    assert not table.has(other)
    assert not table.proves(other, "open sesame")


def test_a_new_password_takes_the_place_of_the_old(table: PasswordTable) -> None:
    table.set(ADA, "open sesame")

    table.set(ADA, "close sesame")

    assert not table.proves(ADA, "open sesame")
    assert table.proves(ADA, "close sesame")


def test_a_forgotten_password_is_gone_and_others_stay(table: PasswordTable) -> None:
    table.set(ADA, "open sesame")
    table.set(BOB, "close sesame")

    table.forget(ADA)
    table.forget(ADA)

    assert not table.has(ADA)
    assert not table.proves(ADA, "open sesame")
    assert table.proves(BOB, "close sesame")
