"""The cluster's own certificate authority: a key and a certificate in a folder.

Whoever can read the authority's key can be anybody, so it lies in a file for its owner alone. The
certificates it gives out say in their subject what their holder is (OU) and the holder's name (CN),
and list the names and addresses at which the holder may answer. Each goes into a folder of its own
under the names that QEMU looks for, so that guests move and screens are shown with it as well.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tashi.domain.errors import Failed, Misconfigured, Refused

AUTHORITY: Final = "ca-cert.pem"
AUTHORITY_KEY: Final = "ca-key.pem"
CERTIFICATE: Final = "client-cert.pem"
KEY: Final = "client-key.pem"
SERVER_LINKS: Final = {"server-cert.pem": CERTIFICATE, "server-key.pem": KEY}

AUTHORITY_DAYS: Final = 3650
SERVERS: Final = frozenset({"clustermanager", "nodemanager"})
LOCALHOST: Final = ("127.0.0.1", "::1")
CLOCKS_APART: Final = timedelta(minutes=5)
_SECRET, _OPEN = 0o600, 0o644


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate is to say: a role, a name, and where its holder answers besides."""

    role: str
    name: str
    addresses: Sequence[str] = ()
    days: int = 365


@dataclass(frozen=True, slots=True)
class Lasts:
    """Until when a certificate is good."""

    role: str
    name: str
    until: datetime

    def days(self, now: datetime) -> float:
        """Days that are left; negative once it has expired."""
        return (self.until - now) / timedelta(days=1)


