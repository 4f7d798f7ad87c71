"""The set-up guide's own files load unchanged and mean what they meant."""

from pathlib import Path

import pytest

from tashi.settings.addresses import Address, AddressRange
from tashi.settings.load import check, load
from tashi.settings.search import Program
from tashi.settings.sections.client import ClientSettings
from tashi.settings.sections.clustermanager import ClusterManagerParts, ClusterManagerSettings
from tashi.settings.sections.dhcpdns import DhcpDnsSettings
from tashi.settings.sections.images import VfsSettings
from tashi.settings.sections.nodemanager import NodeManagerSettings
from tashi.settings.sections.qemu import QemuSettings
from tashi.settings.sections.scheduler import PrimitiveSettings

ENVIRONMENT = {"TASHI_CONFIG_DIRS": str(Path(__file__).parent / "guide")}


@pytest.mark.parametrize("program", Program)
def test_the_guides_files_have_no_mistake_for_any_program(program: Program) -> None:
    settings = load(program, ENVIRONMENT)

    assert settings.files[0].name == "Tashi.cfg"


def test_the_guides_files_satisfy_a_check_of_the_whole_configuration() -> None:
    found = check(ENVIRONMENT)

    assert found.mistakes == []
    assert [warning.split(": ", 2)[1] for warning in found.warnings] == [
        "[Qemu] useMigrateArgument is ignored"
    ]


def test_the_guides_tashi_cfg_means_what_it_says() -> None:
    settings = load(Program.CLUSTER_MANAGER, ENVIRONMENT)

    assert settings.of(ClusterManagerParts).data == "tashi.clustermanager.data.LdapOverride"
    assert settings.of(ClusterManagerSettings).allow_decayed == 60.0
    assert settings.of(ClusterManagerSettings).allow_mismatched_versions is True
    assert settings.of(ClientSettings).cluster_managers == (("merkabah", 9882),)
    assert settings.of(NodeManagerSettings).cluster_managers == (("merkabah", 9882),)
    assert settings.of(NodeManagerSettings).stats_interval == 15.0
    assert settings.of(VfsSettings).prefix == Path("/mnt/merkabah/tashi")
    assert settings.of(QemuSettings).migrate_timeout == 3600.0
    assert settings.of(PrimitiveSettings).hooks == {1: "tashi.agents.DhcpDns"}
    assert settings.of(PrimitiveSettings).dense_pack is True


def test_the_guides_agent_cfg_is_for_the_scheduler_only() -> None:
    scheduler = load(Program.AGENT, ENVIRONMENT).of(DhcpDnsSettings)
    manager = load(Program.CLUSTER_MANAGER, ENVIRONMENT).of(DhcpDnsSettings)

    assert scheduler.dns_server == Address("127.0.0.1", 53)
    assert scheduler.dhcp_server == Address("127.0.0.1", 7911)
    assert scheduler.dns_key_file == Path(
        "/root/cluster-admin/scripts/Kmerkabah.+157+36480.private"
    )
    assert scheduler.dns_domain == "bigdata.research.intel-research.net"
    assert scheduler.dhcp_secret_key == "ABcdEf12GhIJKLmnOpQrsT=="
    assert scheduler.ip_ranges == {
        999: AddressRange("172.16.0.10", "172.16.3.250"),
        1001: AddressRange("172.17.0.10", "172.17.3.250"),
    }
    assert manager == DhcpDnsSettings()


def test_the_guides_logging_sections_set_up_three_handlers() -> None:
    configuration = load(Program.NODE_MANAGER, ENVIRONMENT).logging()

    assert configuration["root"] == {
        "level": "INFO",
        "handlers": ["consoleHandler", "publisherHandler", "fileHandler"],
    }
    assert configuration["handlers"] == {
        "consoleHandler": {
            "class": "logging.StreamHandler",
            "level": "NOTSET",
            "formatter": "standardFormatter",
            "stream": "ext://sys.stderr",
        },
        "publisherHandler": {
            "class": "tashi.programs.loglines.Publisher",
            "level": "NOTSET",
            "formatter": "standardFormatter",
        },
        "fileHandler": {
            "class": "logging.handlers.WatchedFileHandler",
            "level": "NOTSET",
            "formatter": "standardFormatter",
            "filename": "/var/log/tashi.log",
        },
    }
