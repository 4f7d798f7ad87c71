"""Connections over TLS: who gets in, what the other is told, and what a hostile peer gets."""

import logging
import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters_rpyc.raw import PATIENCE_SECONDS, RawPeer, echo, serving
from certificates import Office
from tashi.adapters.pki import authority
from tashi.adapters.rpyc import papers as reading
from tashi.adapters.rpyc.calling import Secrets
from tashi.adapters.rpyc.limits import Limits
from tashi.adapters.rpyc.listening import listen
from tashi.adapters.rpyc.papers import Papers
from tashi.adapters.rpyc.peers import Link
from tashi.adapters.rpyc.server import EventedServer
from tashi.domain.errors import Misconfigured, PeerSilent
from tashi.domain.proofs import Certificate
from tashi.ports.peers import Handler, Peer

SOON = 30.0


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    office = Office(tmp_path_factory.mktemp("office"))
    office.issued("clustermanager")
    office.issued("nodemanager")
    office.issued("user", "ada")
    return office


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Office:
    stranger = Office(tmp_path_factory.mktemp("stranger"))
    stranger.issued("clustermanager")
    return stranger


@contextmanager
def secure(
    folder: Path,
    handler: Handler = echo,
    *,
    demanding: bool = False,
    limits: Limits | None = None,
) -> Iterator[EventedServer]:
    server = listen(
        handler,
        ("127.0.0.1", 0),
        section="Example",
        limits=limits,
        papers=Papers(folder, demanding=demanding, shows=True),
    )
    server.serve()
    try:
        yield server
    finally:
        server.stop()


def link_to(
    server: EventedServer, folder: Path, role: str = "clustermanager", host: str = "localhost"
) -> "closing[Link]":
    secrets = Secrets(Papers(folder), role)
    return closing(Link((host, server.address[1]), secrets=secrets))


def refusal(link: Link) -> str:
    with pytest.raises(PeerSilent) as caught:
        link.call(b"hello", SOON)
    assert caught.value.about["sent"] == "no"
    return str(caught.value)


def of(office: Office, what: str) -> Path:
    return office.folder / what


class Witness:
    """Keeps who called."""

    def __init__(self) -> None:
        self.seen: list[Peer] = []

    def __call__(self, request: bytes, peer: Peer) -> bytes:
        self.seen.append(peer)
        return request


def test_a_certificate_vouches_for_role_and_name(office: Office) -> None:
    witness = Witness()
    with (
        secure(of(office, "clustermanager-localhost"), witness) as server,
        link_to(server, of(office, "user-ada")) as link,
    ):
        assert link.call(b"hello", SOON) == b"hello"

    [peer] = witness.seen
    assert peer.proof == Certificate("user", "ada")
    assert peer.encrypted


def test_who_shows_nothing_is_let_in_where_people_log_in_and_nothing_is_vouched_for(
    office: Office,
) -> None:
    witness = Witness()
    with (
        secure(of(office, "clustermanager-localhost"), witness) as server,
        link_to(server, office.folder) as link,
    ):
        assert link.call(b"hello", SOON) == b"hello"

    [peer] = witness.seen
    assert peer.proof is None
    assert peer.encrypted


def test_who_shows_nothing_is_turned_away_where_only_daemons_call(office: Office) -> None:
    with (
        secure(of(office, "nodemanager-localhost"), demanding=True) as server,
        link_to(server, office.folder, "nodemanager") as link,
    ):
        assert "it asks for a certificate, and there is none here to show" in refusal(link)


def test_each_side_says_that_the_authority_is_another(
    office: Office, stranger: Office, caplog: pytest.LogCaptureFixture
) -> None:
    with secure(of(office, "clustermanager-localhost")) as server:
        with link_to(server, of(stranger, "clustermanager-localhost")) as link:
            assert "its certificate is of another authority than ours" in refusal(link)

        mixed = Path(
            shutil.copytree(of(stranger, "clustermanager-localhost"), stranger.folder / "mixed")
        )
        shutil.copy(office.folder / "ca-cert.pem", mixed / "ca-cert.pem")
        with link_to(server, mixed) as link:
            assert "it does not accept our certificate, which is of another authority" in refusal(
                link
            )

    assert "Closed a connection of 127.0.0.1: it does not accept our certificate" in caplog.text


