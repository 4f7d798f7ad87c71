"""Two cluster managers on one database: one leads, and the other takes over when it has to."""

import json
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from databases import Server, galera
from slapd import ADMIN, PASSWORD, PEOPLE, Person, running
from system import take_overs
from system.books import SQL
from system.shared_books import DATABASE, Manager, SharedSite
from system.sites import PATIENCE_SECONDS, SIMULATED, Shape
from system.take_overs import IMAGE
from system.visitors import elsewhere, secret
from tashi.domain.states import InstanceState

SEED = 20_262
ALLOWANCE_SECONDS = PATIENCE_SECONDS
"""By how much a take-over may be late here, where other tests take the processors: it is timed by
hand."""
NOTHING = Shape(vmm=SIMULATED, hosts=0)


@contextmanager
def a_site(folder: Path, server: Server) -> Iterator[SharedSite]:
    """A site of two cluster managers and nothing else, which is ended with the block."""
    site = SharedSite(folder, NOTHING, server)
    try:
        yield site
    finally:
        left = site.end()
    assert not left


@pytest.fixture
def site(short_path: Path, mariadb: Server) -> Iterator[SharedSite]:
    with a_site(short_path, mariadb) as site:
        yield site


@pytest.fixture
def pair(site: SharedSite) -> tuple[Manager, Manager]:
    return begun(site)


def begun(site: SharedSite) -> tuple[Manager, Manager]:
    """The two, of which the first leads and knows a network."""
    leader, standby = site.managers
    leader.daemon.start()
    site.leads(leader)
    site.add_network(leader, 7, "office")
    standby.daemon.start()
    site.stands_by(standby)
    return leader, standby


def test_two_that_start_at_once_on_an_empty_database_both_come_up(
    short_path: Path, mariadb: Server
) -> None:
    mariadb.do(f"DROP DATABASE IF EXISTS {DATABASE}")
    with a_site(short_path, mariadb) as site:
        for one in site.managers:
            one.daemon.start()

        leader = site.someone_leads()

        [other] = [one for one in site.managers if one is not leader]
        site.stands_by(other)


def test_who_stands_by_says_who_leads(site: SharedSite, pair: tuple[Manager, Manager]) -> None:
    leader, standby = pair

    words = site.refusal(standby)

    assert words == f"This cluster manager stands by: the one at {leader.address} leads."
    assert f"Standing by: the one at {leader.address} leads." in standby.daemon.log.read_text()


def test_a_leader_that_is_killed_is_succeeded_and_stands_by_when_it_is_back(
    site: SharedSite, pair: tuple[Manager, Manager]
) -> None:
    leader, standby = pair

    leader.daemon.kill()
    site.leads(standby)
    leader.daemon.start()
    site.stands_by(leader)

    assert "office" in (site.networks(standby) or ())
    assert standby.address in site.refusal(leader)


def test_a_leader_that_ends_in_order_is_succeeded_at_once(
    site: SharedSite, pair: tuple[Manager, Manager]
) -> None:
    leader, standby = pair

    assert leader.daemon.stop() == 0
    site.leads(standby)

    assert "has fallen silent" not in standby.daemon.log.read_text()


def test_a_second_one_in_the_place_of_a_first_is_refused_so_that_nmd_tries_again(
    site: SharedSite, pair: tuple[Manager, Manager]
) -> None:
    codes = []
    for one in pair:
        second = one.daemon.another()
        second.start()
        codes.append(second.ended())

        assert f"127.0.0.1:{one.port}: another program uses that port" in second.log.read_text()

    assert codes == [1, 1]


def test_a_leader_that_was_frozen_tells_and_writes_nothing_afterwards_and_ends(
    site: SharedSite, pair: tuple[Manager, Manager]
) -> None:
    leader, standby = pair
    leader.daemon.freeze()
    site.leads(standby)
    site.add_network(standby, 8, "lab")

    leader.daemon.thaw()
    told = site.networks(leader)
    code = leader.daemon.ended()

    assert told is None
    assert code == 3
    assert f"belong to another cluster manager now ({standby.address})" in (
        leader.daemon.log.read_text()
    )
    assert {"office", "lab"} <= (site.networks(standby) or set())


def test_a_leader_that_is_cut_off_from_the_database_answers_nobody_and_is_succeeded(
    site: SharedSite, pair: tuple[Manager, Manager]
) -> None:
    leader, standby = pair

    leader.line.will("SILENCE")
    site.leads(standby)
    told = site.networks(leader)
    words = site.refusal(leader)
    leader.line.will("SPEAK")

    assert told is None
    assert "could commit nothing for" in words
    assert leader.daemon.ended() == 3


