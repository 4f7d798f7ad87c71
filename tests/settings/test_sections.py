"""The declared sections: complete, consistent, and true to what Apache Tashi's files may say."""

import re
from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tashi.domain.errors import Misconfigured
from tashi.settings import declare, sections
from tashi.settings.declare import Section, Setting
from tashi.settings.kinds import Place
from tashi.settings.load import load
from tashi.settings.search import Program
from tashi.settings.sections.client import ClientSettings
from tashi.settings.sections.users import (
    ConfiguredHost,
    ConfiguredNetwork,
    ConfiguredUser,
    FromConfigSettings,
)

Configure = Callable[..., Mapping[str, str]]

DECLARED = [sections.named(name) for name in sections.CATALOGUE]
SETTINGS = [
    pytest.param(setting, id=f"{section.name}-{setting.key}")
    for section in DECLARED
    for setting in section.settings.values()
]

LEGACY = """
[Security]
authAndEncrypt = False
[AccessClusterManager]
username = a
password = b
[AccessNodeManager]
username =
password =
[AllowedUsers]
nodeManagerUser = a
nodeManagerPassword = a
agentUser = a
agentPassword = a
clusterManagerUser = a
clusterManagerPassword = a
[ClusterManager]
service = tashi.clustermanager.ClusterManagerService
data = tashi.clustermanager.data.FromConfig
dfs = tashi.dfs.Vfs
publisher = tashi.messaging.GangliaPublisher
nodeManagerPort = 9883
[ClusterManagerService]
host = localhost
convertExceptions = True
port = 9882
expireHostTime = 30.0
allowDecayed = 30.0
allowMismatchedVersions = False
maxMemory = 8192
maxCores = 8
defaultNetwork = 0
allowDuplicateNames = False
accountingHost = localhost
accountingPort = 2228
[GetentOverride]
baseData = tashi.clustermanager.data.Pickled
fetchThreshold = 60
getentFromLocalFile = False
getentLocalFile =
[LdapOverride]
baseData = tashi.clustermanager.data.SQL
fetchThreshold = 3600
nameKey = sAMAccountName
idKey = msSFU30UidNumber
ldapCommand = ldapsearch -x
[FromConfig]
host1 = Host(d={'id':1,'name':'node1','memory':1024,'cores':4,'up':False,'state':1})
network1 = Network(d={'id':1,'name':'default'})
user1 = User(d={'id':1,'name':'alice'})
machineType1 = MachineType()
hostlist =
[Pickled]
file = /var/tmp/cm.dat
[SQL]
uri = mysql://root@localhost/tashi
password = secret
[NodeManager]
dfs = tashi.dfs.Vfs
vmm = tashi.nodemanager.vmcontrol.Qemu
service = tashi.nodemanager.NodeManagerService
publisher = tashi.messaging.GangliaPublisher
[NodeManagerService]
convertExceptions = True
port = 9883
registerHost = False
registerFrequency = 10.0
clusterManagerHost = localhost
clusterManagerPort = 9882
statsInterval = 0.0
accountingHost =
accountingPort = 2228
[Qemu]
qemuBin = /usr/bin/kvm
infoDir = /var/tmp/VmControlQemu/
pollDelay = 1.0
migrationRetries = 10
monitorTimeout = 60.0
migrateTimeout = 300.0
maxParallelMigrations = 10
useMigrateArgument = False
statsInterval = 0.0
scratchDir = /tmp
scratchVg = vgscratch
suspendHandler = gzip
resumeHandler = zcat
reservedMem = 512
[XenPV]
vmNamePrefix = tashi
transientdir = /tmp
[Vfs]
prefix = /dfs
[Client]
clusterManagerHost = localhost
clusterManagerPort = 9882
clusterManagerTimeout = 5.0
[Agent]
publisher = tashi.messaging.GangliaPublisher
[Primitive]
hook1 = tashi.agents.DhcpDns
scheduleDelay = 2.0
densePack = False
[MauiWiki]
hook1 = tashi.agents.DhcpDns
refreshTime = 5
[DhcpDns]
dnsEnabled = True
dnsKeyName = a
dnsSecretKey = b
dnsServer = 127.0.0.1 53
dnsDomain = example.test
dnsExpire = 60
dhcpEnabled = True
dhcpServer = 127.0.0.1
dhcpKeyName = a
dhcpSecretKey = b
ipRange1 = 10.0.0.1-10.0.0.9
reverseDns = True
clustermanagerhost = localhost
clustermanagerport = 9886
[Accounting]
publisher = tashi.messaging.GangliaPublisher
service = tashi.accounting.AccountingService
hook1 = tashi.agents.DhcpDns
[AccountingService]
port = 2228
pollSleep = 600
[GangliaPublisher]
dmax = 60
retry = 3600
[LocalityService]
host = localhost
[MessageBroker]
host = localhost
[AWS]
awsfile = /var/lib/tashi-ec2/a
[handler_syslogHandler]
args = ('/dev/log')
"""


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_default_is_what_its_own_kind_reads(setting: Setting) -> None:
    if setting.default is not None:
        assert setting.kind.read(setting.kind.write(setting.default)) == setting.default
    assert setting.words.strip().endswith(".")


