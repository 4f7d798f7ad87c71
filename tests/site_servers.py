"""A site's own servers as private ones: named on loopback, dhcpd and dnsmasq on a network.

Each has a folder of its own, is ended by its handle, and can be killed and started again. Servers
that give addresses live in a namespace with a bridge, to which a client's card leads.
"""

import base64
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Protocol, Self

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.reversename
import dns.update

from namespaces import Namespace, namespaces
from ports import free_port
from tashi.adapters.dns.keys import Key, made_key

DOMAIN = "cluster.test"
NETWORK = "10.77"
SERVER = f"{NETWORK}.0.1"
CARD = "eth0"
OMAPI_PORT = 7911
SECRET = base64.b64encode(b"sixteen bytes ok").decode()
_PATIENCE_SECONDS = 50.0
_GLANCE_SECONDS = 0.02
_SBIN = "/usr/sbin:/sbin:/usr/bin:/bin"


class Place(Protocol):
    """A network namespace with a name."""

    @property
    def name(self) -> str:
        """Its name, as `ip netns` has it."""
        ...

    def call(self, function: Callable[[int], bool], port: int, /) -> bool:
        """What the function returns in there."""
        ...


@dataclass(frozen=True, slots=True)
class SiteKey:
    """A key that named or dhcpd shares with who tells it something."""

    name: str = "tashi"
    algorithm: str = "hmac-sha256"
    secret: str = SECRET

    @property
    def clause(self) -> str:
        """What tsig-keygen would print."""
        return f'key "{self.name}" {{ algorithm {self.algorithm}; secret "{self.secret}"; }};\n'

    def write_pair(self, folder: Path) -> Path:
        """Write what `dnssec-keygen -a HMAC-MD5` wrote in its day."""
        path = folder / f"K{self.name}.+157+36480.private"
        path.write_text(
            f"Private-key-format: v1.3\nAlgorithm: 157 (HMAC_MD5)\nKey: {self.secret}\nBits: AAA=\n"
        )
        return path


@dataclass(frozen=True, slots=True)
class Subnet:
    """Where dhcpd gives addresses: a network card, and the router with the prefix's length."""

    card: str = "br0"
    router: str = f"{SERVER}/16"


SITE_KEY = SiteKey()


class Server:
    """A program that is started, killed and stopped."""

    def __init__(self, folder: Path, command: Sequence[str], where: Place | None) -> None:
        self.folder = folder
        inside = () if where is None else ("ip", "netns", "exec", where.name)
        program = shutil.which(command[0], path=_SBIN)
        assert program, f"{command[0]} is not installed: see tools/debian-packages.txt"
        self._command = (*inside, program, *command[1:])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it serves."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.answers():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GLANCE_SECONDS)
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(
                    f"{self._command} does not serve: {(self.folder / 'log').read_text()[-2000:]}"
                )

    def kill(self) -> None:
        """Let it die at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it, if it runs."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def answers(self) -> bool:
        """Whether it does its work."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Named(Server):
    """A named for a domain and the reverse zones of networks, and of 2001:db8::/32."""

    def __init__(
        self,
        folder: Path,
        key: SiteKey = SITE_KEY,
        domain: str = DOMAIN,
        networks: Sequence[str] = (NETWORK,),
        transfers: str | None = None,
        at: tuple[str, int, Place | None] | None = None,
    ) -> None:
        """`at` is an address and a port, and the namespace that has them."""
        self.address, self.port, where = at or ("127.0.0.1", free_port(), None)
        self.domain, self.networks = domain, networks
        self.key: Key = made_key(key.name, key.algorithm, key.secret)
        folder.mkdir(parents=True)
        self.key_file = folder / "key.conf"
        self.key_file.write_text(key.clause)
        self._zones = (domain, *map(reverse_zone, networks), "8.b.d.0.1.0.0.2.ip6.arpa")
        rights = f"allow-update {{ key {key.name}; }}; "
        rights += f"allow-transfer {{ {transfers or f'key {key.name};'} }};"
        listens = f"listen-on port {self.port} {{ {self.address}; }};"
        (folder / "named.conf").write_text(_named_conf(folder, listens, rights, self._zones))
        for zone in self._zones:
            (folder / zone).write_text(_zone(zone, domain))
        super().__init__(folder, ("named", "-g", "-n", "1", "-c", f"{folder}/named.conf"), where)

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            return self.ask(self.domain, "SOA") != []
        except (OSError, EOFError, dns.exception.DNSException):
            return False

    def ask(self, name: str, kind: str) -> list[str]:
        """What it says, as `dig` would show it."""
        message = dns.message.make_query(name, kind)
        answer = dns.query.tcp(message, self.address, port=self.port, timeout=30)
        return sorted(str(one) for rrset in answer.answer for one in rrset)

    def name_of(self, ip: str) -> list[str]:
        """The names that the address leads to."""
        return self.ask(dns.reversename.from_address(ip).to_text(), "PTR")

    def put(self, name: str, kind: str, value: str) -> None:
        """Enter something as another owner would."""
        update = self._update(name)
        update.add(name, 60, kind, value)
        self._send(update)

    def take_away(self, name: str, kind: str) -> None:
        """Remove something as another owner would."""
        update = self._update(name)
        update.delete(name, kind)
        self._send(update)

    def _send(self, update: dns.update.UpdateMessage) -> None:
        answer = dns.query.tcp(update, self.address, port=self.port, timeout=30)
        assert answer.rcode() == dns.rcode.NOERROR

    def _update(self, name: str) -> dns.update.UpdateMessage:
        zone = next(one for one in self._zones if name.endswith(f"{one}."))
        return dns.update.UpdateMessage(zone, keyring=self.key.for_signing())


