"""Guests whose displays are shown under TLS, with the node's certificate: real QEMU.

With libvirt the certificate of a display is libvirtd's own, if it has one (`vnc_tls`).
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

import viewer
from certificates import Office
from contracts.machines import PEER, QemuMachine, a_spec, found_verdict
from tashi.adapters.hypervisor.qemu.hypervisor import Qemu
from tashi.adapters.hypervisor.qemu.road import Road
from tashi.adapters.pki import authority
from tashi.domain.identity import InstanceId
from tashi.ports.hypervisor import Screen

pytestmark = pytest.mark.qemu

SEVEN = InstanceId(7)


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found_verdict(tmp_path_factory.mktemp("verdict"))


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture
def papers(office: Office) -> Path:
    return office.issued("nodemanager", "rack1", PEER)


@pytest.fixture
def qemu(verdict: Path, papers: Path) -> Iterator[Qemu]:
    with (
        closing(QemuMachine.made(verdict)) as machine,
        closing(machine.open(road=Road(PEER, papers), vnc_address=PEER)) as qemu,
    ):
        qemu.start(a_spec())
        yield qemu
        qemu.kill(SEVEN)


def called(screen: Screen) -> socket.socket:
    return socket.create_connection((screen.address, screen.port), 60)


def trusting(office: Office) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=office.folder / authority.AUTHORITY)


def test_a_display_is_seen_under_tls_by_who_has_the_password(qemu: Qemu, office: Office) -> None:
    screen = qemu.start_vnc(SEVEN, "secret", on_socket=False)

    with called(screen) as line, viewer.encrypted(line, trusting(office), PEER) as secret:
        seen = viewer.is_let_in(secret, "secret")
    with called(screen) as line, viewer.encrypted(line, trusting(office), PEER) as secret:
        unseen = viewer.is_let_in(secret, "guessed")

    assert (screen.address, screen.tls) == (PEER, True)
    assert (seen, unseen) == (True, False)


def test_who_does_not_speak_tls_is_turned_away(qemu: Qemu) -> None:
    screen = qemu.start_vnc(SEVEN, "secret", on_socket=False)

    with called(screen) as line:
        assert viewer.is_refused(line, viewer.PASSWORD)


def test_a_viewer_knows_the_cluster_s_certificate_from_any_other(
    qemu: Qemu, office: Office, tmp_path: Path
) -> None:
    screen = qemu.start_vnc(SEVEN, "secret", on_socket=False)
    (tmp_path / "other").mkdir()
    another = trusting(Office(tmp_path / "other"))

    with called(screen) as line, pytest.raises(ssl.SSLCertVerificationError):
        viewer.encrypted(line, another, PEER)
    with called(screen) as line, pytest.raises(ssl.SSLCertVerificationError, match=r"192\.0\.2\.9"):
        viewer.encrypted(line, trusting(office), "192.0.2.9")


def test_a_renewed_certificate_is_shown_without_a_restart(
    qemu: Qemu, office: Office, papers: Path
) -> None:
    first = shown_in(qemu, office)

    authority.renew(office.folder, papers, 365, datetime.now(UTC))

    assert shown_in(qemu, office) not in (None, first)


def test_a_display_on_a_socket_is_under_tls_too(qemu: Qemu, office: Office) -> None:
    screen = qemu.start_vnc(SEVEN, "secret", on_socket=True)

    with socket.socket(socket.AF_UNIX) as line:
        line.connect(screen.socket)
        with viewer.encrypted(line, trusting(office), PEER) as secret:
            assert viewer.is_let_in(secret, "secret")
    assert screen.tls


def shown_in(qemu: Qemu, office: Office) -> bytes | None:
    """The certificate with which the display is shown now."""
    screen = qemu.start_vnc(SEVEN, "secret", on_socket=False)
    with called(screen) as line, viewer.encrypted(line, trusting(office), PEER) as secret:
        return secret.getpeercert(binary_form=True)
