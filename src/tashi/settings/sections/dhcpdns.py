"""The site's DNS and DHCP servers, which the DhcpDns hook tells of guests."""

from collections.abc import Mapping
from pathlib import Path

from tashi.settings import kinds
from tashi.settings.addresses import Address, AddressRange, address, address_range
from tashi.settings.declare import family, section, setting

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
        words="The private key file that DNS updates are signed with, K<name>.+157+NNNNN.private.",
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
    ip_ranges: Mapping[int, AddressRange] = family(
        "ipRange",
        address_range,
        default={},
        words="""The addresses that guests on that network may be given, such as
        ipRange999 = 172.16.0.10-172.16.3.250.""",
    )