class Dhcpd(Server):
    """A dhcpd that serves networks of a namespace."""

    def __init__(
        self,
        folder: Path,
        where: Place,
        key: SiteKey = SITE_KEY,
        subnets: Sequence[Subnet] = (Subnet(),),
        domain: str = DOMAIN,
    ) -> None:
        folder.mkdir(parents=True)
        self.where = where
        self.leases = folder / "leases"
        self.leases.touch()
        (folder / "dhcpd.conf").write_text(_dhcpd_conf(key, subnets, domain))
        super().__init__(
            folder,
            ("dhcpd", "-4", "-f", "-d", "--no-pid", "-cf", f"{folder}/dhcpd.conf",
             "-lf", str(self.leases), *dict.fromkeys(one.card for one in subnets)),
            where,
        )  # fmt: skip

    def answers(self) -> bool:
        """Whether OMAPI can be reached."""
        return self.where.call(_accepts, OMAPI_PORT)


class DnsmasqServer(Server):
    """A dnsmasq that serves NETWORK.0.0/16 from a folder of hosts."""

    def __init__(self, folder: Path, where: Namespace) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self.where = where
        self.hosts = folder / "hosts"
        self.hosts.mkdir()
        self.pid_file = folder / "pid"
        super().__init__(
            folder,
            ("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
             "--interface=br0", "--bind-interfaces", "--dhcp-authoritative", "--log-dhcp",
             "--log-facility=-", f"--dhcp-range={NETWORK}.0.0,static,255.255.0.0",
             f"--dhcp-hostsdir={self.hosts}", f"--pid-file={self.pid_file}",
             f"--dhcp-leasefile={folder}/leases"),
            where,
        )  # fmt: skip

    def start(self) -> None:
        """Start it; its old process id must not be taken for the new one."""
        self.pid_file.unlink(missing_ok=True)
        super().start()

    def answers(self) -> bool:
        """Whether it has written its process id, and so read its hosts."""
        return self.pid_file.exists() and self.pid_file.read_text().strip().isdigit()


@contextmanager
def a_network(router: str = f"{SERVER}/16") -> Iterator[tuple[Namespace, Namespace]]:
    """A server's namespace with a bridge, and a client's with a card that leads there."""
    with namespaces(2) as (server, client):
        server.ip("link", "add", "br0", "type", "bridge")
        server.ip("addr", "add", router, "dev", "br0")
        server.ip("link", "set", "br0", "up")
        server.ip("link", "add", "port", "type", "veth", "peer", "name", CARD, "netns", client.name)
        server.ip("link", "set", "port", "master", "br0", "up")
        client.ip("link", "set", CARD, "up")
        yield server, client


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def reverse_zone(network: str) -> str:
    """The zone of a network that is given by the first numbers of its addresses."""
    return f"{'.'.join(reversed(network.split('.')))}.in-addr.arpa"


def _named_conf(folder: Path, listens: str, rights: str, zones: Sequence[str]) -> str:
    served = "\n".join(
        f'zone "{zone}" {{ type primary; file "{zone}"; {rights} }};' for zone in zones
    )
    return f"""
include "{folder}/key.conf";
options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key";
  {listens} listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
{served}
"""


def _zone(zone: str, domain: str) -> str:
    server = f"ns.{domain}."
    glue = "ns IN A 127.0.0.1\n" if zone == domain else ""
    return (
        f"$TTL 60\n@ IN SOA {server} hostmaster.{domain}. ( 1 3600 600 86400 1 )\n"
        f"  IN NS {server}\n{glue}"
    )


def _dhcpd_conf(key: SiteKey, subnets: Sequence[Subnet], domain: str) -> str:
    served = "\n".join(map(_subnet, subnets))
    return f"""
{key.clause}
omapi-port {OMAPI_PORT}; omapi-key {key.name};
authoritative; ddns-update-style none; ping-check false;
default-lease-time 600; max-lease-time 7200;
option domain-name "{domain}";
{served}
"""


def _subnet(one: Subnet) -> str:
    router = ip_interface(one.router)
    network = router.network
    return (
        f"subnet {network.network_address} netmask {network.netmask} "
        f"{{ option routers {router.ip}; deny unknown-clients; }}"
    )
