"""ISC's dhcpd, told over OMAPI while it runs: one host object for each card.

A host object bears the host name as its own, and a mark that says whose it is, which nobody but a
reader of dhcpd's leases file can see. dhcpd takes two objects with one address in silence, and
whatever is in a name it takes for statements; so both are looked at here, first. OMAPI says little
of why it refuses.

dhcpd gives IPv4 addresses here; OMAPI knows no fixed IPv6 ones.
"""

import binascii
import hashlib
import hmac
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Final

import pypureomapi

from tashi.adapters.dhcp.leases import mark_of, marked_in
from tashi.domain.admission import check_mac
from tashi.domain.differences import DHCP, Difference, Flaw
from tashi.domain.errors import AddressTaken, DhcpFailed, Misconfigured, ServerAway
from tashi.domain.hostnames import check_host_name
from tashi.domain.listings import SiteEntry

_ACTIVE: Final = 2
"""The state of a lease that somebody uses (dhcpd's binding state)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OmapiPlace:
    """Where dhcpd's OMAPI is, and the key; the secret is in base64."""

    host: str
    port: int
    key_name: str = ""
    algorithm: str = "hmac-md5"
    secret: str = field(default="", repr=False)
    timeout_seconds: float = 5.0
    leases: Path | None = None
    """dhcpd's file of leases, where it can be read from here."""


class Dhcpd:
    """A dhcpd that runs; the line to it is kept, and shared by those who ask at the same time."""

    def __init__(self, place: OmapiPlace) -> None:
        self._place = place
        self._using = threading.Lock()
        self._line: pypureomapi.Omapi | None = None
        if place.key_name:
            _authenticator(place)  # a key that cannot be read is said at the start

    def serves(self, ip: str) -> bool:
        """Whether it is an IPv4 address."""
        return isinstance(ip_address(ip), IPv4Address)

    def enter(self, entry: SiteEntry) -> None:
        """Make a host object of the card, unless it is there."""
        _check(entry)
        with self._asking("take a host") as line:
            named, carded = _host(line, name=entry.name), _host(line, mac=entry.mac)
            for found in (named, carded):
                if found is not None and _owner(found) != (entry.name, entry.mac):
                    raise _taken(entry, found)
            user = _user_of(line, entry.ip)
            if user not in {None, entry.mac}:
                raise AddressTaken(f"DHCP has lent {entry.ip} to {user}: it is not given away.")
            if named is not None and named.get("ip-address") == entry.ip and self._marks(entry):
                return
            if named is not None:
                line.del_host(entry.mac)
            # The host name is its first label; dhcpd's own domain-name goes with it.
            shown, mark = entry.name.partition(".")[0], mark_of(entry.owner)
            line.add_host_supersede(
                entry.ip, entry.mac, entry.name, hostname=shown, statements=mark
            )

    def remove(self, entry: SiteEntry) -> None:
        """Delete the host object of the card, if it bears that name."""
        _check(entry)
        with self._asking("forget a host") as line:
            found = _host(line, name=entry.name)
            if found is not None and _owner(found) == (entry.name, entry.mac):
                line.del_host(entry.mac)

    def difference(self, entry: SiteEntry) -> Difference | None:
        """How its host object differs from that."""
        _check(entry)
        with self._asking("say what it has") as line:
            named, carded = _host(line, name=entry.name), _host(line, mac=entry.mac)
            user = _user_of(line, entry.ip)
        for found in (named, carded):
            if found is not None and _owner(found) != (entry.name, entry.mac):
                name, mac = _owner(found)
                words = f"DHCP has a host {name} with the card {mac}, not {entry}"
                return _differs(entry, Flaw.TAKEN, words)
        if user not in {None, entry.mac}:
            return _differs(entry, Flaw.TAKEN, f"DHCP has lent {entry.ip} to {user}, not {entry}")
        if named is None:
            return _differs(entry, Flaw.MISSING, f"DHCP has no host {entry.name}")
        if named.get("ip-address") != entry.ip:
            said = named.get("ip-address", "no address")
            words = f"DHCP has the host {entry.name} with {said}, not {entry.ip}"
            return _differs(entry, Flaw.WRONG, words)
        return None

    def entries(self) -> Sequence[SiteEntry] | None:
        """What bears our mark in dhcpd's file, if that is here: OMAPI lists nothing."""
        leases = self._place.leases
        if leases is None:
            return None
        try:
            return marked_in(leases.read_text("ascii", "replace"))
        except OSError as wrong:
            raise DhcpFailed(
                f"dhcpd's leases in {leases} cannot be read ({wrong.strerror}): be a user who may, "
                "or take dhcpLeasesFile out of [DhcpDns]."
            ) from wrong

    def close(self) -> None:
        """Let go of the line."""
        with self._using:
            self._close()

    def _marks(self, entry: SiteEntry) -> bool:
        """Whether its host object says whose it is, as far as that can be seen."""
        listed = self.entries()
        return listed is None or entry in listed

    # ---- the line -------------------------------------------------------------------------------

    @contextmanager
    def _asking(self, what: str) -> Iterator[pypureomapi.Omapi]:
        with self._using:
            try:
                if self._line is None:
                    self._line = self._open()
                yield self._line
            except AddressTaken:
                raise
            except OSError as wrong:
                self._close()
                words = wrong.strerror or str(wrong) or type(wrong).__name__
                raise ServerAway(f"DHCP server {self} does not answer: {words}.") from wrong
            except (pypureomapi.OmapiError, ValueError) as wrong:
                self._close()
                words = str(wrong) or type(wrong).__name__
                remedy = _REMEDIES.get(words, "")
                raise DhcpFailed(
                    f"DHCP server {self} does not {what}: {words.rstrip('.')}.{remedy}"
                ) from wrong

    def _open(self) -> pypureomapi.Omapi:
        place = self._place
        line = pypureomapi.Omapi(place.host, place.port, timeout=place.timeout_seconds)
        if place.key_name:
            line.initialize_authenticator(_authenticator(place))
        return line

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def __str__(self) -> str:
        return f"{self._place.host} port {self._place.port}"


