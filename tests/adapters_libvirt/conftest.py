"""Tests of libvirt's library need it, as `make compiled` brings it; those of texts do not."""

from importlib.util import find_spec

import pytest

IS_THERE = find_spec("libvirt") is not None

NEED_IT = ["test_guests_of_a_hung_libvirtd.py", "test_libvirtd.py", "test_link.py"]

collect_ignore = [] if IS_THERE else NEED_IT


@pytest.fixture(scope="session", autouse=True)
def libvirts_loop() -> None:
    """What libvirt's library opens once for good is there before the first test."""
    if IS_THERE:
        from contracts.libvirt_machines import know_the_loop  # noqa: PLC0415  needs make compiled

        know_the_loop()
