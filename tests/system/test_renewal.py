"""Certificates that end soon are renewed while everything goes on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from system.sites import PATIENCE_SECONDS, SIMULATED, Shape, Site
from tashi.adapters.pki import authority

pytestmark = pytest.mark.system

SOON_DAYS = 20


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, Shape(vmm=SIMULATED, hosts=1, secure=True))
    for folder in folders(site):
        authority.renew(tmp_path / "pki", folder, SOON_DAYS, datetime.now(UTC))
    try:
        site.start()
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


def folders(site: Site) -> tuple[Path, ...]:
    """Where the daemons' certificates lie; the node's is on a machine without the authority."""
    pki = site.folder / "pki"
    return pki / "clustermanager", pki / "scheduler", site.folder / "n1/pki/nodemanager"


def days_left(folder: Path) -> float:
    lasts = authority.look(folder)
    assert lasts is not None
    return lasts.days(datetime.now(UTC))


def test_every_daemon_has_its_certificate_renewed_and_is_still_believed(site: Site) -> None:
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until and min(map(days_left, folders(site))) < 300:
        site.now()

    assert min(map(days_left, folders(site))) > 300, site.story()
    assert not (site.folder / "n1/pki/ca-key.pem").exists()
    assert "The certificate of the nodemanager host1 is renewed." in site.manager.log.read_text()
    site.nodes[0].kill()
    site.nodes[0].start()
    site.until(lambda now: now.hosts[0].up and now.hosts[0].session > 1)
    site.nodes[0].kill()