_COMPARE: Final = " Compare dhcpKeyName, dhcpKeyAlgorithm and dhcpSecretKey with dhcpd.conf."
_REMEDIES: Final = {
    "received message is signed with wrong authenticator": _COMPARE,
    "received non-update response for open": _COMPARE,
}


def _authenticator(place: OmapiPlace) -> pypureomapi.OmapiAuthenticatorBase:
    """How messages are signed. The library knows MD5; dhcpd knows the others just as well."""
    digest = place.algorithm.removeprefix("hmac-")

    class Signing(pypureomapi.OmapiHMACMD5Authenticator):  # type: ignore[misc]  # it has no types
        authlen = hashlib.new(digest).digest_size
        # dhcpd refuses the short name, whatever the algorithm.
        algorithm = f"{place.algorithm}.SIG-ALG.REG.INT.".encode()

        def sign(self, message: bytes) -> bytes:
            return hmac.new(self.key, message, digest).digest()

    try:
        return Signing(place.key_name.encode(), place.secret.encode())
    except binascii.Error as wrong:
        raise Misconfigured("dhcpSecretKey is not written in base64.") from wrong


def _check(entry: SiteEntry) -> None:
    """Let nothing but plain names and addresses reach dhcpd's statements."""
    check_host_name(entry.name)
    check_mac(entry.mac)
    IPv4Address(entry.ip)


def _host(line: pypureomapi.Omapi, **which: str) -> dict[str, object] | None:
    try:
        return dict(line.lookup_by_host(**which))
    except pypureomapi.OmapiErrorNotFound:
        return None


def _user_of(line: pypureomapi.Omapi, ip: str) -> object:
    """The card that has leased the address from the pool and still uses it."""
    try:
        lease = line.lookup_by_lease(ip=ip)
    except pypureomapi.OmapiErrorNotFound:
        return None
    return lease.get("hardware-address") if lease.get("state") == _ACTIVE else None


def _owner(found: dict[str, object]) -> tuple[str, object]:
    name = found.get("name", b"")
    shown = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    return shown, found.get("hardware-address")


def _differs(entry: SiteEntry, flaw: Flaw, words: str) -> Difference:
    return Difference(DHCP, entry, flaw, words)


def _taken(entry: SiteEntry, found: dict[str, object]) -> AddressTaken:
    name, mac = _owner(found)
    return AddressTaken(
        f"DHCP has a host {name} with the card {mac} already, which is not {entry}: have it "
        "removed there, or choose another name."
    )
