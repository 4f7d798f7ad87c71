"""DNS as RFC 2136 has it: updates with conditions, signed by a shared key (RFC 8945).

What is ours is marked: beside its address a name has a text that says which instance and which card
it belongs to. The server itself checks the mark, in the same update that changes the name, so
nobody's entry is overwritten by one that looked a moment too early. An address leads to a name
only after the name has its mark, and is removed before it: what is half done is always found again
under the mark.

Name and address stand in two zones, which no update changes together. Which zones, the server is
asked.
"""

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset
import dns.tsig
import dns.update
import dns.xfr
import dns.zone

from tashi.adapters.dns.keys import Key
from tashi.domain.differences import DNS, Difference, Flaw
from tashi.domain.errors import AddressTaken, DnsFailed, ServerAway
from tashi.domain.hostnames import check_host_name, is_host_name
from tashi.domain.identity import InstanceId
from tashi.domain.listings import SiteEntry

_MARK: Final = re.compile(r'"tashi instance=(\d{1,18}) mac=([0-9a-f:]{17})"')
_DONE: Final = dns.rcode.NOERROR
_TAKEN: Final = {dns.rcode.YXDOMAIN, dns.rcode.YXRRSET}
_NOT_OURS: Final = {dns.rcode.NXRRSET, dns.rcode.NXDOMAIN}
_ADDRESSES: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSite:
    """Where names are kept: the server, the domain, for how long others may remember, the key."""

    host: str
    port: int
    domain: str
    expire_seconds: int
    key: Key | None
    reverse: bool = True
    timeout_seconds: float = 5.0