def begin(folder: Path, now: datetime) -> None:
    """Make the authority in that folder; raises Refused when there is one already."""
    for name in (AUTHORITY, AUTHORITY_KEY):
        if (folder / name).exists():
            raise Refused(
                f"{folder / name} exists: the cluster has its authority. A new one would make "
                "every certificate that it gave out worthless; move it away first if you mean that."
            )
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([_said(NameOID.ORGANIZATION_NAME, "Tashi"), _said(NameOID.COMMON_NAME, "CA")])
    certificate = (
        _builder(named, named, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / AUTHORITY_KEY, _private(key), _SECRET)
        _write(folder / AUTHORITY, certificate.public_bytes(serialization.Encoding.PEM), _OPEN)


def issue(folder: Path, wanted: Wanted, to: Path, now: datetime) -> Lasts:
    """Give out a certificate, into a new folder; raises Refused when that one exists already."""
    if to.exists():
        raise Refused(
            f"{to} exists: renew what is in it with tashi-admin renewCertificate, move it away, or "
            "name another folder with --to."
        )
    authority, authority_key = _opened(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(authority, authority_key, key.public_key(), wanted, now)
    partial = to.with_name(f".{to.name}.{os.getpid()}")
    with _told(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
        try:
            _write(partial / KEY, _private(key), _SECRET)
            _write(partial / CERTIFICATE, _pem(certificate), _OPEN)
            _write(partial / AUTHORITY, _pem(authority), _OPEN)
            if wanted.role in SERVERS:
                for link, file in SERVER_LINKS.items():
                    (partial / link).symlink_to(file)
            partial.chmod(0o755)
            partial.rename(to)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return _lasts(certificate)


def renew(folder: Path, holder: Path, days: int, now: datetime) -> Lasts:
    """Replace the certificate in `holder` by a fresh one for the same key; nothing restarts."""
    held = _pem(_read(holder / CERTIFICATE))
    return put(holder, renewed(folder, held, days, now))


def renewed(folder: Path, held: bytes, days: int, now: datetime) -> bytes:
    """A fresh certificate that says the same for the same key as the one that is `held` (PEM).

    Raises Refused when that is another authority's, or the authority's key is not in `folder`.
    """
    authority, key = _opened(folder)
    old = _loaded(held)
    if not _is_of(authority, old):
        raise Refused(
            f"The certificate is of another authority than the one in {folder}: issue a new one "
            "with tashi-admin issueCertificate."
        )
    public = old.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise Refused("The certificate is for another kind of key than ours are.")
    builder = _builder(old.subject, authority.subject, public, now, days)
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return _pem(builder.sign(key, hashes.SHA256()))


def put(holder: Path, fresh: bytes) -> Lasts:
    """Let a fresh certificate (PEM) take the place of the one in `holder`, if it says the same.

    Raises Refused for one that is of another authority, for another key, or for somebody else.
    """
    held, new = _read(holder / CERTIFICATE), _loaded(fresh)
    same = new.public_key() == held.public_key() and new.subject == held.subject
    if not same or not _is_of(_read(holder / AUTHORITY), new):
        raise Refused(f"That is no fresh certificate for the one in {holder}.")
    with _told(holder):
        _replace(holder / CERTIFICATE, fresh)
    return _lasts(new)


def said_by(certificate: bytes) -> Lasts:
    """What a certificate (PEM) says of its holder, whoever signed it; raises Refused."""
    return _lasts(_loaded(certificate))


def held_in(folder: Path) -> bytes:
    """The certificate in a folder, as PEM; raises Misconfigured."""
    return _pem(_read(folder / CERTIFICATE))


def has_key(folder: Path) -> bool:
    """Whether the authority's key is in that folder, for us to use."""
    return os.access(folder / AUTHORITY_KEY, os.R_OK)


def look(folder: Path) -> Lasts | None:
    """Until when the certificate in a folder is good; None when there is none to read."""
    try:
        return _lasts(_read(folder / CERTIFICATE))
    except Misconfigured:
        return None


def _signed(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    wanted: Wanted,
    now: datetime,
) -> x509.Certificate:
    subject = x509.Name(
        [
            _said(NameOID.ORGANIZATION_NAME, "Tashi"),
            _said(NameOID.ORGANIZATIONAL_UNIT_NAME, wanted.role),
            _said(NameOID.COMMON_NAME, wanted.name),
        ]
    )
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if wanted.role in SERVERS:
        uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
    signer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(subject, authority.subject, public, now, wanted.days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False
        )
    )
    if wanted.role in SERVERS:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(wanted)), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _names(wanted: Wanted) -> list[x509.GeneralName]:
    all_of_them = [wanted.name, *wanted.addresses]
    if "localhost" in all_of_them:
        all_of_them += LOCALHOST
    names: list[x509.GeneralName] = []
    for one in dict.fromkeys(all_of_them):
        try:
            names.append(x509.IPAddress(ip_address(one)))
        except ValueError:
            names.append(x509.DNSName(one))
    return names


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_APART)
        .not_valid_after(now + timedelta(days=days))
    )
    return (
        builder
        if issuer != subject
        else builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public), critical=False
        )
    )


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _said(what: x509.ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(what, value)


def _opened(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path = folder / AUTHORITY_KEY
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError as wrong:
        raise Refused(
            f"The authority's key is not here ({path} does not exist): run this where "
            "tashi-admin initPki was run, or run that first."
        ) from wrong
    except OSError as wrong:
        raise Refused(f"{path} cannot be read: {wrong.strerror}; be its owner.") from wrong
    except (ValueError, TypeError) as wrong:
        raise Misconfigured(f"{path} is no key that can be used: {wrong}.") from wrong
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Misconfigured(f"{path} is no key on an elliptic curve, as initPki makes them.")
    return _read(folder / AUTHORITY), key


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as wrong:
        raise Misconfigured(f"{path} cannot be read: {wrong.strerror}.") from wrong
    except ValueError as wrong:
        raise Misconfigured(f"{path} is no certificate.") from wrong


def _loaded(content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError as wrong:
        raise Refused("That is no certificate.") from wrong


def _is_of(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _lasts(certificate: x509.Certificate) -> Lasts:
    return Lasts(
        role=_attribute(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
        name=_attribute(certificate, NameOID.COMMON_NAME),
        until=certificate.not_valid_after_utc,
    )


def _attribute(certificate: x509.Certificate, what: x509.ObjectIdentifier) -> str:
    found = certificate.subject.get_attributes_for_oid(what)
    return str(found[0].value) if found else ""


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a new file that is durable and never wider open than it should be."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)
    path.chmod(mode)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(partial, content, _OPEN)
        owner = path.stat()
        os.chown(partial, owner.st_uid, owner.st_gid)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _told(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as wrong:
        raise Failed(f"{wrong.filename or where} cannot be written: {wrong.strerror}.") from wrong
