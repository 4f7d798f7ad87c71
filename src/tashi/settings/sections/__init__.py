"""The sections that may stand in a configuration file: which there are, and who reads them.

One module a topic holds the declarations; this catalogue imports a module only when one of its
sections is asked for, because making dataclasses costs time that a client's start has not got.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Final, cast

from tashi.settings.declare import Section, describe
from tashi.settings.search import Program

CATALOGUE: Final[Mapping[str, str]] = {
    "Security": "security.SecuritySettings",
    "AccessClusterManager": "security.AccessClusterManagerSettings",
    "Client": "client.ClientSettings",
    "ClusterManager": "clustermanager.ClusterManagerParts",
    "ClusterManagerService": "clustermanager.ClusterManagerSettings",
    "Pickled": "stores.PickledSettings",
    "SQL": "stores.SqlSettings",
    "FromConfig": "users.FromConfigSettings",
    "GetentOverride": "users.GetentSettings",
    "LdapOverride": "ldap.LdapSettings",
    "Vfs": "images.VfsSettings",
    "NodeManager": "nodemanager.NodeManagerParts",
    "NodeManagerService": "nodemanager.NodeManagerSettings",
    "Qemu": "qemu.QemuSettings",
    "Libvirt": "libvirt.LibvirtSettings",
    "UserNetwork": "qemu.UserNetworkSettings",
    "Bridges": "bridges.BridgesSettings",
    "Supervisor": "supervisor.SupervisorSettings",
    "Agent": "scheduler.AgentParts",
    "Primitive": "scheduler.PrimitiveSettings",
    "DhcpDns": "dhcpdns.DhcpDnsSettings",
    "Accounting": "accounting.AccountingParts",
    "AccountingService": "accounting.AccountingSettings",
    "Webhooks": "accounting.WebhookSettings",
    "Metrics": "metrics.MetricsSettings",
    "GangliaPublisher": "metrics.GangliaSettings",
}
"""Every declared section, and the module and class that declare it; pages keep this order."""

USED_BY: Final[Mapping[Program, tuple[str, ...]]] = {
    Program.CLUSTER_MANAGER: (
        "Security",
        "ClusterManager",
        "ClusterManagerService",
        "Pickled",
        "SQL",
        "FromConfig",
        "GetentOverride",
        "LdapOverride",
        "Vfs",
        "Supervisor",
        "Metrics",
        "GangliaPublisher",
    ),
    Program.NODE_MANAGER: (
        "Security",
        "Vfs",
        "NodeManager",
        "NodeManagerService",
        "Qemu",
        "Libvirt",
        "UserNetwork",
        "Bridges",
        "Supervisor",
        "Metrics",
        "GangliaPublisher",
    ),
    Program.CLIENT: ("Security", "AccessClusterManager", "Client"),
    Program.AGENT: (
        "Security",
        "Client",
        "ClusterManagerService",
        "Agent",
        "Primitive",
        "DhcpDns",
        "Supervisor",
        "Metrics",
        "GangliaPublisher",
    ),
    Program.ACCOUNTING: (
        "Security",
        "Client",
        "Accounting",
        "AccountingService",
        "Webhooks",
        "SQL",
        "Supervisor",
        "Metrics",
        "GangliaPublisher",
    ),
}

_BY_CERTIFICATE: Final = (
    "daemons show each other certificates, which tashi-admin issueCertificate makes, where "
    "authAndEncrypt is True"
)

OBSOLETE: Final[Mapping[str, str]] = {
    "AccessNodeManager": _BY_CERTIFICATE,
    "AllowedUsers": _BY_CERTIFICATE,
    "XenPV": "Xen is not driven any more; the node manager's vmm is Qemu",
    "MauiWiki": "the scheduler is the one that [Primitive] describes",
    "LocalityService": "Tashi measures no distances between hosts",
    "MessageBroker": "logs and metrics need no broker",
    "AWS": "Tashi has no EC2 interface",
}
"""Sections of Apache Tashi that are accepted without effect, and why."""

LOGGING_LISTS: Final = ("loggers", "handlers", "formatters")
"""The sections that list what logging.config sets up, each thing in a section of its own."""


def named(name: str) -> Section[object]:
    """Give the declaration of a section of the catalogue."""
    module, made = CATALOGUE[name].split(".")
    declared = getattr(import_module(f"{__name__}.{module}"), made)
    return describe(cast("type[object]", declared))


def is_logging(name: str) -> bool:
    """Whether a section is one of those that logging.config knows."""
    return name in LOGGING_LISTS or name.startswith(("logger_", "handler_", "formatter_"))
