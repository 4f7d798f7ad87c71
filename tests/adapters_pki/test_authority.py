"""The cluster's authority: what it writes, what it refuses, what it renews."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certificates import Office
from tashi.adapters.pki import authority
from tashi.adapters.pki.authority import Wanted
from tashi.domain.errors import Misconfigured, Refused


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def certificate_in(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / authority.CERTIFICATE).read_bytes())


def test_keys_are_for_their_owner_alone(office: Office) -> None:
    node = office.issued("nodemanager", "rack1")

    assert mode(office.folder / "ca-key.pem") == 0o600
    assert mode(office.folder / "ca-cert.pem") == 0o644
    assert mode(node / "client-key.pem") == 0o600


def test_a_second_authority_is_refused_and_the_first_untouched(office: Office) -> None:
    before = (office.folder / "ca-key.pem").read_bytes()

    with pytest.raises(Refused, match=r"ca-cert\.pem exists: the cluster has its authority"):
        authority.begin(office.folder, datetime.now(UTC))

    assert (office.folder / "ca-key.pem").read_bytes() == before


def test_a_certificate_is_not_overwritten(office: Office) -> None:
    office.issued("nodemanager", "rack1")

    with pytest.raises(Refused, match="exists: renew what is in it"):
        office.issued("nodemanager", "rack1")


def test_a_daemon_that_is_called_has_qemus_names_too(office: Office) -> None:
    node = office.issued("nodemanager", "rack1")

    assert (node / "server-cert.pem").read_bytes() == (node / "client-cert.pem").read_bytes()
    assert (node / "server-key.pem").read_bytes() == (node / "client-key.pem").read_bytes()
    assert not (office.issued("user", "ada") / "server-cert.pem").exists()


def test_a_certificate_says_role_name_and_where_its_holder_answers(office: Office) -> None:
    held = certificate_in(office.issued("nodemanager", "rack1", "10.0.0.11", "rack1.example.org"))

    assert held.subject.rfc4514_string() == "CN=rack1,OU=nodemanager,O=Tashi"
    names = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["rack1", "rack1.example.org"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.11"]


def test_a_renewed_certificate_is_for_the_same_key_and_says_the_same(office: Office) -> None:
    node = office.expired("nodemanager", "rack1")
    before = certificate_in(node)

    lasts = authority.renew(office.folder, node, 100, datetime.now(UTC))

    after = certificate_in(node)
    assert 99 < lasts.days(datetime.now(UTC)) <= 100
    assert after.subject == before.subject
    assert after.serial_number != before.serial_number
    keys = [
        one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for one in (before, after)
    ]
    assert keys[0] == keys[1]
    assert [one.value for one in after.extensions] == [one.value for one in before.extensions]


def test_another_authoritys_certificate_is_not_renewed(office: Office, tmp_path: Path) -> None:
    stranger = Office(tmp_path / "other").issued("nodemanager")
    before = (stranger / "client-cert.pem").read_bytes()

    with pytest.raises(Refused, match="is of another authority than the one in"):
        authority.renew(office.folder, stranger, 100, datetime.now(UTC))

    assert (stranger / "client-cert.pem").read_bytes() == before


def test_a_fresh_certificate_takes_the_place_of_the_same_holders_only(
    office: Office, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    holder, other = office.issued("nodemanager", "rack1"), office.issued("nodemanager", "rack2")
    stranger = Office(tmp_path / "other").issued("nodemanager", "rack1")
    before = authority.held_in(holder)

    for wrong in (authority.held_in(other), authority.held_in(stranger)):
        with pytest.raises(Refused, match="That is no fresh certificate for the one in"):
            authority.put(holder, wrong)
    kept = authority.held_in(holder)
    fresh = authority.renewed(office.folder, before, 500, now)
    lasts = authority.put(holder, fresh)

    assert kept == before
    assert authority.held_in(holder) == fresh
    assert (lasts.role, lasts.name) == ("nodemanager", "rack1")
    assert 499 < lasts.days(now) < 501


def test_without_the_authoritys_key_it_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="run this where tashi-admin initPki was run"):
        authority.issue(tmp_path, Wanted("user", "ada"), tmp_path / "ada", datetime.now(UTC))

    assert list(tmp_path.iterdir()) == []


def test_a_spoilt_key_is_named(office: Office) -> None:
    (office.folder / "ca-key.pem").write_text("words")

    with pytest.raises(Misconfigured, match=r"ca-key\.pem is no key that can be used"):
        office.issued("user", "ada")