@pytest.mark.parametrize("section", DECLARED, ids=list(sections.CATALOGUE))
def test_a_section_is_found_under_its_own_name_and_has_words(section: Section[object]) -> None:
    assert sections.named(section.name) is section
    assert section.words.endswith(".")


@pytest.mark.parametrize("section", DECLARED, ids=list(sections.CATALOGUE))
def test_no_key_is_declared_twice(section: Section[object]) -> None:
    settings = list(section.settings.values())
    keys = [each.lower() for one in settings for each in (one.key, *one.formerly)]
    keys += [f"{family.key}<n>".lower() for family in section.families.values()]
    keys += [old.lower() for old in section.obsolete]

    assert len(keys) == len(set(keys))


def test_every_section_that_is_declared_is_in_the_catalogue() -> None:
    declared = {
        named
        for module in Path(sections.__file__).parent.glob("*.py")
        if module.stem != "logs"  # whose sections are Python's own
        for named in re.findall(r'^@section\(\s*"(\w+)"', module.read_text(), re.MULTILINE)
    }

    assert declared == set(sections.CATALOGUE)


def test_every_section_is_read_by_a_program() -> None:
    assert {name for names in sections.USED_BY.values() for name in names} == set(
        sections.CATALOGUE
    )
    assert set(sections.USED_BY) == set(Program)


def test_every_key_of_apache_tashi_is_accepted_and_obsolete_ones_warn(configure: Configure) -> None:
    settings = load(Program.CLUSTER_MANAGER, configure(LEGACY))

    warned = [warning.split(": ", 1)[1] for warning in settings.warnings]
    assert len(warned) == 28
    assert {warning.split(" is ignored")[0] for warning in warned} == {
        "[AWS]",
        "[AccessNodeManager]",
        "[Accounting] hook1",
        "[Accounting] service",
        "[AccountingService] pollSleep",
        "[AccountingService] port",
        "[AllowedUsers]",
        "[ClusterManager] service",
        "[ClusterManagerService] accountingHost",
        "[ClusterManagerService] accountingPort",
        "[ClusterManagerService] convertExceptions",
        "[DhcpDns] clustermanagerhost",
        "[DhcpDns] clustermanagerport",
        "[FromConfig] hostlist",
        "[FromConfig] machineType1",
        "[LocalityService]",
        "[MauiWiki]",
        "[MessageBroker]",
        "[NodeManager] service",
        "[NodeManagerService] accountingHost",
        "[NodeManagerService] accountingPort",
        "[NodeManagerService] convertExceptions",
        "[Primitive] scheduleDelay",
        "[Qemu] migrationRetries",
        "[Qemu] pollDelay",
        "[Qemu] scratchVg",
        "[Qemu] useMigrateArgument",
        "[XenPV]",
    }


