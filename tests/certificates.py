"""An authority for tests, and certificates of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tashi.adapters.pki import authority
from tashi.adapters.pki.authority import Wanted


class Office:
    """An authority in a folder of its own; what it gives out lies beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pki"
        authority.begin(self.folder, datetime.now(UTC))

    def issued(self, role: str, name: str = "localhost", *addresses: str) -> Path:
        """The folder of a new certificate."""
        to = self.folder / f"{role}-{name}"
        authority.issue(self.folder, Wanted(role, name, addresses), to, datetime.now(UTC))
        return to

    def expired(self, role: str, name: str = "localhost") -> Path:
        """The folder of a certificate whose time is over."""
        to = self.issued(role, name)
        path = to / authority.CERTIFICATE
        held = x509.load_pem_x509_certificate(path.read_bytes())
        past = datetime.now(UTC) - timedelta(days=2)
        builder = (
            x509.CertificateBuilder()
            .subject_name(held.subject)
            .issuer_name(held.issuer)
            .public_key(held.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(past - timedelta(days=10))
            .not_valid_after(past)
        )
        for extension in held.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        key = load_pem_private_key((self.folder / authority.AUTHORITY_KEY).read_bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return to
