"""Certificates that end soon are renewed while everything goes on."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from databases import Server
from system.books import Place
from system.shared_books import SharedSite
from system.sites import PATIENCE_SECONDS, SIMULATED, Shape, Site
from tashi.adapters.pki import authority
from tashi.wire.forms import HostForm

pytestmark = pytest.mark.system

SOON_DAYS = 20


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest, books: Place) -> Iterator[Site]:
    """A site whose certificates end soon, and whose authority's key is there or is not."""
    site = Site(tmp_path, Shape(vmm=SIMULATED, secure=True, books=books))
    for folder in folders(site):
        authority.renew(tmp_path / "pki", folder, SOON_DAYS, datetime.now(UTC))
    if not request.param:
        (tmp_path / "pki/ca-key.pem").unlink()
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


def folders(site: Site) -> tuple[Path, ...]:
    """Where the daemons' certificates lie; the node's is on a machine without the authority."""
    pki = site.folder / "pki"
    return pki / "clustermanager", pki / "scheduler", site.folder / "n1/pki/nodemanager"


def days_left(folder: Path) -> float:
    lasts = authority.look(folder)
    assert lasts is not None
    return lasts.days(datetime.now(UTC))


def shown(site: Site) -> float:
    """For how many days the node's certificate is good, as anybody is told."""
    [host] = site.calls.call("getHosts", tuple[HostForm, ...])
    assert host.certificate_days is not None
    return host.certificate_days


@pytest.mark.parametrize("site", [True], indirect=True)
def test_every_daemon_has_its_certificate_renewed_and_is_still_believed(site: Site) -> None:
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until and min(map(days_left, folders(site))) < 300:
        site.now()

    assert min(map(days_left, folders(site))) > 300, site.story()
    assert not (site.folder / "n1/pki/ca-key.pem").exists()
    assert "The certificate of the nodemanager host1 is renewed." in site.manager.log.read_text()
    while monotonic() < until and shown(site) < 300:
        site.now()
    assert 364 < shown(site) < 365
    assert "certificate" not in site.run("client", "getHosts").stderr
    site.nodes[0].kill()
    site.nodes[0].start()
    site.until(lambda now: now.hosts[0].up and now.hosts[0].session > 1)
    site.nodes[0].kill()


@pytest.mark.parametrize("site", [False], indirect=True)
def test_one_that_ends_soon_and_cannot_be_renewed_is_told_of_where_hosts_are_listed(
    site: Site,
) -> None:
    listed = site.run("client", "getHosts", "--show-certificateDays")

    assert SOON_DAYS - 1 < shown(site) < SOON_DAYS
    assert f" {SOON_DAYS - 1}\n" in listed.stdout
    assert listed.stderr == (
        f"The certificate of host1 expires in {SOON_DAYS} days: the log of its node manager says "
        "why it is not new.\n"
    )
    assert "It was not renewed by itself: " in site.nodes[0].log.read_text()


@pytest.mark.parametrize("site", [True], indirect=True)
def test_people_are_told_by_every_call_that_their_own_ends_soon(site: Site) -> None:
    own = site.folder / "home/.tashi/pki"
    authority.renew(site.folder / "pki", own, SOON_DAYS, datetime.now(UTC))

    called = site.run("client", "getUsers")
    as_json = site.run("client", "getUsers", "--output", "json")
    uncalled = site.run("client", "getUsers", "--help")

    words = f"The certificate in {own} expires in {SOON_DAYS} days, on "
    assert words in called.stderr
    assert words in json.loads(as_json.stderr)["warning"]
    assert uncalled.stderr == ""


def test_a_standby_without_the_authoritys_key_has_the_leader_renew_its_certificate(
    short_path: Path, mariadb: Server
) -> None:
    site = SharedSite(short_path, Shape(vmm=SIMULATED, hosts=0, secure=True), mariadb)
    own = short_path / "cm2/pki/clustermanager"
    shutil.copytree(short_path / "pki/clustermanager", own)
    authority.renew(short_path / "pki", own, SOON_DAYS, datetime.now(UTC))
    with (short_path / "cm2/ClusterManager.cfg").open("a") as file:
        file.write(f"[Security]\npkiDir = {own.parent}\n")
    try:
        leader, standby = site.managers
        leader.daemon.start()
        site.leads(leader)

        standby.daemon.start()
        site.says(standby, f"The certificate in {own} is renewed, until ")
    finally:
        left = site.end()

    assert not left, site.story()
    assert days_left(own) > 300
    assert not (own.parent / "ca-key.pem").exists()
    assert "The certificate of the clustermanager localhost is renewed." in (
        leader.daemon.log.read_text()
    )
