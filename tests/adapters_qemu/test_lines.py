"""A port that waits for a guest is open to one machine only."""

import socket

import pytest

from tashi.adapters.hypervisor.qemu.lines import call, filter_of, listen_for
from tashi.domain.errors import HypervisorFailed

PEER, STRANGER, HERE = "127.0.0.5", "127.0.0.6", "127.0.0.1"
NOT_LONG = 0.3


def knock(place: tuple[str, int], sender: str) -> bool:
    """Whether somebody at that address is let in."""
    try:
        socket.create_connection(place, NOT_LONG, (sender, 0)).close()
    except TimeoutError:
        return False
    return True


def test_the_peer_is_let_in_and_nobody_else_even_notices_a_port() -> None:
    with listen_for(PEER, HERE) as listener:
        place = listener.getsockname()

        seen = {sender: knock(place, sender) for sender in (PEER, STRANGER, HERE)}

    assert seen == {PEER: True, STRANGER: False, HERE: False}


def test_the_filter_cannot_be_taken_off_again() -> None:
    with (
        listen_for(PEER, HERE) as listener,
        pytest.raises(PermissionError),
    ):
        listener.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER


def test_a_call_comes_from_the_address_that_was_said() -> None:
    with listen_for(PEER, HERE) as listener, call(listener.getsockname(), PEER) as line:
        met, where = listener.accept()
        met.close()

        assert where == line.getsockname()
        assert where[0] == PEER


def test_a_peer_may_be_named() -> None:
    with listen_for("localhost", HERE) as listener:
        assert knock(listener.getsockname(), HERE)
        assert not knock(listener.getsockname(), STRANGER)


def test_newer_addresses_are_told_apart_as_well() -> None:
    with listen_for("::1", "::1") as listener:
        call(listener.getsockname()[:2], "::1").close()
    with listen_for("fd00::5", "::1") as closed:
        line = socket.socket(socket.AF_INET6)
        line.settimeout(NOT_LONG)
        with line, pytest.raises(TimeoutError):
            line.connect(closed.getsockname())


@pytest.mark.parametrize(
    ("peer", "address", "words"),
    [
        ("", HERE, "too old"),
        ("no-such-host.invalid", HERE, "cannot be found out"),
        (PEER, "192.0.2.1", "No port of 192.0.2.1 can be had"),
    ],
)
def test_what_cannot_be_is_said(peer: str, address: str, words: str) -> None:
    with pytest.raises(HypervisorFailed, match=words):
        listen_for(peer, address)


def test_nobody_at_home_is_said() -> None:
    with socket.create_server((HERE, 0)) as gone:
        place = gone.getsockname()

    with pytest.raises(HypervisorFailed, match=f"{HERE}:{place[1]} is not reached"):
        call(place, HERE)


def test_a_filter_for_nobody_lets_nobody_pass() -> None:
    assert filter_of([]) == [(0x06, 0, 0, 0)]
