"""Which way a client takes to the cluster manager."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tashi.domain.errors import Refused
from tashi.programs import frontdoor


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the configuration says that the socket of this machine is."""
    path = tmp_path / "cm.sock"
    (tmp_path / "Tashi.cfg").write_text(f"[Security]\nlocalSocket = {path}\n")
    monkeypatch.setenv("TASHI_CONFIG_DIRS", str(tmp_path))
    frontdoor._settings.cache_clear()
    yield path
    frontdoor._settings.cache_clear()


@pytest.fixture
def made(path: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        yield path


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_on_the_cluster_managers_machine_it_is_the_socket(
    made: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASHI_CM_HOST", host)

    assert str(frontdoor._link()) == str(made)


@pytest.mark.usefixtures("made")
def test_a_cluster_manager_elsewhere_is_called_over_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASHI_CM_HOST", "192.0.2.1")

    assert str(frontdoor._link()) == "192.0.2.1:9882"


@pytest.mark.usefixtures("path")
def test_without_the_socket_the_network_is_used() -> None:
    assert str(frontdoor._link()) == "127.0.0.1:9882"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (EOFError(), "No password was typed"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "no UTF-8 text"),
    ],
)
def test_a_password_that_is_none_is_refused_in_words(
    wrong: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_question: str, _stream: object) -> str:
        raise wrong

    monkeypatch.setattr("getpass.getpass", asked)

    with pytest.raises(Refused, match=words):
        frontdoor._ask_hidden("Password of ada: ")


def test_who_has_neither_home_nor_name_logs_in_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path.parent / "Tashi.cfg").write_text("[Security]\nauthAndEncrypt = True\n")
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)

    assert frontdoor._login().name == ""
    assert frontdoor._pocket().find() is None
