"""named, dhcpd and Tashi's daemons are killed while guests come and go, and in the end all agree.

A few rounds of what `site_crashes.py` does by hand for as long, and with as many, as one likes.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from system import site_crashes
from system.books import Place
from system.served_sites import ServedSite, served

SEED = 20_262


@pytest.fixture
def site(short_path: Path, books: Place) -> Iterator[ServedSite]:
    with served(short_path, books) as site:
        site.add_image(site_crashes.EMPTY)
        site.start()
        yield site


@pytest.mark.timeout(900)
def test_whoever_dies_when_books_dns_and_dhcp_agree_in_the_end(site: ServedSite) -> None:
    report = site_crashes.SiteOrdeal(site, random.Random(SEED)).go_through(
        site_crashes.BLOWS, alive=9
    )

    assert not report.broken, f"{report}\n{report.story}"
    assert report.told.destroyed
    assert report.alive >= 9