class Rfc2136:
    """A name server that takes updates."""

    def __init__(self, site: DnsSite) -> None:
        self._site = site
        self._domain = dns.name.from_text(site.domain)
        self._key = None if site.key is None else site.key.for_signing()
        self._zones: dict[dns.name.Name, dns.name.Name] = {}

    def enter(self, entry: SiteEntry) -> None:
        """Let the name lead to the address and the address to the name."""
        name = self._name(entry)
        self._enter_name(name, entry)
        if self._site.reverse:
            self._enter_address(dns.reversename.from_address(entry.ip), name)

    def remove(self, entry: SiteEntry) -> None:
        """Forget the name and the address, if they are this owner's."""
        name = self._name(entry)
        texts = self._texts(name)
        if _mark(entry) not in texts:
            return
        if self._site.reverse:
            address = dns.reversename.from_address(entry.ip)
            update = self._update(address)
            update.delete(address, "PTR", name.to_text())
            self._check(self._send(update), f"to forget {entry.ip}")
        update = self._if_still(name, texts)
        update.delete(name, _kind(entry.ip), entry.ip)
        update.delete(name, "TXT", _mark(entry))
        self._check(self._send(update), f"to forget {name}")

    def difference(self, entry: SiteEntry) -> Difference | None:
        """How what the server says differs from that."""
        name = self._name(entry)
        found = [self._ask(name, kind) for kind in _ADDRESSES]
        addresses = sorted(str(ip_address(str(one))) for rrset in found for one in rrset)
        texts = self._texts(name)
        said = f"DNS says that {name} has {', '.join(addresses) or 'no address'}"
        if not addresses and not texts:
            return _differs(entry, Flaw.MISSING, said)
        if _mark(entry) not in texts:
            whose = f"{said}, without the mark of instance {entry.owner}: it is somebody else's"
            return _differs(entry, Flaw.TAKEN, whose)
        if addresses != [str(ip_address(entry.ip))]:
            return _differs(entry, Flaw.WRONG, f"{said}, not {entry.ip}")
        return self._difference_back(entry, name) if self._site.reverse else None

    def _difference_back(self, entry: SiteEntry, name: dns.name.Name) -> Difference | None:
        """How the name that the address leads to differs."""
        pointers = sorted(map(str, self._ask(dns.reversename.from_address(entry.ip), _PTR)))
        if not pointers:
            words = f"DNS says that {entry.ip} has no name, not {name}"
            return _differs(entry, Flaw.MISSING, words)
        if pointers != [str(name)]:
            words = f"DNS says that {entry.ip} is {', '.join(pointers)}, not {name} alone"
            return _differs(entry, Flaw.TAKEN, words)
        return None

    def entries(self) -> Sequence[SiteEntry] | None:
        """Everything that bears a mark, if the server lets the zone be transferred."""
        with self._errors():
            try:
                zone = dns.zone.Zone(self._zone_of(self._domain), relativize=False)
                query, _ = dns.xfr.make_query(zone, keyring=self._key)
                dns.query.inbound_xfr(
                    self._place(), zone, query, port=self._site.port,
                    timeout=self._site.timeout_seconds, lifetime=self._site.timeout_seconds,
                )  # fmt: skip
            except dns.xfr.TransferError:
                return None
        return [entry for name, node in zone.nodes.items() for entry in self._marked(name, node)]

    # ---- the two directions ---------------------------------------------------------------------

    def _enter_name(self, name: dns.name.Name, entry: SiteEntry) -> None:
        fresh = self._update(name)
        fresh.absent(name)
        fresh.add(name, self._site.expire_seconds, _kind(entry.ip), entry.ip)
        fresh.add(name, self._site.expire_seconds, "TXT", _mark(entry))
        answer = self._send(fresh)
        if answer in _TAKEN:
            texts = self._texts(name)
            if _mark(entry) not in texts:
                raise AddressTaken(
                    f"The name {name} stands in DNS already, for somebody else: rename the "
                    "instance, or have it removed there."
                )
            again = self._if_still(name, texts)
            for kind in _ADDRESSES:
                again.delete(name, kind)
            again.add(name, self._site.expire_seconds, _kind(entry.ip), entry.ip)
            answer = self._send(again)
        self._check(answer, f"{name} with {entry.ip}")

    def _enter_address(self, address: dns.name.Name, name: dns.name.Name) -> None:
        fresh = self._update(address)
        fresh.absent(address)
        fresh.add(address, self._site.expire_seconds, "PTR", name.to_text())
        answer = self._send(fresh)
        if answer in _TAKEN:
            again = self._update(address)
            again.present(address, "PTR", name.to_text())
            again.replace(address, self._site.expire_seconds, "PTR", name.to_text())
            answer = self._send(again)
            if answer in _NOT_OURS:
                raise AddressTaken(
                    f"The address {dns.reversename.to_address(address)} stands in DNS already, for "
                    "somebody else: keep it out of the range with ipReserved, or have it removed."
                )
        self._check(answer, f"{address} with {name}")

    def _marked(self, name: dns.name.Name, node: dns.node.Node) -> Iterator[SiteEntry]:
        texts = [
            one for rdataset in node if rdataset.rdtype is dns.rdatatype.TXT for one in rdataset
        ]
        found = [mark for mark in map(_MARK.fullmatch, map(str, texts)) if mark]
        if not found or not name.is_subdomain(self._domain):
            return
        below = name.relativize(self._domain).to_text()
        if not is_host_name(below):  # then nobody but its maker can have put the mark there
            return
        owner, mac = InstanceId(int(found[0][1])), found[0][2]
        addresses = [
            str(one) for rdataset in node if rdataset.rdtype in _ADDRESSES for one in rdataset
        ]
        for ip in addresses:
            yield SiteEntry(owner, below, str(ip_address(ip)), mac)

    # ---- talking to the server ------------------------------------------------------------------

    def _name(self, entry: SiteEntry) -> dns.name.Name:
        check_host_name(entry.name)
        check_host_name(f"{entry.name}.{self._site.domain.rstrip('.')}")
        return dns.name.from_text(entry.name, self._domain)

    def _update(self, name: dns.name.Name) -> dns.update.UpdateMessage:
        return dns.update.UpdateMessage(self._zone_of(name), keyring=self._key)

    def _if_still(self, name: dns.name.Name, texts: Iterable[str]) -> dns.update.UpdateMessage:
        """An update that the server takes only while the name has just these texts.

        A condition is about all the texts of a name (RFC 2136, section 2.4.2), and others may have
        put theirs beside our mark.
        """
        update = self._update(name)
        for text in texts:
            update.present(name, "TXT", text)
        return update

    def _texts(self, name: dns.name.Name) -> set[str]:
        return {str(text) for text in self._ask(name, dns.rdatatype.TXT)}

    def _zone_of(self, name: dns.name.Name) -> dns.name.Name:
        known = self._zones.get(name)
        if known is not None:
            return known
        answer = self._query(name, dns.rdatatype.SOA)
        said = (rrset for rrset in (*answer.answer, *answer.authority) if rrset.rdtype is _SOA)
        zone = next((rrset.name for rrset in said if name.is_subdomain(rrset.name)), None)
        if zone is None or not answer.flags & dns.flags.AA:
            raise DnsFailed(
                f"DNS server {self} serves no zone with {name}: {_rcode(answer.rcode())}."
            )
        # An address's zone is the same for its neighbours, but not surely: each name is asked once.
        if len(self._zones) >= _MOST_ZONES:
            self._zones.clear()
        self._zones[name] = zone
        return zone

    def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Iterable[object]:
        answer = self._query(name, kind)
        if answer.rcode() not in {_DONE, dns.rcode.NXDOMAIN}:
            self._check(answer.rcode(), f"to say what it knows of {name}")
        found = answer.get_rrset(dns.message.ANSWER, name, dns.rdataclass.IN, kind)
        return found or ()

    def _query(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message:
        return self._exchange(dns.message.make_query(name, kind))

    def _send(self, update: dns.update.UpdateMessage) -> dns.rcode.Rcode:
        return self._exchange(update).rcode()

    def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        seconds = self._site.timeout_seconds
        with self._errors():
            return dns.query.tcp(message, self._place(), timeout=seconds, port=self._site.port)

    def _place(self) -> str:
        """The server in numbers; a name may lead elsewhere tomorrow."""
        found = socket.getaddrinfo(self._site.host, self._site.port, type=socket.SOCK_STREAM)
        return str(found[0][4][0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except dns.tsig.PeerError as wrong:
            raise DnsFailed(
                f"DNS server {self} does not accept the key ({type(wrong).__name__}): compare its "
                "name, algorithm and secret with the server's own."
            ) from wrong
        except (dns.exception.DNSException, OSError, EOFError) as wrong:
            words = str(wrong) or type(wrong).__name__
            raise ServerAway(f"DNS server {self} does not answer: {words.rstrip('.')}.") from wrong

    def _check(self, answer: dns.rcode.Rcode, what: str) -> None:
        if answer != _DONE:
            raise DnsFailed(f"DNS server {self} does not take {what}: {_rcode(answer)}.")

    def __str__(self) -> str:
        return f"{self._site.host} port {self._site.port}"


_SOA: Final = dns.rdatatype.SOA
_PTR: Final = dns.rdatatype.PTR
_MOST_ZONES: Final = 10_000


def _kind(ip: str) -> str:
    return "A" if ip_address(ip).version == _IPV4 else "AAAA"


_IPV4: Final = 4


def _mark(entry: SiteEntry) -> str:
    return f'"tashi instance={entry.owner} mac={entry.mac}"'


def _differs(entry: SiteEntry, flaw: Flaw, words: str) -> Difference:
    return Difference(DNS, entry, flaw, words)


def _rcode(code: dns.rcode.Rcode) -> str:
    words = {dns.rcode.REFUSED: "REFUSED (may that key update that zone?)"}
    return words.get(code, dns.rcode.to_text(code))