def test_each_side_says_that_a_certificate_has_expired(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    old = office.expired("clustermanager", "old.example.org")
    with (
        secure(of(office, "clustermanager-localhost")) as server,
        link_to(server, old) as link,
    ):
        assert "it does not accept our certificate, which has expired" in refusal(link)
    assert "Closed a connection of 127.0.0.1: its certificate has expired" in caplog.text

    with (
        secure(office.expired("clustermanager", "127.0.0.1")) as server,
        link_to(server, of(office, "user-ada"), host="127.0.0.1") as link,
    ):
        assert "its certificate has expired" in refusal(link)


def test_a_server_of_another_name_or_role_is_not_believed(office: Office) -> None:
    elsewhere = office.issued("clustermanager", "elsewhere.example.org")
    with secure(elsewhere) as server, link_to(server, of(office, "user-ada")) as link:
        assert "its certificate is not for localhost" in refusal(link)

    with (
        secure(of(office, "nodemanager-localhost")) as server,
        link_to(server, of(office, "user-ada")) as link,
    ):
        assert (
            "its certificate is for the nodemanager localhost, not for a clustermanager"
            in refusal(link)
        )


def test_a_user_cannot_serve(office: Office) -> None:
    with secure(of(office, "user-ada")) as server, link_to(server, of(office, "user-ada")) as link:
        assert "its certificate is not for a server" in refusal(link)


def test_plain_and_secure_do_not_talk_and_say_why(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        secure(of(office, "clustermanager-localhost")) as server,
        closing(Link(server.address)) as plain,
    ):
        refusal(plain)
    assert "it does not speak TLS: is authAndEncrypt set there?" in caplog.text

    with serving() as server, link_to(server, of(office, "user-ada")) as link:
        assert "is authAndEncrypt set there?" in refusal(link) or "TLS should begin" in refusal(
            link
        )


def test_old_tls_is_not_spoken(office: Office) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(office.folder / "ca-cert.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        secure(of(office, "clustermanager-localhost")) as server,
        socket.create_connection(server.address, PATIENCE_SECONDS) as sock,
        pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"),
    ):
        context.wrap_socket(sock, server_hostname="localhost")


def test_long_messages_pass_both_ways_for_many_at_once(office: Office) -> None:
    contents = [os.urandom(900_000) for _ in range(8)]
    with (
        secure(of(office, "clustermanager-localhost")) as server,
        link_to(server, of(office, "user-ada")) as link,
        ThreadPoolExecutor(8) as pool,
    ):
        for _ in range(2):
            assert list(pool.map(lambda one: link.call(one, 30.0), contents)) == contents


def test_many_small_calls_share_a_line(office: Office) -> None:
    contents = [b"%d" % number for number in range(400)]
    with (
        secure(of(office, "clustermanager-localhost")) as server,
        link_to(server, of(office, "user-ada")) as link,
        ThreadPoolExecutor(8) as pool,
    ):
        assert list(pool.map(lambda one: link.call(one, 30.0), contents)) == contents


def test_a_handshake_that_is_not_finished_is_cut_off(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(handshake_seconds=0.2)
    with (
        secure(of(office, "clustermanager-localhost"), limits=limits) as server,
        RawPeer(server.address) as peer,
    ):
        peer.send(b"\x16\x03\x01")

        assert peer.is_cut_off()
    assert "it did not finish its handshake" in caplog.text


def test_unfinished_handshakes_keep_nobody_out(office: Office) -> None:
    limits = Limits(handshakes=4)
    with secure(of(office, "clustermanager-localhost"), limits=limits) as server:
        idle = [RawPeer(server.address) for _ in range(12)]
        with link_to(server, of(office, "user-ada")) as link:
            assert link.call(b"hello", SOON) == b"hello"

        assert sum(peer.is_cut_off() for peer in idle[:8]) == 8
        for peer in idle:
            peer.sock.close()


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_are_shown_the_door(office: Office, seed: int) -> None:
    with secure(of(office, "clustermanager-localhost")) as server:
        for length in (1, 5, 300, 20_000):
            with RawPeer(server.address) as peer:
                peer.send(bytes((seed, 3, 1, 0)) + os.urandom(length))
                peer.sock.shutdown(socket.SHUT_WR)
                while peer.sock.recv(4096):
                    pass
        with link_to(server, of(office, "user-ada")) as link:
            assert link.call(b"hello", SOON) == b"hello"
        assert threading.active_count() < 40


def test_a_new_certificate_is_used_without_a_restart(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reading, "LOOK_EVERY_SECONDS", 0.0)
    folder = office.issued("clustermanager", "renewed.example.org")
    with secure(folder) as server, caplog.at_level(logging.INFO):
        with link_to(server, of(office, "user-ada")) as link:
            assert "its certificate is not for localhost" in refusal(link)

        (folder / "client-key.pem").write_text("half a file")
        with link_to(server, of(office, "user-ada")) as link:
            assert "its certificate is not for localhost" in refusal(link)
        assert "The one that was there serves on." in caplog.text

        for name in ("client-key.pem", "client-cert.pem"):
            shutil.copy(of(office, "clustermanager-localhost") / name, folder / name)
        with link_to(server, of(office, "user-ada")) as link:
            assert link.call(b"hello", SOON) == b"hello"


@pytest.fixture
def renewing(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Callable[[], None]]:
    """A node's folder, and what puts a certificate there that ends on another day."""
    monkeypatch.setattr(reading, "LOOK_EVERY_SECONDS", 0.0)
    folder = Path(shutil.copytree(of(office, "nodemanager-localhost"), tmp_path / "node"))

    def renew() -> None:
        authority.renew(office.folder, folder, 50, datetime.now(UTC))

    return folder, renew


def test_a_caller_shows_its_new_certificate_from_the_next_call_on(
    office: Office, renewing: tuple[Path, Callable[[], None]]
) -> None:
    (folder, renew), witness = renewing, Witness()
    with (
        secure(of(office, "clustermanager-localhost"), witness) as server,
        link_to(server, folder) as link,
    ):
        for _ in range(2):
            link.call(b"hello", SOON)
        renew()
        for _ in range(2):
            link.call(b"hello", SOON)

    first, second, third, fourth = (one.proof for one in witness.seen)
    lasts = authority.look(folder)
    assert lasts is not None
    assert isinstance(third, Certificate)
    assert third.until == lasts.until.timestamp()
    assert (first is second, second is third, third is fourth) == (True, False, True)


def test_who_waits_has_the_answer_though_the_certificate_is_renewed(
    office: Office, renewing: tuple[Path, Callable[[], None]]
) -> None:
    (folder, renew), goes_on, waits = renewing, threading.Event(), threading.Event()

    def patient(request: bytes, _peer: Peer) -> bytes:
        if request == b"wait":
            waits.set()
            assert goes_on.wait(SOON)
        return request

    with (
        secure(of(office, "clustermanager-localhost"), patient) as server,
        link_to(server, folder) as link,
        ThreadPoolExecutor(1) as hand,
    ):
        waiting = hand.submit(link.call, b"wait", SOON)
        assert waits.wait(SOON)
        renew()
        meanwhile = link.call(b"hello", SOON)
        goes_on.set()

        assert (meanwhile, waiting.result()) == (b"hello", b"wait")


def spoilt(office: Office, tmp_path: Path) -> Path:
    return Path(shutil.copytree(of(office, "nodemanager-localhost"), tmp_path / "spoilt"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "ca-cert.pem").unlink(), "make it with tashi-admin initPki"),
        (lambda folder: (folder / "ca-cert.pem").write_text("x"), "is no certificate that can be"),
        (lambda folder: (folder / "client-key.pem").unlink(), "tashi-admin issueCertificate"),
        (lambda folder: (folder / "client-key.pem").write_text("x"), "no certificate and its key"),
        (
            lambda folder: shutil.copy(folder.parent / "ada.pem", folder / "client-key.pem"),
            "are no certificate and its key: key values mismatch",
        ),
    ],
)
def test_files_that_cannot_be_used_are_named(
    office: Office, tmp_path: Path, spoil: "object", words: str
) -> None:
    folder = spoilt(office, tmp_path)
    shutil.copy(of(office, "user-ada") / "client-key.pem", tmp_path / "ada.pem")
    assert callable(spoil)
    spoil(folder)

    with pytest.raises(Misconfigured, match=words) as caught:
        Papers(folder, shows=True)

    assert "\n" not in str(caught.value)
