"""A server on a socket of this machine: who calls is known, and nobody takes its place."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tashi.adapters.rpyc.leading import LeaderLink
from tashi.adapters.rpyc.limits import Limits
from tashi.adapters.rpyc.listening import listen_locally
from tashi.adapters.rpyc.local import LocalServer, account
from tashi.adapters.rpyc.peers import Link, LocalLink
from tashi.adapters.system.addresses import is_this_machine
from tashi.domain.errors import Misconfigured, PeerSilent
from tashi.domain.proofs import KernelsWord
from tashi.ports.peers import Peer
from tashi.wire import envelope

SELF = os.geteuid()


def who(_: bytes, peer: Peer) -> bytes:
    """Answers with who calls."""
    assert isinstance(peer.proof, KernelsWord)
    return f"{peer} {peer.proof.uid} {peer.proof.account} {peer.encrypted}".encode()


@contextmanager
def serving(path: Path, limits: Limits | None = None) -> Iterator[LocalServer]:
    server = listen_locally(who, path, limits)
    server.serve()
    try:
        yield server
    finally:
        server.stop()


def asked(path: Path) -> str:
    link = LocalLink(path)
    try:
        return link.call(envelope.write_request("1.0", "1", "getHosts"), 10.0).decode()
    finally:
        link.close()


def complaint(path: Path) -> str:
    with pytest.raises(Misconfigured) as caught:
        listen_locally(who, path)
    return caught.value.message


def test_the_kernel_says_who_calls(tmp_path: Path) -> None:
    path = tmp_path / "run" / "cm.sock"  # the folder is made

    with serving(path) as server:
        heard = asked(path)
        mode = path.stat().st_mode

    assert heard == f"uid {SELF} {SELF} {account(SELF)} True"
    assert server.address == (str(path), 0)
    assert stat.S_IMODE(mode) == 0o666
    assert list(path.parent.iterdir()) == []


@pytest.mark.system
def test_another_user_is_another_user() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "cm.sock")
        with serving(path):
            os.seteuid(54321)
            try:
                heard = asked(path)
            finally:
                os.seteuid(0)

    assert heard == "uid 54321 54321  True"


def test_this_machines_accounts_have_names() -> None:
    assert account(0) == "root"
    assert account(2**32 - 3) == ""


def test_what_a_dead_daemon_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "cm.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    with serving(path):
        assert asked(path).startswith("uid ")


def test_a_socket_that_is_served_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "cm.sock"

    with serving(path):
        words = complaint(path)
        still = asked(path)

    assert words == (
        f"Cannot listen on {path}: another program listens there; set another localSocket in "
        "[Security]."
    )
    assert still.startswith("uid ")


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "cm.sock"
    path.write_text("precious")

    assert f"Cannot listen on {path}: there is something else;" in complaint(path)
    assert path.read_text() == "precious"


def test_the_socket_of_a_successor_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "cm.sock"
    server = listen_locally(who, path)
    server.serve()
    path.unlink()

    with serving(path):
        server.stop()
        heard = asked(path)

    assert heard.startswith("uid ")


def test_one_that_never_served_leaves_nothing(tmp_path: Path) -> None:
    listen_locally(who, tmp_path / "cm.sock").stop()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_a_folder_that_others_may_write_in_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)

    assert complaint(folder / "cm.sock").startswith(f"Others may write in {folder}, and could put")


@pytest.mark.parametrize("name", ["none/deep/cm.sock", f"{'x' * 120}.sock"])
def test_a_path_that_cannot_be_is_named_with_the_remedy(tmp_path: Path, name: str) -> None:
    words = complaint(tmp_path / name)

    assert words.startswith(f"Cannot listen on {tmp_path / name}: ")
    assert words.endswith("; set another localSocket in [Security].")


def test_who_may_not_have_all_the_connections_is_each_user(tmp_path: Path) -> None:
    path = tmp_path / "cm.sock"
    with serving(path, Limits(connections_per_host=2)):
        links = [LocalLink(path) for _ in range(3)]
        request = envelope.write_request("1.0", "1", "getHosts")
        for link in links[:2]:
            link.call(request, 10.0)
        with pytest.raises(PeerSilent):
            links[2].call(request, 10.0)
        for link in links:
            link.close()


def test_a_socket_that_nobody_serves_is_named(tmp_path: Path) -> None:
    with pytest.raises(PeerSilent, match=rf"{tmp_path}/cm\.sock cannot be reached for getHosts"):
        asked(tmp_path / "cm.sock")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", socket.gethostname()])
def test_this_machine_is_known_by_all_its_names(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "bad..name"])
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_this_machine(host)


def test_a_link_knows_whether_others_can_read_what_is_said_over_it() -> None:
    here, abroad = LocalLink(Path("/run/none")), Link(("192.0.2.1", 9882))

    assert here.private
    assert not abroad.private
    assert LeaderLink([here]).private
    assert not LeaderLink([here, abroad]).private
