"""A private slapd: its own folder, loopback only, and a page limit that stands for AD's.

Its people are both posixAccounts and, with the names that Services for Unix gives them, accounts of
Active Directory; what binds to it and where they are is the set-up guide's. A list of more than
`PAGE_LIMIT` is had in pages only.
"""

import base64
import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ports import free_port

SUFFIX: Final = "dc=abcd,dc=abcd,dc=abc"
PEOPLE: Final = f"ou=ABC,{SUFFIX}"
GROUPS: Final = f"ou=groups,{SUFFIX}"
ADMIN: Final = f"cn=abcd,cn=Abcde,{SUFFIX}"
PASSWORD: Final = "AbCdef1G"
PAGE_LIMIT: Final = 1000
_PATIENCE_SECONDS: Final = 50.0
_SCHEMA: Final = """
attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
  SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.2 NAME 'msSFU30UidNumber' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.3 NAME 'msSFU30LoginShell' EQUALITY caseExactIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'labADUser' SUP top AUXILIARY
  MAY ( sAMAccountName $ msSFU30UidNumber $ msSFU30LoginShell ) )
"""
_CONFIGURATION: Final = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include {folder}/ad.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
suffix "{suffix}"
rootdn "cn=root,{suffix}"
rootpw root
directory {folder}/db
maxsize 104857600
dbnosync
index objectClass,uid,sAMAccountName eq
limits users size.soft={limit} size.hard={limit} size.pr={limit} size.prtotal={total}
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous none
"""


@dataclass(frozen=True, slots=True)
class Person:
    """One account."""

    name: str
    number: int
    password: str = ""


@dataclass(slots=True)
class Slapd:
    """One server; started, frozen, killed and started again."""

    folder: Path
    people: Iterable[Person]
    groups: str = ""
    """More entries, as LDIF."""
    prtotal: str = "unlimited"
    port: int = 0
    tls_port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def uri(self) -> str:
        """Where it is, unencrypted until StartTLS."""
        return f"ldap://localhost:{self.port}"

    @property
    def tls_uri(self) -> str:
        """Where it is, encrypted from the beginning."""
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def ca_file(self) -> Path:
        """Its authority."""
        return self.folder / "ca.pem"

    def make(self) -> None:
        """Write its files and fill its database."""
        (self.folder / "db").mkdir(parents=True)
        (self.folder / "ad.schema").write_text(_SCHEMA)
        issue(self.folder)
        (self.folder / "slapd.conf").write_text(
            _CONFIGURATION.format(
                folder=self.folder, suffix=SUFFIX, limit=PAGE_LIMIT, total=self.prtotal
            )
        )
        (self.folder / "people.ldif").write_text("".join(self._ldif()))
        subprocess.run(
            [
                *("slapadd", "-q", "-f", self.folder / "slapd.conf"),
                "-l",
                self.folder / "people.ldif",
            ],
            check=True,
            capture_output=True,
            env={**os.environ, "PATH": f"/usr/sbin:{os.environ['PATH']}"},
        )
        self.port, self.tls_port = free_port(), free_port()

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("/usr/sbin/slapd", "-d", "0", "-f", self.folder / "slapd.conf", "-h"),
                    f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
            except OSError:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.02)
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, "slapd does not listen"
            else:
                return

    def freeze(self) -> None:
        """Let it hang."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Let it die at once, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _ldif(self) -> Iterator[str]:
        classes = "objectClass: dcObject\nobjectClass: organization"
        yield f"dn: {SUFFIX}\n{classes}\ndc: abcd\no: lab\n\n"
        for unit in (PEOPLE, GROUPS):
            yield f"dn: {unit}\nobjectClass: organizationalUnit\n\n"
        yield f"dn: cn=Abcde,{SUFFIX}\nobjectClass: organizationalRole\ncn: Abcde\n\n"
        yield (
            f"dn: {ADMIN}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n"
            f"cn: abcd\nuserPassword: {PASSWORD}\n\n"
        )
        for one in self.people:
            yield _entry(one)
        yield self.groups


def _entry(one: Person) -> str:
    name = base64.b64encode(one.name.encode()).decode()
    dn = base64.b64encode(f"uid={_escaped(one.name)},{PEOPLE}".encode()).decode()
    secret = f"userPassword: {_hashed(one.password)}\n" if one.password else ""
    return (
        f"dn:: {dn}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\n"
        f"objectClass: labADUser\nuid:: {name}\ncn:: {name}\nsn:: {name}\n"
        f"uidNumber: {one.number}\ngidNumber: 100\nhomeDirectory: /\nsAMAccountName:: {name}\n"
        f"msSFU30UidNumber: {one.number}\nmsSFU30LoginShell: /bin/sh\n{secret}\n"
    )


def _hashed(password: str) -> str:
    return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()


def _escaped(name: str) -> str:
    return "".join(c if c.isalnum() else "".join(f"\\{b:02x}" for b in c.encode()) for c in name)


def dn_of(name: str) -> str:
    """The entry of a person."""
    return f"uid={name},{PEOPLE}"


@contextmanager
def running(folder: Path, people: Iterable[Person], groups: str = "") -> Iterator[Slapd]:
    """A slapd with these people, for as long as it is needed."""
    server = Slapd(folder, people, groups)
    server.make()
    server.start()
    try:
        yield server
    finally:
        server.kill()


def issue(folder: Path, host: str = "localhost", days: float = 2.0) -> None:
    """Give the server of a folder a new authority and a certificate; `days` may be in the past."""
    now = datetime.now(UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA of {folder.name}")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    begins = now - timedelta(days=30)
    ca = (
        x509.CertificateBuilder(ca_name, ca_name, ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ip_address("127.0.0.1")))
    mine = (
        x509.CertificateBuilder(ca_name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(mine.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
