"""Real guests boot with the host names and addresses that Tashi chose, whichever server dies.

A little of what `real_names.py` does by hand for as long, and with as many, as one likes; with each
kind of key.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from site_servers import SiteKey
from system import real_names

SEED = 20_265


@pytest.mark.qemu
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("key", "blows"),
    [
        pytest.param(
            real_names.SHA256, ("dhcpd", "named", "everything"), id="sha256-and-servers-die"
        ),
        pytest.param(real_names.MD5, (), id="md5-as-an-old-pair"),
    ],
)
@pytest.mark.usefixtures("guest_image")
def test_real_guests_have_the_names_and_addresses_that_were_chosen(
    short_path: Path, key: SiteKey, blows: Sequence[str]
) -> None:
    with real_names.served_hosts(short_path, key) as site:
        report = real_names.ordeal(site, random.Random(SEED), blows, guests=3)

    assert not report.broken, f"{report}\n{report.story}"
    assert report.alive >= 3
