"""Real guests boot with the host names and addresses that Tashi chose; DNS has them meanwhile.

Two of what `real_names.py` does by hand for as many as one likes, with each kind of key.
"""

from pathlib import Path

import pytest

from site_servers import SiteKey
from system import real_names


@pytest.mark.qemu
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "key",
    [
        pytest.param(real_names.SHA256, id="sha256-by-tsig-keygen"),
        pytest.param(real_names.MD5, id="md5-as-an-old-pair"),
    ],
)
@pytest.mark.usefixtures("guest_image")
def test_real_guests_boot_with_the_names_and_addresses_that_were_chosen(
    short_path: Path, key: SiteKey
) -> None:
    with real_names.served_hosts(short_path, key) as site:
        assert real_names.wrongs(site, guests=2) == []
