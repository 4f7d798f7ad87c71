"""One process has a seat at a time, and nobody can keep another user's out of it."""

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tashi.adapters.system.seat import Seat
from tashi.domain.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65_534
SITS = """
import os, sys
from tashi.adapters.system.seat import Seat
os.seteuid(int(sys.argv[2]))
seat = Seat("scheduler", sys.argv[1])
print("seated", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def cluster() -> str:
    """A cluster that no other test works for."""
    return f"the cluster manager at {uuid.uuid4()}:9882"


@contextmanager
def seated(cluster: str, uid: int = os.geteuid()) -> "Iterator[subprocess.Popen[bytes]]":
    """Another process that sits there."""
    with subprocess.Popen(
        [sys.executable, "-c", SITS, cluster, str(uid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"seated\n"
        yield other
        other.kill()


def test_a_second_one_is_refused_with_the_first_ones_number(cluster: str) -> None:
    with seated(cluster) as other, pytest.raises(Refused) as refusal:
        Seat("scheduler", cluster)

    assert str(refusal.value) == (
        f"Another scheduler works for {cluster} on this machine (process {other.pid}): stop that "
        "one first."
    )


def test_the_seat_of_one_that_was_killed_or_gave_up_is_free(cluster: str) -> None:
    with seated(cluster) as other:
        other.kill()
        other.wait()

        Seat("scheduler", cluster).give_up()
        Seat("scheduler", cluster).give_up()


def test_another_cluster_has_a_seat_of_its_own(cluster: str) -> None:
    first, second = Seat("scheduler", cluster), Seat("scheduler", f"{cluster}1")

    first.give_up()
    second.give_up()


def test_who_is_greeted_leaves_room_for_those_who_ask_later(cluster: str) -> None:
    seat = Seat("scheduler", cluster)

    for _ in range(300):  # more than the kernel lets wait
        with pytest.raises(Refused):
            Seat("scheduler", cluster)
        seat.greet()

    seat.give_up()


def test_a_stranger_keeps_nobody_out(
    cluster: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with seated(cluster, NOBODY if os.geteuid() == 0 else os.geteuid()):
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY + 1)
        Seat("scheduler", cluster).give_up()

    assert "is disregarded" in caplog.text
