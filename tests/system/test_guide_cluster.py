"""The set-up guide's own Tashi.cfg and Agent.cfg make a cluster, with real servers of the site.

What differs is what differs between any two sites: host names, ports, paths and secrets. The site's
own lines stand in files that each program reads beside the guide's.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

import pytest

import boot_sectors
import dhcp_client
from dhcp_client import Lease
from namespaces import Namespace
from relay import Relay
from site_servers import CARD, OMAPI_PORT, Dhcpd, Named, SiteKey, Subnet, a_network
from slapd import PASSWORD, Person, Slapd, running
from system.sites import Shape, Site
from tashi.domain.states import InstanceState as S
from tashi.wire.forms import UserForm

pytestmark = pytest.mark.qemu

GUIDE = Path(__file__).parents[1] / "settings/guide"
DOMAIN = "bigdata.research.intel-research.net"
KEY = SiteKey("merkabah", "hmac-md5")
PUBLIC = Subnet(router="172.16.0.1/22")
EVERYWHERE = "0.0.0.0"
TRUSTED = {"Security": {"trustedNetworks": "127.0.0.0/8"}}
IDLE = ("--disks", "idle.img", "--memory", "32")
MANY = 5000


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    people = [Person("alice", 1000), *(Person(f"u{at}", 2000 + at) for at in range(MANY))]
    with running(tmp_path / "slapd", people) as server:
        yield server


class Servers(NamedTuple):
    """The guide's DNS and DHCP: what tells named the key, and a card on network 999."""

    named: Named
    key_file: Path
    omapi: Relay
    client: Namespace


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    networks = ("172.16", "172.17")
    with (
        a_network(PUBLIC.router) as (where, client),
        Named(tmp_path / "named", KEY, DOMAIN, networks) as named,
        Dhcpd(tmp_path / "dhcpd", where, KEY, (PUBLIC,), DOMAIN),
        Relay(where, OMAPI_PORT) as omapi,
    ):
        yield Servers(named, KEY.write_pair(tmp_path), omapi, client)


class GuideSite(Site):
    """A site whose Tashi.cfg is the guide's, and, where there are servers, its Agent.cfg."""

    def __init__(
        self,
        folder: Path,
        slapd: Slapd,
        security: Mapping[str, Mapping[str, object]] = TRUSTED,
        servers: Servers | None = None,
    ) -> None:
        site: dict[str, Mapping[str, object]] = {
            "ClusterManagerService": {"host": EVERYWHERE, "expireHostTime": 20},
            "handler_fileHandler": {"args": f"({str(folder / 'tashi.log')!r},)"},
        }
        super().__init__(folder, Shape(extra={**site, **security}))
        own = (self.configuration / "Tashi.cfg").read_text()
        for program in ("ClusterManager", "NodeManager", "AgentDefaults", "Client"):
            (self.configuration / f"{program}.cfg").write_text(own)
        self._adapt(
            "Tashi.cfg",
            ("-h ldap.example.test", f"-h localhost -p {slapd.port}"),
            ("clusterManagerHost = merkabah", "clusterManagerHost = 127.0.0.1"),
        )
        if servers is not None:
            self._adapt(
                "Agent.cfg",
                ("/root/cluster-admin/scripts/Kmerkabah.+157+36480.private", str(servers.key_file)),
                ("dnsServer = 127.0.0.1 53", f"dnsServer = 127.0.0.1 {servers.named.port}"),
                ("dhcpServer = 127.0.0.1", f"dhcpServer = 127.0.0.1 {servers.omapi.port}"),
                ("ABcdEf12GhIJKLmnOpQrsT==", KEY.secret),
            )

    def _adapt(self, name: str, *changes: tuple[str, str]) -> None:
        """Take a file of the guide's over, with what is otherwise on this machine."""
        text = (GUIDE / name).read_text()
        for said, here in changes:
            assert said in text
            text = text.replace(said, here)
        (self.configuration / name).write_text(text)

    def _settings(self) -> dict[str, dict[str, object]]:
        """The guide says itself where the books and the users are."""
        return {name: one for name, one in super()._settings().items() if name != "ClusterManager"}

    def names(self) -> dict[int, str]:
        """The users, as any client is told them."""
        return {one.id: one.name for one in self.calls.call("getUsers", tuple[UserForm, ...])}


@pytest.fixture
def site(short_path: Path, slapd: Slapd, servers: Servers) -> Iterator[GuideSite]:
    site = GuideSite(short_path, slapd, servers=servers)
    boot_sectors.idle(site.images / "idle.img")
    site.start()
    yield site
    for instance in site.instances():
        site.run("client", "destroyVm", "--instance", str(instance), "--wait")
    assert not site.end(), site.story()


