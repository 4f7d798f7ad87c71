"""A cluster with authAndEncrypt: everything as ever, and nothing for who proves nothing."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from system.books import Place
from system.sites import SIMULATED, Shape, Site
from tashi.adapters.rpyc.calling import Secrets
from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.peers import Link
from tashi.domain.errors import NotLoggedIn, NotPermitted, PeerSilent
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import InstanceState as S
from tashi.wire.calls import to_cluster_manager, to_node_manager
from tashi.wire.forms import HostForm, InstanceForm

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, books: Place) -> Iterator[Site]:
    site = Site(
        tmp_path_factory.mktemp("secure"), Shape(vmm=SIMULATED, hosts=2, secure=True, books=books)
    )
    site.add_image("idle.img")
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


def calling(site: Site, papers: Path, who: Caller) -> "closing[Link]":
    secrets = Secrets(Papers(papers), "clustermanager")
    return closing(Link((site.address, site.port), secrets=secrets))


@pytest.mark.every_store
def test_instances_come_and_go(site: Site) -> None:
    made = site.run("client", "createVm", "--name", "web", "--disks", "idle.img", "--memory", "32")
    assert made.returncode == 0, made.stderr + site.story()
    site.until(lambda now: any(one.state is S.RUNNING for one in now.instances))

    ended = site.run("client", "destroyVm", "--instance", "web", "--wait")

    assert ended.returncode == 0, ended.stderr
    site.until(lambda now: not now.instances)


def test_who_shows_nothing_may_do_nothing_whoever_they_say_they_are(site: Site) -> None:
    for said in (Caller(Role.ADMIN, UserId(0)), Caller(Role.NODE), Caller(Role.USER, UserId(0))):
        with calling(site, site.folder / "pki", said) as link:
            calls = to_cluster_manager(link, said)
            with pytest.raises(NotLoggedIn):
                calls.call("getInstances", tuple[InstanceForm, ...])


def test_a_node_does_not_call_as_an_administrator(site: Site) -> None:
    node = site.folder / "n1/pki/nodemanager"
    admin = Caller(Role.ADMIN, UserId(0))
    with calling(site, node, admin) as link, pytest.raises(NotPermitted):
        to_cluster_manager(link, admin).call("delHost", HostForm, host_id=1)


def test_only_the_cluster_manager_orders_a_node(site: Site) -> None:
    host = site.now().hosts[0]
    assert host.port is not None
    secrets = Secrets(Papers(site.folder / "home/.tashi/pki"), "nodemanager")
    with closing(Link((site.address, host.port), secrets=secrets)) as link:
        calls = to_node_manager(link, Caller(Role.CLUSTER_MANAGER))
        with pytest.raises((NotPermitted, NotLoggedIn)):
            calls.call("stopVnc", bool, instance_id=1, attempt=1)


def test_a_client_without_tls_gets_one_sentence(site: Site) -> None:
    with closing(Link((site.address, site.port))) as link, pytest.raises(PeerSilent):
        to_cluster_manager(link, Caller(Role.USER, UserId(os.getuid()))).call(
            "getHosts", tuple[HostForm, ...]
        )

    assert "it does not speak TLS" in site.manager.log.read_text()


def test_the_clients_words_without_an_authority_name_the_remedy(site: Site, tmp_path: Path) -> None:
    ended = site.run(
        "client", "getHosts", HOME=str(tmp_path), TASHI_CONFIG_DIRS=str(_elsewhere(site, tmp_path))
    )

    assert ended.returncode == 2
    assert "tashi-admin initPki" in ended.stderr
    assert "Traceback" not in ended.stderr


def _elsewhere(site: Site, folder: Path) -> Path:
    text = (site.configuration / "Tashi.cfg").read_text()
    (folder / "Tashi.cfg").write_text(text.replace(str(site.folder / "pki"), str(folder / "pki")))
    return folder


def test_certificates_are_made_on_the_command_line(site: Site, tmp_path: Path) -> None:
    folders = {"TASHI_CONFIG_DIRS": str(_elsewhere(site, tmp_path))}
    made = site.run("admin", "initPki", **folders)
    assert made.returncode == 0, made.stderr
    again = site.run("admin", "initPki", **folders)
    assert again.returncode == 1
    assert "exists: the cluster has its authority" in again.stderr

    issued = site.run(
        "admin", "issueCertificate", "--role", "nodemanager", "--name", "rack1",
        "--addresses", "10.0.0.11,rack1.example.org", "--days", "20", **folders,
    )  # fmt: skip
    assert issued.returncode == 0, issued.stderr
    renewed = site.run(
        "admin", "renewCertificate", "--folder", str(tmp_path / "pki/nodemanager"), **folders
    )
    assert "The certificate of the nodemanager rack1 is in" in renewed.stdout, renewed.stderr
