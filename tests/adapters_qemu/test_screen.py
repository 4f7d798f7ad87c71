"""Where displays are shown, by what a guest's QEMU can do."""

from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu.folder import GuestFolder
from tashi.adapters.hypervisor.qemu.papers import to_serve_with
from tashi.adapters.hypervisor.qemu.places import Places
from tashi.adapters.hypervisor.qemu.screen import Screens
from tashi.domain.errors import HypervisorFailed

OUTSIDE = "192.0.2.1"


class SpokenTo:
    """A guest whose QEMU has such a server of displays, and shows where it is told to."""

    def __init__(self, folder: Path, auth: str) -> None:
        self.folder = GuestFolder(Places(folder))
        self.asked: list[str] = []
        self._auth = auth
        self._address = ""

    def ask(self, command: str, **arguments: object) -> object:
        self.asked.append(command)
        if command == "display-update":
            self._shown(arguments["addresses"])
        if command != "query-vnc-servers":
            return {}
        at = [{"host": self._address, "service": "5900", "family": "ipv4"}]
        return [{"auth": self._auth, "server": at if self._address else []}]

    def _shown(self, addresses: object) -> None:
        assert isinstance(addresses, list)
        self._address = ""
        for place in addresses:
            if place["type"] == "unix":
                Path(place["path"]).touch()
            else:
                self._address = place["host"]


@pytest.fixture
def old(tmp_path: Path) -> SpokenTo:
    """A guest from before the cluster encrypted."""
    return SpokenTo(tmp_path, "vnc")


def test_a_guest_without_tls_is_not_shown_to_others_where_the_cluster_encrypts(
    old: SpokenTo,
) -> None:
    with pytest.raises(HypervisorFailed, match="started without TLS"):
        Screens(OUTSIDE, encrypts=True).show(old, "secret", on_socket=False)

    assert "set_password" not in old.asked


@pytest.mark.parametrize(
    ("address", "on_socket"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), (OUTSIDE, True)],
)
def test_a_guest_without_tls_is_shown_on_its_machine(
    old: SpokenTo, address: str, on_socket: bool
) -> None:
    screen = Screens(address, encrypts=True).show(old, "secret", on_socket=on_socket)

    assert not screen.tls
    assert bool(screen.socket) is on_socket


def test_a_cluster_that_does_not_encrypt_shows_where_it_is_told_to(old: SpokenTo) -> None:
    screen = Screens(OUTSIDE, encrypts=False).show(old, "secret", on_socket=False)

    assert (screen.address, screen.tls) == (OUTSIDE, False)


def test_a_guest_with_tls_is_shown_with_the_certificate_of_today(tmp_path: Path) -> None:
    guest = SpokenTo(tmp_path, "vencrypt")

    screen = Screens(OUTSIDE, encrypts=True).show(guest, "secret", on_socket=False)

    assert screen.tls
    assert guest.asked.index("display-reload") < guest.asked.index("set_password")


def test_a_guest_starts_without_tls_where_the_certificate_lacks_what_qemu_wants(
    tmp_path: Path,
) -> None:
    lacking = to_serve_with(tmp_path)
    (tmp_path / "server-cert.pem").touch()

    assert (to_serve_with(None), lacking, to_serve_with(tmp_path)) == (None, None, tmp_path)
