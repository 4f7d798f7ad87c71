"""Where a service listens, and the sentence it ends with when it cannot."""

import errno
import logging
import socket

import pytest

from adapters_rpyc.raw import RawPeer, echo
from tashi.adapters.rpyc import listening
from tashi.adapters.rpyc.server import EventedServer
from tashi.domain.errors import Misconfigured

SECTION = "ClusterManagerService"


def complaint(address: tuple[str, int]) -> str:
    with pytest.raises(Misconfigured) as caught:
        listening.listen(echo, address, section=SECTION)
    return caught.value.message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_nobody_s_trust(host: str) -> None:
    server = listening.listen(echo, (host, 0), section=SECTION)
    server.serve()

    with RawPeer(server.address) as peer:
        answer = peer.call(b"hello")
    server.stop()

    assert answer == b"hello"


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        assert complaint(("127.0.0.1", port)) == (
            f"Cannot listen on 127.0.0.1:{port}: another program uses that port: stop it, or set "
            "another port in [ClusterManagerService]."
        )


def test_an_address_of_another_machine_is_named_with_the_remedy() -> None:
    with pytest.raises(Misconfigured, match=r"no such address: set another host in \[X\]"):
        listening.listen(echo, ("192.0.2.1", 0), section="X", trusted_networks=["192.0.2.0/24"])


def test_a_name_nobody_knows_is_named_with_the_remedy() -> None:
    assert complaint(("bad..name", 0)) == (
        'Cannot listen on "bad..name": nothing knows that name; set another host in '
        "[ClusterManagerService]."
    )


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_named_with_the_remedy(port: int) -> None:
    assert complaint(("127.0.0.1", port)) == (
        f"Cannot listen on port {port}: set one from 0 to 65535 in [ClusterManagerService]."
    )


def test_a_port_for_root_only_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> EventedServer:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(listening, "EventedServer", forbidden)

    assert "ports below 1024 are for root" in complaint(("127.0.0.1", 80))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_off_loopback_it_refuses_to_listen_for_everybody(host: str) -> None:
    words = complaint((host, 0))

    assert "can be reached from other machines, and nothing says whom to trust" in words
    assert "trustedNetworks in [Security]" in words


def test_off_loopback_it_listens_for_trusted_networks_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        server = listening.listen(
            echo, ("0.0.0.0", 0), section=SECTION, trusted_networks=["10.1.0.0/16"]
        )
    server.serve()
    with RawPeer(("127.0.0.1", server.port)) as peer:
        answer = peer.call(b"hello")
    server.stop()

    [line] = [record.message for record in caplog.records]
    assert line == (
        f"Listening on 0.0.0.0:{server.port} without encryption; everybody in 10.1.0.0/16 is "
        "trusted."
    )
    assert answer == b"hello"