@pytest.fixture
def own_server(mariadb_template: Path, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.install(mariadb_template)
    server.start()
    yield server
    server.stop()


def test_a_database_that_comes_back_finds_one_leader_and_all_that_was_acknowledged(
    short_path: Path, own_server: Server
) -> None:
    with a_site(short_path, own_server) as site:
        leader, standby = begun(site)
        own_server.signal(signal.SIGSTOP)
        site.stands_by(leader)

        own_server.kill()
        own_server.start()
        site.someone_leads()

        leading = [one for one in (leader, standby) if "office" in (site.networks(one) or ())]
        assert len(leading) == 1


def test_leaders_that_die_freeze_and_are_cut_off_under_load_lose_nothing_and_start_nothing_twice(
    short_path: Path, mariadb: Server
) -> None:
    site = take_overs.a_site(short_path, mariadb)
    blows = tuple(
        blow for blow in take_overs.BLOWS if blow != take_overs.FROZEN_IN_TRANSACTION
    )  # which those at nodes of one cluster meet with
    try:
        report = take_overs.Ordeal(site, random.Random(SEED), ALLOWANCE_SECONDS).go_through(blows)
    finally:
        left = site.end()

    assert not report.broken, f"{report.story}\n{report}"
    assert report.told.destroyed
    assert report.starts > len(blows)
    assert not left


def test_leaders_at_nodes_of_one_cluster_that_freeze_or_lose_theirs_lose_nothing(
    short_path: Path, mariadb_template: Path
) -> None:
    blows = (take_overs.FROZEN_IN_TRANSACTION, take_overs.NODE_KILLED)
    draws = random.Random(SEED)
    with galera(mariadb_template) as nodes:
        site = take_overs.a_site(short_path, *nodes)
        try:
            report = take_overs.Ordeal(site, draws, ALLOWANCE_SECONDS).go_through(blows)
        finally:
            left = site.end()

    assert not report.broken, f"{report.story}\n{report}"
    assert report.told.destroyed
    assert not left


class AlicesSite(SharedSite):
    """One whose books know of no root: no directory may name one."""

    who = "alice"


@pytest.fixture
def guarded(short_path: Path, mariadb: Server) -> Iterator[tuple[SharedSite, dict[str, str]]]:
    """A site that proves everybody, with its people in LDAP, and the environment of one of them."""
    with running(short_path / "slapd", [Person("alice", 1000, "wonder land")]) as slapd:
        extra: dict[str, dict[str, object]] = {
            "ClusterManager": {"data": "tashi.clustermanager.data.LdapOverride"},
            "LdapOverride": {
                "baseData": SQL,
                "uri": slapd.tls_uri,
                "caFile": slapd.ca_file,
                "bindDn": ADMIN,
                "bindPassword": PASSWORD,
                "base": PEOPLE,
                "nameKey": "uid",
                "idKey": "uidNumber",
            },
        }
        shape = Shape(vmm=SIMULATED, hosts=2, secure=True, extra=extra)
        site = AlicesSite(short_path / "site", shape, mariadb)
        site.add_image(IMAGE)
        file = secret(short_path / "password", "wonder land")
        try:
            site.start()
            yield site, elsewhere(site, short_path / "alice", username="alice", passwordFile=file)
        finally:
            left = site.end()
        assert not left


def test_people_of_a_directory_go_on_by_the_same_command_when_their_leader_has_died(
    guarded: tuple[SharedSite, dict[str, str]],
) -> None:
    site, alice = guarded
    new = ("createVm", "--disks", IMAGE, "--memory", "16", "--wait", "--name")
    before = site.run("client", *new, "web", **alice)
    leader = site.someone_leads()
    [heir] = [one for one in site.managers if one is not leader]

    leader.daemon.kill()
    after = site.run("client", *new, "db", **alice)
    site.leads(heir)

    assert (before.returncode, after.returncode) == (0, 0), f"{before}{after}{site.story()}"
    now = site.until(lambda now: sum(host.up for host in now.hosts) == site.shape.hosts)
    there = {(one.name, one.user_id, one.state) for one in now.instances}
    assert there == {("web", 1000, InstanceState.RUNNING), ("db", 1000, InstanceState.RUNNING)}
    assert "user 1000 (alice), known by a password, from" in heir.daemon.log.read_text()


def test_administrators_see_who_leads(site: SharedSite, pair: tuple[Manager, Manager]) -> None:
    leader, standby = pair

    ended = site.run("admin", "getClusterManagers", "--output", "json")

    found = {row["address"]: row["state"] for row in json.loads(ended.stdout)}
    assert found == {leader.address: "Leads", standby.address: "StandsBy"}


def test_sigusr1_disturbs_neither_of_them_and_sigterm_ends_both(
    site: SharedSite, pair: tuple[Manager, Manager]
) -> None:
    leader, standby = pair

    for one in pair:
        os.kill(one.daemon.pid, signal.SIGUSR1)
        site.says(one, "The log says everything")
    site.add_network(leader, 8, "lab")
    codes = [leader.daemon.stop()]
    site.leads(standby)
    leader.daemon.start()
    site.stands_by(leader)
    codes += [leader.daemon.stop(), standby.daemon.stop()]

    assert codes == [0, 0, 0]
