"""Kinds of value for the network's own servers: where one is, and which addresses are free to use.

Apart from `kinds` because only the scheduler reads them.
"""

from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Final

from tashi.settings.kinds import Kind, Unsuitable, hostname, port


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: a host's name or IP address, and its port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host} {self.port}"


def address(usual_port: int) -> Kind[Address]:
    """A server as the set-up guide writes it: a host, a space and a port, which may be left out."""

    def read(written: str) -> Address:
        match written.split():
            case [host]:
                return Address(hostname.read(host), usual_port)
            case [host, number]:
                return Address(hostname.read(host), port.read(number))
            case _:
                raise Unsuitable("is not a host followed by a port")

    return Kind(f"a host, and a port if it is not {usual_port}, as in 10.0.0.1 {usual_port}", read)


@dataclass(frozen=True, slots=True)
class AddressRange:
    """The addresses from `first` to `last`, both included, of one IP version."""

    first: str
    last: str

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def _read_address_range(written: str) -> AddressRange:
    try:
        first, last = (ip_address(end.strip()) for end in written.split("-"))
    except ValueError as wrong:
        raise Unsuitable("is not two IP addresses with a hyphen between them") from wrong
    if first.version != last.version:
        raise Unsuitable("mixes IPv4 and IPv6")
    if int(first) > int(last):
        raise Unsuitable("ends before it begins")
    return AddressRange(str(first), str(last))


address_range: Final = Kind(
    "two addresses with a hyphen, such as 172.16.0.10-172.16.3.250", _read_address_range
)


def _read_addresses(written: str) -> AddressRange:
    return _read_address_range(written if "-" in written else f"{written}-{written}")


addresses: Final = Kind(
    "an address or two with a hyphen, such as 172.16.0.53 or 172.16.1.0-172.16.1.9", _read_addresses
)


def _read_gateway(written: str) -> str:
    try:
        interface = ip_interface(written)
    except ValueError as wrong:
        raise Unsuitable("is no IP address with the length of its prefix") from wrong
    if "/" not in written:
        raise Unsuitable("says no length of its prefix")
    return interface.with_prefixlen


gateway: Final = Kind(
    "an address and the length of its prefix, such as 172.16.0.1/22", _read_gateway
)
