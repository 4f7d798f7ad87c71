"""Boot real guests, kill the site's servers meanwhile, and see that all have the chosen names.

    PYTHONPATH=src:tests .venv/bin/python -m system.real_names --guests 5 --blows 20 [--seed N]
                                                               [--md5]

It is the ordeal of `site_crashes.py` with guests that boot on two hosts, every other one with two
network cards. They are the DHCP clients themselves: what a guest says on its console when it has
come up, and what it answers in the end to who asks it in its own shell, must be what is booked.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from site_servers import SiteKey
from system.clients import Wish
from system.ordeals import blows_for
from system.served_hosts import ServedHosts
from system.site_crashes import BLOWS, Pace, SiteOrdeal, SiteReport
from tashi.wire.forms import NicForm

IMAGE: Final = Path(__file__).parents[2] / "build/guest/tashi-guest.qcow2"
MD5: Final = SiteKey("merkabah", "hmac-md5")
SHA256: Final = SiteKey()
REAL: Final = Wish(
    image="guest.qcow2",
    memory=96,
    cards=((NicForm(999),), (NicForm(999), NicForm(1001))),
    per_second=0.1,
)
SLOW: Final = Pace(work_seconds=8.0, asked=20)
"""Long enough that some guests come up between two blows, and short enough that some do not."""


@contextmanager
def served_hosts(folder: Path, key: SiteKey, hosts: int = 1) -> Iterator[ServedHosts]:
    """Hosts with servers that know the key; the old kind of key file goes with the old kind."""
    site = ServedHosts(folder, hosts, key, old_pair=key is MD5)
    try:
        site.start()
        shutil.copyfile(IMAGE, site.images / "guest.qcow2")
        yield site
    finally:
        left = site.end()
    assert not left, site.story()


def ordeal(
    site: ServedHosts, draws: random.Random, blows: Sequence[str], guests: int
) -> SiteReport:
    """Let these blows fall while guests come and go, and look, with so many alive in the end."""
    return SiteOrdeal(site, draws, REAL, SLOW).go_through(blows, guests)


def main(words: Sequence[str] | None = None) -> int:
    """Do it by hand; the exit code says whether all was right."""
    parser = argparse.ArgumentParser(description="Boot guests and look at their names.")
    parser.add_argument("--guests", type=int, default=5, help="how many live in the end (5)")
    parser.add_argument("--blows", type=int, default=20, help="how often something is killed (20)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the dice")
    parser.add_argument("--md5", action="store_true", help="with the guide's kind of key")
    asked = parser.parse_args(words)
    key, draws = MD5 if asked.md5 else SHA256, random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder, served_hosts(Path(folder), key, 2) as site:
        report = ordeal(site, draws, blows_for(asked.blows, draws, BLOWS), asked.guests)
    sys.stdout.write(f"{report.story}\nseed {asked.seed}, {key.algorithm}\n{report}\n")
    return bool(report.broken)


if __name__ == "__main__":
    sys.exit(main())