def test_the_guides_cluster_runs_guests_of_users_from_ldap(site: GuideSite) -> None:
    made = site.run("client", "createVm", "--name", "web", "--userId", "alice", *IDLE, "--wait")

    (instance,) = site.instances().values()
    assert made.returncode == 0, made.stderr
    assert (instance.user_id, instance.state) == (1000, S.RUNNING)
    assert len(site.names()) == MANY + 1
    log = site.manager.log.read_text()
    assert "Qemu] useMigrateArgument is ignored: disks that are not shared" in log
    assert log.count("useMigrateArgument") == 1
    assert "without encryption; everybody in 127.0.0.0/8 is trusted." in log
    assert PASSWORD not in log


def test_the_guides_agent_gives_a_guest_its_address_and_its_name(
    site: GuideSite, servers: Servers
) -> None:
    site.run("admin", "addNetwork", "--id", "999", "--name", "public")
    made = site.run("client", "createVm", "--name", "web", *IDLE, "--nics", "999", "--wait")
    assert made.returncode == 0, made.stderr
    (instance,) = site.instances().values()
    (listing,) = instance.listings
    name = f"web.{DOMAIN}"

    there = servers.named.ask(name, "A"), servers.named.name_of(listing.ip)
    lease = dhcp_client.ask(servers.client, CARD, listing.mac)
    checked = site.run("admin", "checkDhcpDns")
    shown = site.run("client", "getInstances", "--show-nics")
    site.run("client", "destroyVm", "--instance", "web", "--wait")
    site.until(lambda now: not now.instances)

    assert listing.ip == "172.16.0.10"
    assert [(nic.mac, nic.ip) for nic in instance.nics] == [(listing.mac, listing.ip)]
    assert listing.ip in shown.stdout
    assert there == ([listing.ip], [f"{name}."])
    assert lease == Lease(listing.ip, "web")
    assert checked.returncode == 0, checked.stderr
    assert (servers.named.ask(name, "A"), servers.named.name_of(listing.ip)) == ([], [])
    assert dhcp_client.ask(servers.client, CARD, listing.mac, tries=1) is None


def test_users_stay_known_and_quick_to_get_while_slapd_hangs_or_is_away(
    site: GuideSite, slapd: Slapd
) -> None:
    before = site.names()
    slapd.freeze()
    site.manager.kill()
    site.manager.start()
    site.until(lambda _: True)  # it answers, though it has no list of users
    began = monotonic()
    asked = site.run("client", "getInstances", "--output", "json")
    took = monotonic() - began
    slapd.thaw()

    assert (asked.returncode, json.loads(asked.stdout)) == (0, [])
    assert took < 60
    _until_all_are_known(site)
    slapd.kill()
    assert site.names() == before
    slapd.start()
    assert site.names() == before


def test_users_of_a_list_that_is_too_old_stay_known_while_slapd_is_away(
    short_path: Path, slapd: Slapd
) -> None:
    soon: dict[str, Mapping[str, object]] = {**TRUSTED, "LdapOverride": {"fetchThreshold": 1}}
    site = GuideSite(short_path, slapd, security=soon)
    try:
        site.manager.start()
        site.until(lambda _: True)  # it answers
        _until_all_are_known(site)
        before = site.names()
        slapd.kill()

        deadline = monotonic() + 90
        while "The directory of users cannot be read; its list of" not in site.story():
            assert monotonic() < deadline, site.story()
            assert site.names() == before

        assert site.names() == before
    finally:
        left = site.end()
    assert not left


def test_off_loopback_the_guides_cluster_asks_for_trusted_networks(
    short_path: Path, slapd: Slapd
) -> None:
    site = GuideSite(short_path, slapd, security={})
    site.manager.start()

    code = site.manager.ended()

    said = site.manager.log.read_text()
    site.end()
    assert code == 2
    assert "trustedNetworks" in said


def test_without_its_host_the_guides_line_is_refused_with_what_is_missing(
    short_path: Path, slapd: Slapd
) -> None:
    site = GuideSite(short_path, slapd)
    file = site.configuration / "Tashi.cfg"
    file.write_text(file.read_text().replace(f"-h localhost -p {slapd.port}", "-h"))
    site.manager.start()

    code = site.manager.ended()

    said = site.manager.log.read_text()
    site.end()
    assert code == 2
    assert "[LdapOverride] names no server: write uri = ldaps://…, or the host behind -h" in said
    assert PASSWORD not in said


def _until_all_are_known(site: GuideSite) -> None:
    deadline = monotonic() + 90
    while len(site.names()) <= MANY:
        assert monotonic() < deadline, site.story()
        sleep(0.2)
