"""Daemons are killed under load, and nothing that was acknowledged is lost or done twice.

A few rounds of what `crashes.py` does by hand for as long as one likes.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from system import crashes, deadly
from system.books import Place
from system.libvirt_sites import EITHER
from system.sites import LIBVIRT, SIMULATED, Site

SEED = 20_261


@pytest.fixture
def site(short_path: Path, books: Place) -> Iterator[Site]:
    site = crashes.a_site(short_path, vmm=SIMULATED, hosts=2, books=books)
    site.start()
    yield site
    assert not site.end()


@pytest.fixture
def real_site(vmm: str, short_path: Path, guest_image: Path, books: Place) -> Iterator[Site]:
    site = crashes.a_site(short_path, vmm=vmm, hosts=2, real=guest_image, books=books)
    site.start()
    yield site
    assert not site.end()


def expect_nothing_broken(site: Site, steps: Sequence[str]) -> None:
    """Let a cluster manager die at each of these steps, under load."""
    report = crashes.Ordeal(site, random.Random(SEED)).go_through(steps)

    assert not report.broken, f"{report}\n{report.story}"
    assert report.told.destroyed
    assert not report.missed


@pytest.mark.every_store
def test_a_cluster_manager_that_dies_at_any_step_of_its_store_loses_and_doubles_nothing(
    site: Site,
) -> None:
    expect_nothing_broken(site, site.books.steps)


def test_a_cluster_manager_that_dies_at_any_step_of_its_ledger_loses_and_doubles_nothing(
    site: Site,
) -> None:
    expect_nothing_broken(site, deadly.LEDGER_STEPS * 2)


@pytest.mark.qemu
@EITHER
def test_daemons_and_guests_that_die_at_any_moment_lose_and_double_nothing(
    real_site: Site, vmm: str
) -> None:
    # Through libvirt once each, for there a blow takes longer.
    more = (crashes.A_LIBVIRTD,) if vmm == LIBVIRT else crashes.AT_ANY_MOMENT[:5]
    blows = (*crashes.AT_ANY_MOMENT, *more)

    report = crashes.Ordeal(real_site, random.Random(SEED)).go_through(blows, real=1)

    assert not report.broken, f"{report}\n{report.story}"
    assert report.told.destroyed
    assert report.most_guests > 1
