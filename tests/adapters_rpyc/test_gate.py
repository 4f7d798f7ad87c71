"""Who may connect, and how much is written about those who may not."""

import logging

import pytest

from tashi.adapters.rpyc import gate
from tashi.domain.errors import Misconfigured


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::7", True),
        ("10.2.0.1", False),
        ("8.8.8.8", False),
        ("2001:db8::1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_loopback_and_the_named_networks_are_trusted(host: str, trusted: bool) -> None:
    door = gate.Gate(gate.networks(["10.1.0.0/16", "fd00::/8"]), 10)

    assert door.trusts(host) is trusted


def test_a_host_is_counted_in_and_out() -> None:
    door = gate.Gate((), 2)

    door.enter("10.0.0.1")
    door.enter("10.0.0.1")
    full = door.is_full_for("10.0.0.1"), door.is_full_for("10.0.0.2")
    door.leave("10.0.0.1")
    after = door.is_full_for("10.0.0.1")
    door.leave("10.0.0.1")

    assert full == (True, False)
    assert not after
    assert not door._inside


@pytest.mark.parametrize("written", ["10.1.0.0/33", "10.1.0.7/16", "everywhere", ""])
def test_a_network_that_is_none_is_named(written: str) -> None:
    with pytest.raises(Misconfigured, match=r"trustedNetworks in \[Security\]"):
        gate.networks([written])


def test_a_host_earns_one_line_a_minute_which_counts_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    complaints = gate.Complaints(lambda: now[0])

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            complaints.closed("10.0.0.1", "it is rude")
        complaints.closed("10.0.0.2", "it is loud")
        now[0] = 60.0
        complaints.closed("10.0.0.1", "it is rude")

    assert [record.message for record in caplog.records] == [
        "Closed a connection of 10.0.0.1: it is rude.",
        "Closed a connection of 10.0.0.2: it is loud.",
        "Closed a connection of 10.0.0.1: it is rude (2 more since the last such line).",
    ]


def test_what_is_remembered_of_hosts_is_bounded() -> None:
    complaints = gate.Complaints(lambda: 0.0)

    for number in range(5000):
        complaints.closed(str(number), "it is one of many")

    assert len(complaints._said) <= gate.MOST_REMEMBERED
