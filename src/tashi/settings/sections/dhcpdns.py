"""The site's DNS and DHCP servers, which the DhcpDns hook tells of guests."""

from collections.abc import Mapping
from pathlib import Path

from tashi.settings import kinds
from tashi.settings.addresses import (
    Address,
    AddressRange,
    address,
    address_range,
    addresses,
    gateway,
)
from tashi.settings.declare import family, section, setting

_ALGORITHMS = (
    "hmac-md5", "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512",
)  # fmt: skip
_FROM_CLIENT = "the hook asks the cluster manager that [Client] names"


@section(
    "DhcpDns",
    obsolete={"clustermanagerhost": _FROM_CLIENT, "clustermanagerport": _FROM_CLIENT},
)
class DhcpDnsSettings:
    """Names and addresses of guests in the site's DNS and DHCP."""

    dns_enabled: bool = setting(
        "dnsEnabled", kinds.flag, default=True, words="Whether guests are entered into DNS."
    )
    dns_key_file: Path | None = setting(
        "dnsKeyFile",
        kinds.path,
        default=None,
        words="""The file with the key that DNS updates are signed with: what tsig-keygen prints, or
        an old K<name>.+157+NNNNN.private.""",
    )
    dns_key_name: str | None = setting(
        "dnsKeyName", kinds.text, default=None, words="The key's name, when there is no dnsKeyFile."
    )
    dns_secret_key: str | None = setting(
        "dnsSecretKey",
        kinds.secret,
        default=None,
        words="The key itself, when there is no dnsKeyFile.",
    )
    dns_key_algorithm: str = setting(
        "dnsKeyAlgorithm",
        kinds.choice(*_ALGORITHMS),
        default="hmac-md5",
        words="The algorithm of dnsSecretKey; a dnsKeyFile says its own.",
    )
    dns_server: Address | None = setting(
        "dnsServer", address(53), default=None, words="The DNS server that takes updates."
    )
    dns_domain: str | None = setting(
        "dnsDomain", kinds.hostname, default=None, words="The domain that guests' names are in."
    )
    dns_expire: int = setting(
        "dnsExpire",
        kinds.count,
        default=60,
        words="Seconds for which others may remember an entry.",
    )
    reverse_dns: bool = setting(
        "reverseDns", kinds.flag, default=True, words="Whether addresses are entered as well (PTR)."
    )
    dhcp_enabled: bool = setting(
        "dhcpEnabled", kinds.flag, default=True, words="Whether guests are entered into DHCP."
    )
    dhcp_server: Address | None = setting(
        "dhcpServer", address(7911), default=None, words="The DHCP server's OMAPI address."
    )
    dhcp_key_name: str | None = setting(
        "dhcpKeyName", kinds.text, default=None, words="The name of the OMAPI key."
    )
    dhcp_secret_key: str | None = setting(
        "dhcpSecretKey", kinds.secret, default=None, words="The OMAPI key itself."
    )
    dhcp_key_algorithm: str = setting(
        "dhcpKeyAlgorithm",
        kinds.choice(*_ALGORITHMS),
        default="hmac-md5",
        words="The algorithm of dhcpSecretKey.",
    )
    dhcp_leases_file: Path | None = setting(
        "dhcpLeasesFile",
        kinds.path,
        default=None,
        words="""dhcpd's file of leases, such as /var/lib/dhcp/dhcpd.leases, where dhcpd runs on
        this machine: checkDhcpDns finds there what is left over, which OMAPI lists to nobody.""",
    )
    dhcp_hosts_dir: Path | None = setting(
        "dhcpHostsDir",
        kinds.path,
        default=None,
        words="""The folder that dnsmasq reads hosts from (its --dhcp-hostsdir). With it, dnsmasq is
        told of guests, and dhcpServer is not asked.""",
    )
    dhcp_pid_file: Path | None = setting(
        "dhcpPidFile",
        kinds.path,
        default=None,
        words="The file with dnsmasq's process id (its --pid-file); needed with dhcpHostsDir.",
    )
    server_timeout: float = setting(
        "serverTimeout",
        kinds.seconds,
        default=5.0,
        words="Seconds after which a DNS or DHCP server that does not answer counts as away.",
    )
    start_without_names: bool = setting(
        "startWithoutNames",
        kinds.flag,
        default=False,
        words="""Whether an instance starts although a server is away or refuses it. Otherwise it
        waits until its name and address are entered. What is missing is entered later.""",
    )
    ip_ranges: Mapping[int, AddressRange] = family(
        "ipRange",
        address_range,
        default={},
        words="""The addresses that guests on that network may be given, such as
        ipRange999 = 172.16.0.10-172.16.3.250.""",
    )
    ip_networks: Mapping[int, str] = family(
        "ipNetwork",
        gateway,
        default={},
        words="""The gateway of that network with the length of its prefix, such as
        ipNetwork999 = 172.16.0.1/22. The gateway's own address, and those that mean the network
        and everybody on it, are kept out of the range.""",
    )
    ip_reserved: Mapping[int, tuple[AddressRange, ...]] = family(
        "ipReserved",
        kinds.several(addresses),
        default={},
        words="""Addresses that are kept out of the range of that network, such as
        ipReserved999 = 172.16.0.53, 172.16.1.0-172.16.1.9.""",
    )