def test_hosts_networks_and_users_may_stand_in_the_configuration(configure: Configure) -> None:
    environment = configure(
        "[FromConfig]\n"
        "host2 = Host(name='node2', memory=2048, cores=2, notes='old', reserved=[7, 8])\n"
        "host1 = Host(d={'id': 5, 'name': 'node1', 'memory': 1024, 'cores': 4, 'version': '1'})\n"
        "network999 = Network(name='cluster')\n"
        "user0 = User(id=0, name='root', passwd='x')\n"
    )

    section = load(Program.CLUSTER_MANAGER, environment).of(FromConfigSettings)

    assert section.hosts == {
        1: ConfiguredHost(5, "node1", 1024, 4, None, ()),
        2: ConfiguredHost(None, "node2", 2048, 2, "old", (7, 8)),
    }
    assert list(section.hosts) == [1, 2]
    assert section.networks == {999: ConfiguredNetwork(None, "cluster")}
    assert section.users == {0: ConfiguredUser(0, "root", "x", "user")}


def test_a_configured_user_may_be_more_than_a_user(configure: Configure) -> None:
    text = "[FromConfig]\nuser7 = User(name='ada', role='operator')\n"
    section = load(Program.CLUSTER_MANAGER, configure(text)).of(FromConfigSettings)

    assert section.users == {7: ConfiguredUser(None, "ada", None, "operator")}
    with pytest.raises(Misconfigured, match="role that is none of user, operator, admin"):
        load(Program.CLUSTER_MANAGER, configure(text.replace("operator", "king")))


@pytest.mark.parametrize(
    ("host", "wrong"),
    [
        ("name='a', memory=0, cores=1", "has less than 1 MiB of memory or less than 1 core"),
        (f"name='a', memory={10**16}, cores=1", "has more than 1000000000000000 MiB of memory"),
        ("name='a', memory=1, cores=1000001", "or 1000000 cores"),
        (f"id={2**64}, name='a', memory=1, cores=1", "has the id 18446744073709551616"),
        ("id=-1, name='a', memory=1, cores=1", "has the id -1, which is not from 0 to 4294967294"),
        (f"name='a', memory=1, cores=1, reserved=[{2**64}]", "has the id 18446744073709551616"),
        ("name='a b', memory=1, cores=1", "is not one word"),
        ("name='a', memory=1, cores=1, reserved=['bob']", "is reserved for something else"),
    ],
)
def test_a_host_that_cannot_be_is_refused(configure: Configure, host: str, wrong: str) -> None:
    with pytest.raises(Misconfigured, match=wrong):
        load(Program.CLUSTER_MANAGER, configure(f"[FromConfig]\nhost1 = Host({host})\n"))


def test_a_section_made_by_hand_has_the_defaults_and_cannot_be_changed() -> None:
    section = ClientSettings(cluster_manager_hosts=(Place("merkabah"),))

    assert section.cluster_manager_port == 9882
    with pytest.raises(FrozenInstanceError):
        section.cluster_manager_port = 1  # type: ignore[misc]


def test_a_section_never_prints_what_it_holds() -> None:
    assert "merkabah" not in repr(ClientSettings(cluster_manager_hosts=(Place("merkabah"),)))


def test_a_declaration_keeps_its_words_in_one_place() -> None:
    described = declare.describe(ClientSettings)

    assert described.settings["cluster_manager_hosts"].key == "clusterManagerHost"
    assert described.settings["cluster_manager_hosts"].variable == "TASHI_CM_HOST"


def test_the_example_file_loads_without_a_warning(checkout: Path, configure: Configure) -> None:
    example = (checkout / "etc" / "Tashi.cfg.example").read_text()

    assert load(Program.NODE_MANAGER, configure(example)).warnings == ()
