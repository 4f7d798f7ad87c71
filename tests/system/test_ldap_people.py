"""People of a large LDAP directory log in to a cluster, also while the directory is away."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import monotonic

import pytest

from slapd import ADMIN, GROUPS, PAGE_LIMIT, PASSWORD, PEOPLE, Person, Slapd, running
from system.sites import PATIENCE_SECONDS, SIMULATED, Shape, Site
from system.visitors import elsewhere, secret
from tashi.adapters.rpyc.server import WORKERS
from tashi.domain.errors import DirectoryFailed, NoSuchUser, TashiError
from tashi.wire.answers import ReservationForm
from tashi.wire.calls import Calls
from tashi.wire.forms import UserForm

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

MANY = 5000
EVERYBODY = MANY + 4
WAITING = WORKERS + 2
TIMEOUT_SECONDS = 5
QUICK_SECONDS = TIMEOUT_SECONDS / 2
"""Until everybody is listed, as a rule, whatever else runs here; nobody waits for a directory."""
BOSSES = f"""dn: cn=bosses,{GROUPS}
objectClass: posixGroup
cn: bosses
gidNumber: 500
memberUid: alice

"""


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    people = (
        *(Person(f"user{number}", number) for number in range(2000, 2000 + MANY)),
        Person("alice", 1000, "wonder land"),
        Person("bob", 1001, "the builder"),
    )
    with running(tmp_path / "slapd", people, BOSSES) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, slapd: Slapd) -> Iterator[Site]:
    extra: dict[str, dict[str, object]] = {
        "ClusterManager": {"data": "tashi.clustermanager.data.LdapOverride"},
        "Security": {"passwordTable": tmp_path / "passwords"},
        "LdapOverride": {
            "baseData": "tashi.clustermanager.data.FromConfig",
            "uri": slapd.tls_uri,
            "caFile": slapd.ca_file,
            "bindDn": ADMIN,
            "bindPassword": PASSWORD,
            "base": PEOPLE,
            "nameKey": "uid",
            "idKey": "uidNumber",
            "adminGroup": f"cn=bosses,{GROUPS}",
            "timeout": TIMEOUT_SECONDS,
            "rememberLogins": 3600,
        },
        "FromConfig": {"user0": "User(name='root')", "user77": "User(name='robot')"},
    }
    site = Site(tmp_path / "site", Shape(vmm=SIMULATED, hosts=1, secure=True, extra=extra))
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


def refused_for_its_user(calls: Calls) -> type[TashiError]:
    """Ask after somebody who is not known until that is more than a list of just now can say."""
    deadline = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            calls.call("addReservation", ReservationForm, host_id=1, user_id=MANY * 2)
        except NoSuchUser:
            assert monotonic() < deadline, "The directory is not asked."
        except TashiError as error:
            return type(error)


def timed_users(calls: Calls) -> tuple[int, float]:
    """How many users there are, and how long it took to be told."""
    began = monotonic()
    many = len(calls.call("getUsers", tuple[UserForm, ...]))
    return many, monotonic() - began


def visitor(site: Site, folder: Path, name: str, password: str) -> dict[str, str]:
    file = secret(folder.with_suffix(".password"), password)
    return elsewhere(site, folder, username=name, passwordFile=file)


def test_everybody_behind_the_page_limit_is_seen_and_groups_have_effect(
    site: Site, tmp_path: Path
) -> None:
    alice = visitor(site, tmp_path / "alice", "alice", "wonder land")
    bob = visitor(site, tmp_path / "bob", "bob", "the builder")
    bobs = visitor(site, tmp_path / "bobs", "bob", "wonder land")

    users = site.run("client", "getUsers", "--output", "json", **bob)
    added = site.run("admin", "addHost", "--host", "rack9", **alice)
    refused = site.run("admin", "addHost", "--host", "rack8", **bob)
    guessed = site.run("client", "getHosts", **bobs)

    assert MANY > PAGE_LIMIT
    assert users.returncode == 0, users.stderr + site.story()
    assert len(json.loads(users.stdout)) == EVERYBODY
    assert added.returncode == 0, added.stderr
    assert refused.stderr.endswith("addHost is for administrators; you are user 1001 (bob).\n")
    assert guessed.stderr == "tashi-client: The name or the password is not right.\n"
    assert "user 1000 (alice), known by a password, from" in site.manager.log.read_text()


def test_a_configured_user_beside_the_directory_logs_in_by_a_password_of_tashis_own(
    site: Site, tmp_path: Path
) -> None:
    robot = visitor(site, tmp_path / "robot", "robot", "three laws")
    refused = site.run("client", "getHosts", **robot)

    site.calls.call("setPassword", UserForm, user_id=77, password="three laws")
    let_in = site.run("client", "getHosts", **robot)

    assert refused.stderr == "tashi-client: The name or the password is not right.\n"
    assert let_in.returncode == 0, let_in.stderr + site.story()


def test_while_the_directory_is_away_who_has_logged_in_before_may_do_so_again(
    site: Site, slapd: Slapd, tmp_path: Path
) -> None:
    first = site.run("client", "getHosts", **visitor(site, tmp_path / "a", "alice", "wonder land"))
    assert first.returncode == 0, first.stderr + site.story()
    slapd.kill()

    again = site.run("client", "getHosts", **visitor(site, tmp_path / "b", "alice", "wonder land"))
    wrong = site.run("client", "getHosts", **visitor(site, tmp_path / "c", "alice", "wunderland"))
    other = site.run("client", "getHosts", **visitor(site, tmp_path / "d", "bob", "the builder"))

    assert again.returncode == 0, again.stderr + site.story()
    for one in (wrong, other):
        assert one.returncode == 3
        assert one.stderr.startswith("tashi-client: The LDAP server")
        assert len(one.stderr.splitlines()) == 1


def test_while_the_directory_hangs_nobody_waits_who_is_known_already(
    site: Site, slapd: Slapd, tmp_path: Path
) -> None:
    alice = visitor(site, tmp_path / "alice", "alice", "wonder land")
    assert site.run("client", "getHosts", **alice).returncode == 0
    slapd.freeze()
    try:
        with ExitStack() as stack:
            links = [stack.enter_context(site.another_link()) for _ in range(WAITING + 1)]
            calls, *others = map(site.calls_of, links)
            waiting = stack.enter_context(ThreadPoolExecutor(WAITING))
            refused = [waiting.submit(refused_for_its_user, one) for one in others]
            asked = [timed_users(calls) for _ in range(20)]
            answers = {one.result(PATIENCE_SECONDS) for one in refused}
        kept = site.run("client", "getHosts", **alice)
        bob = visitor(site, tmp_path / "bob", "bob", "the builder")
        hung = site.run("client", "getHosts", **bob)
    finally:
        slapd.thaw()

    assert [many for many, _ in asked] == [EVERYBODY] * 20
    assert median(took for _, took in asked) < QUICK_SECONDS
    assert answers == {DirectoryFailed}
    assert kept.returncode == 0, kept.stderr
    assert hung.returncode == 3
    assert hung.stderr.startswith("tashi-client: The LDAP server")
    site.until(lambda now: now.hosts[0].up, PATIENCE_SECONDS)
