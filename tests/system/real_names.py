"""Boot real guests and see that they have the names and addresses that Tashi chose for them.

    PYTHONPATH=src:tests .venv/bin/python -m system.real_names --guests 5 [--md5]

Every other guest has two network cards. For each, the guest's own console says what DHCP gave it,
named says both directions, and OMAPI says the same; after its end, nobody says anything.
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from site_servers import DOMAIN, SiteKey
from system.served_hosts import ServedHosts

IMAGE: Final = Path(__file__).parents[2] / "build/guest/tashi-guest.qcow2"
MD5: Final = SiteKey("merkabah", "hmac-md5")
SHA256: Final = SiteKey()
BOOT_SECONDS: Final = 240.0
_SAID: Final = re.compile(r"GUEST-(?:READY|ADDRESS) host=(\S+) address=(\S+)")


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


def wrongs(site: ServedHosts, guests: int) -> list[str]:
    """Boot so many guests, look, and end them; whatever is not as it should be, one line each."""
    cards = {f"vm{number}": ("999", "1001")[: 1 + number % 2] for number in range(guests)}
    for name, networks in cards.items():
        nics = ("--nics", ",".join(networks), "--disks", "guest.qcow2", "--memory", "96")
        made = site.run("client", "createVm", "--name", name, *nics, "--wait")
        assert made.returncode == 0, f"{made.stderr}\n{site.story()}"
    found = [words for name, networks in cards.items() for words in _seen(site, name, networks)]
    entries = [one for name in cards for one in site.entries(name)]
    for name in cards:
        site.run("client", "destroyVm", "--instance", name, "--wait")
    site.until(lambda now: not now.instances)
    gone = site.in_dns(entries)
    found += [f"DNS still has {one} after its end." for one in gone if one != ([], [])]
    after = site.differ_in_dhcp(entries)
    found += [f"DHCP is {one} after the end." for one in after if one != "missing"]
    return found


def _seen(site: ServedHosts, name: str, networks: Sequence[str]) -> Iterator[str]:
    entries = site.entries(name)
    if [one.name for one in entries] != [name, f"{name}-nic1"][: len(networks)]:
        yield f"{name} has {entries} on the networks {networks}."
    dns = site.in_dns(entries)
    if dns != [([one.ip], [f"{one.name}.{DOMAIN}."]) for one in entries]:
        yield f"DNS says {dns} of {entries}."
    dhcp = site.differ_in_dhcp(entries)
    if dhcp != [None] * len(entries):
        yield f"DHCP says {dhcp} of {entries}."
    said = _said_by_the_guest(site, name, len(entries))
    if {ip for _, ip in said} != {one.ip for one in entries}:
        yield f"The guest {name} has {said}, booked is {entries}."
    if not {host for host, _ in said} <= {one.name for one in entries}:
        yield f"The guest {name} calls itself {said}."


def _said_by_the_guest(site: ServedHosts, name: str, cards: int) -> list[tuple[str, str]]:
    """What its console says of each card, once it has: host name and address."""
    guest, deadline = site.guest(name), monotonic() + BOOT_SECONDS
    while len(said := _SAID.findall(guest.console())) < cards:
        assert monotonic() < deadline, guest.console()
        sleep(0.1)
    return said


def main(words: Sequence[str] | None = None) -> int:
    """Do it by hand; the exit code says whether all was right."""
    parser = argparse.ArgumentParser(description="Boot guests and look at their names.")
    parser.add_argument("--guests", type=int, default=5, help="how many (5)")
    parser.add_argument("--md5", action="store_true", help="with the guide's kind of key")
    asked = parser.parse_args(words)
    key = MD5 if asked.md5 else SHA256
    with tempfile.TemporaryDirectory() as folder, served_hosts(Path(folder), key, 2) as site:
        found = wrongs(site, asked.guests)
    sys.stdout.write("\n".join([*found, f"{asked.guests} guests, {len(found)} wrongs\n"]))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
