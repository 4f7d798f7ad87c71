"""A real slapd is asked: whole lists, passwords, certificates, and a server that is not well."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slapd import (
    ADMIN,
    GROUPS,
    PAGE_LIMIT,
    PASSWORD,
    PEOPLE,
    SUFFIX,
    Person,
    Slapd,
    issue,
    running,
)
from tashi.adapters.users.ldap_access import LdapAccess
from tashi.domain.catalogue import User
from tashi.domain.errors import DirectoryFailed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Role
from tashi.settings.ldapsearch import LdapServer

if TYPE_CHECKING:
    from tashi.adapters.users.ldap import LdapDirectory

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

MANY = 5000
ODD = ("a*b", "(x)", "back\\slash", "Zoë", "x)(uid=*")
PEOPLE_HERE = (
    *(Person(f"user{number}", number) for number in range(2000, 2000 + MANY)),
    Person("alice", 1000, "wonder land"),
    Person("bob", 1001, "builder"),
    Person("carol", 1002),
    *(Person(name, 1100 + at, f"secret {at}") for at, name in enumerate(ODD)),
    Person("toor", 0, "root"),
)
GROUPS_HERE = f"""dn: cn=admins,{GROUPS}
objectClass: groupOfNames
cn: admins
member: UID=Alice, OU=abc,{SUFFIX}

dn: cn=operators,{GROUPS}
objectClass: posixGroup
cn: operators
gidNumber: 500
memberUid: bob
memberUid: alice

"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with running(tmp_path_factory.mktemp("d") / "slapd", PEOPLE_HERE, GROUPS_HERE) as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Slapd]:
    """A small one that a test may ill-treat."""
    with running(tmp_path / "slapd", (Person("alice", 1000, "wonder land"),)) as server:
        yield server


