"""Tests of libvirt's library need it, as `make compiled` brings it; those of texts do not."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libvirtds import Libvirtd

if TYPE_CHECKING:
    from adapters_libvirt.pairs import Pair

IS_THERE = find_spec("libvirt") is not None

NEED_IT = [
    "test_busy_guests.py",
    "test_doors.py",
    "test_guest.py",
    "test_guests_of_a_hung_libvirtd.py",
    "test_headstones.py",
    "test_killed_in_between.py",
    "test_libvirtd.py",
    "test_link.py",
    "test_orders_without_libvirtd.py",
    "test_others.py",
    "test_small_promises.py",
    "test_taps_of_guests.py",
]

collect_ignore = [] if IS_THERE else NEED_IT


@pytest.fixture(scope="session", autouse=True)
def libvirts_loop() -> None:
    """What libvirt's library opens once for good is there before the first test."""
    if IS_THERE:
        from contracts.libvirt_machines import know_the_loop  # noqa: PLC0415  needs make compiled

        know_the_loop()


@pytest.fixture
def pair(libvirtds: Sequence[Libvirtd], verdict: Path) -> "Iterator[Pair]":
    """Two machines without guests, whose libvirtds run in the end."""
    from adapters_libvirt.pairs import Pair  # noqa: PLC0415  needs make compiled

    with ExitStack() as stack:
        yield Pair(stack, libvirtds, verdict)