def access(server: Slapd, **changes: object) -> LdapAccess:
    plain = LdapAccess(
        servers=(LdapServer("ldap", "localhost", server.port),),
        start_tls=True,
        ca_file=server.ca_file,
        bind_dn=ADMIN,
        password=PASSWORD,
        base=PEOPLE,
        timeout=5.0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def directory(server: Slapd, **changes: object) -> "LdapDirectory":
    from tashi.adapters.users.ldap import LdapDirectory  # noqa: PLC0415  needs make compiled

    return LdapDirectory(access(server, **changes))


def by_way(server: Slapd, way: str) -> dict[str, object]:
    """The changes for a connection in the clear, or with StartTLS, or over ldaps."""
    tls_port = (LdapServer("ldaps", "localhost", server.tls_port),)
    ways: dict[str, dict[str, object]] = {
        "none": {"start_tls": False},
        "StartTLS": {},
        "ldaps": {"servers": tls_port, "start_tls": False},
    }
    return ways[way]


# ---- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [("uid", "uidNumber"), ("sAMAccountName", "msSFU30UidNumber")])
@pytest.mark.parametrize("tls", ["none", "StartTLS", "ldaps"])
def test_everybody_is_seen_behind_a_page_limit(
    shared: Slapd, keys: tuple[str, str], tls: str
) -> None:
    changes = {"name_key": keys[0], "id_key": keys[1], **by_way(shared, tls)}

    roll = directory(shared, **changes).read()

    names = {user.id: user.name for user in roll.users}
    assert PAGE_LIMIT < MANY
    assert names == {UserId(one.number): one.name for one in PEOPLE_HERE if one.number}


def test_nobody_is_root_by_a_directorys_word(shared: Slapd) -> None:
    assert User(UserId(0), "toor") not in directory(shared).read().users


def test_groups_make_operators_and_administrators(shared: Slapd) -> None:
    roll = directory(
        shared, admin_group=f"cn=admins,{GROUPS}", operator_group=f"cn=operators,{GROUPS}"
    ).read()

    assert roll.roles == {UserId(1000): Role.ADMIN, UserId(1001): Role.OPERATOR}


def test_a_group_that_is_not_there_makes_nobody_anything(
    shared: Slapd, caplog: pytest.LogCaptureFixture
) -> None:
    roll = directory(shared, admin_group=f"cn=gone,{GROUPS}").read()

    assert roll.roles == {}
    assert f"shows no group cn=gone,{GROUPS}: nobody has its role" in caplog.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size_limit": 100}, "cuts the list of users short, so it is not used"),
        ({"base": f"ou=nowhere,{SUFFIX}"}, "has no entry 'ou=nowhere,dc=abcd"),
        ({"base": GROUPS}, "shows no user below"),
        ({"id_key": "loginShell"}, "shows no user below"),
        ({"filter": "(((", "name_key": "uid"}, "is no filter that LDAP knows"),
        ({"password": "wrong"}, "does not take the name and password that Tashi binds with"),
        ({"bind_dn": "nonsense"}, "does not take the name and password that Tashi binds with"),
        ({"bind_dn": "", "password": ""}, "has no entry"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    shared: Slapd, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(DirectoryFailed) as failed:
        directory(shared, **changes).read()

    assert words in failed.value.message
    assert PASSWORD not in failed.value.message


def test_a_list_that_the_server_cuts_short_is_no_list(tmp_path: Path) -> None:
    server = Slapd(tmp_path / "slapd", PEOPLE_HERE, prtotal="1500")
    server.make()
    server.start()

    with pytest.raises(DirectoryFailed, match="cuts the list of users short"):
        directory(server).read()
    server.kill()


# ---- passwords ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "password", "right"),
    [
        ("alice", "wonder land", True),
        ("alice", "wonder lan", False),
        ("alice", "", False),  # an unauthenticated bind, which servers grant
        ("alice", PASSWORD, False),
        ("ALICE", "wonder land", False),
        (" alice", "wonder land", False),
        ("carol", "anything", False),  # has no password
        ("nobody", "wonder land", False),
        ("", "wonder land", False),
        ("*", "wonder land", False),
        ("alice)(uid=*", "wonder land", False),
        ("ali*", "wonder land", False),
        ("\0", "wonder land", False),
        ("alice\0", "wonder land", False),
        ("toor", "root", False),
        *((name, f"secret {at}", True) for at, name in enumerate(ODD)),
        ("x)(uid=*", "wonder land", False),
    ],
)
def test_a_password_lets_in_its_own_user_only(
    shared: Slapd, name: str, password: str, right: bool
) -> None:
    assert directory(shared).proves(name, password) is right


def test_passwords_are_not_sent_in_the_clear(shared: Slapd) -> None:
    far = directory(shared, servers=(LdapServer("ldap", "192.0.2.1", 389),), start_tls=False)

    with pytest.raises(DirectoryFailed, match="Passwords are not sent to an LDAP server in the"):
        far.proves("alice", "wonder land")


# ---- certificates -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["StartTLS", "ldaps"])
@pytest.mark.parametrize(
    ("host", "days", "own_ca", "words"),
    [
        ("localhost", 2.0, False, "is from no authority among those in"),
        ("other.test", 2.0, True, "is for another name"),
        ("localhost", -1.0, True, "has expired"),
    ],
)
def test_a_certificate_that_is_wrong_is_refused_in_a_sentence(
    tmp_path: Path, way: str, host: str, days: float, own_ca: bool, words: str
) -> None:
    server = Slapd(tmp_path / "slapd", (Person("alice", 1000),))
    server.make()
    issue(server.folder, host, days)
    (tmp_path / "other").mkdir()
    issue(tmp_path / "other")
    server.start()
    ca_file = (server.folder if own_ca else tmp_path / "other") / "ca.pem"
    changes = {"ca_file": ca_file, **by_way(server, way)}

    with pytest.raises(DirectoryFailed) as failed:
        directory(server, **changes).read()
    server.kill()

    assert words in failed.value.message
    assert failed.value.message.startswith("The certificate of the LDAP server localhost")
    assert failed.value.message.count(". ") == 0


def test_a_file_of_authorities_that_is_none_is_named(shared: Slapd, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")

    with pytest.raises(DirectoryFailed, match=r"ca\.pem is no readable file of certificates"):
        directory(shared, ca_file=tmp_path / "ca.pem").read()


# ---- servers that are not well ------------------------------------------------------------------


@pytest.mark.parametrize("way", ["none", "StartTLS", "ldaps"])
def test_a_server_that_hangs_is_given_up_on_and_asked_again(own: Slapd, way: str) -> None:
    asked = directory(own, timeout=0.5, **by_way(own, way))
    own.freeze()
    began = time.monotonic()

    with pytest.raises(DirectoryFailed):
        asked.read()
    took = time.monotonic() - began
    own.thaw()

    assert took < 30
    assert [user.name for user in directory(own, **by_way(own, way)).read().users] == ["alice"]


def test_a_server_that_was_killed_is_named_and_asked_again_when_it_is_back(own: Slapd) -> None:
    asked = directory(own)
    own.kill()

    with pytest.raises(DirectoryFailed, match=r"cannot be reached \(Connection refused\)"):
        asked.read()
    own.start()

    assert [user.name for user in asked.read().users] == ["alice"]


def test_the_next_server_is_asked_when_the_first_is_away(own: Slapd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = LdapServer("ldap", "localhost", closed.getsockname()[1])

    roll = directory(own, servers=(nobody, LdapServer("ldap", "localhost", own.port))).read()

    assert [user.name for user in roll.users] == ["alice"]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00",  # unavailable
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00" + b"no TLS" * 10,
    ],
)
def test_a_server_that_answers_starttls_with_nonsense_gets_no_password(
    tmp_path: Path, said: bytes
) -> None:
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            line, _ = listening.accept()
            with closing(line), suppress(OSError):
                heard.append(line.recv(1 << 16))
                line.sendall(said)
                line.shutdown(socket.SHUT_WR)
                while piece := line.recv(1 << 16):
                    heard.append(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        server = Slapd(tmp_path, (), port=listening.getsockname()[1])
        with pytest.raises(DirectoryFailed, match="The LDAP server localhost"):
            directory(server, ca_file=None, timeout=2.0).read()
        thread.join()

    assert PASSWORD.encode() not in b"".join(heard)


def test_a_handshake_that_never_ends_is_given_up_on(tmp_path: Path) -> None:
    agreed = b"\x30\x84\x00\x00\x00\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            line, _ = listening.accept()
            with closing(line), suppress(OSError):
                line.recv(1 << 16)
                line.sendall(agreed)
                while line.recv(1 << 16):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        server = Slapd(tmp_path, (), port=listening.getsockname()[1])
        with pytest.raises(DirectoryFailed, match="did not answer in TLS in time"):
            directory(server, ca_file=None, timeout=0.5).read()
        thread.join()


def test_no_password_stands_on_a_list_of_processes(shared: Slapd) -> None:
    looks, over = [], threading.Event()

    def look() -> None:
        while not over.is_set():
            listed = subprocess.run(
                ["ps", "-eo", "args"], capture_output=True, text=True, check=True
            )
            looks.append(listed.stdout)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        while len(looks) < 5:
            directory(shared).read()
    finally:
        over.set()
        looking.join()

    assert not [listed for listed in looks if PASSWORD in listed]
