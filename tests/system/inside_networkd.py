"""What is tried inside a guest: the files for systemd-networkd that the manual gives, by networkd.

The real systemd-networkd is started by hand, without systemd, udev or D-Bus, and with it a VLAN and
its bridge by a kernel that has 802.1Q. Another host at the end of the cable speaks with the VLAN's
tag, a guest on the bridge without. Says for each check what came of it: CHECK name: ok, or why not.
"""

import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from namespaces import Namespace

MANUAL: Final = Path("/source/operations.md")
FILES: Final = Path("/etc/systemd/network")
NETWORKD: Final = "/lib/systemd/systemd-networkd"
PATIENCE_SECONDS: Final = 60.0
_HEADING: Final = re.compile(r"# (\S+\.(?:network|netdev))")
_OWN: Final = "[Network]\nAddress=10.9.9.1/24\n"


def files_in(manual: str) -> dict[str, str]:
    """The files that the manual shows: columns, each under a heading with the file's name."""
    found: dict[str, list[str]] = {}
    columns: dict[str, slice] = {}
    for line in manual.splitlines():
        headings = list(_HEADING.finditer(line))
        if headings:
            starts = [one.start() for one in headings]
            ends = [*starts[1:], None]
            columns = {
                one[1]: slice(start, end)
                for one, start, end in zip(headings, starts, ends, strict=True)
            }
            found |= {name: [] for name in columns}
        elif line and not line.startswith("    "):
            columns = {}
        for name, column in columns.items():
            found[name].append(line[column].strip())
    return {name: "\n".join(lines[1:]).strip() + "\n" for name, lines in found.items()}


@contextmanager
def networkd(files: Mapping[str, str]) -> Iterator[None]:
    """Let networkd run with these files; what it made is removed afterwards."""
    FILES.mkdir(parents=True, exist_ok=True)
    for old in FILES.iterdir():
        old.unlink()
    for name, content in files.items():
        (FILES / name).write_text(content)
    with subprocess.Popen([NETWORKD]) as process:
        try:
            yield
        finally:
            process.terminate()
    for device in ("vmbr", "vmbr.999", "eth0.999"):
        subprocess.run(["ip", "link", "del", device], check=False, capture_output=True)


def said(*command: str) -> str:
    """What a program says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = monotonic() + PATIENCE_SECONDS
    while not holds():
        assert monotonic() < deadline, said("ip", "-d", "addr")
        sleep(0.1)


def is_joined(port: str, bridge: str) -> bool:
    """Whether the bridge has that port."""
    ports = said("ip", "-o", "link", "show", "master", bridge)
    return re.search(rf"^\d+: {re.escape(port)}[@:]", ports, re.MULTILINE) is not None


def reaches(guest: Namespace, ip: str) -> bool:
    """Whether an answer comes from there."""
    return " 0% packet loss" in guest.call(said, "ping", "-c", "1", "-W", "2", ip)


def expect_the_vlan(guest: Namespace) -> None:
    """The VLAN is what it is to be, and who is on its bridge reaches the other host."""
    eventually(lambda: is_joined("eth0.999", "vmbr.999"))
    details = said("ip", "-d", "link", "show", "eth0.999")
    assert "vlan protocol 802.1Q id 999" in details, details
    assert "inet" not in said("ip", "addr", "show", "dev", "vmbr.999")
    said("ip", "link", "set", "port", "master", "vmbr.999", "up")
    eventually(lambda: reaches(guest, "10.9.99.2"))


def a_vlan_gets_its_bridge(files: Mapping[str, str], guest: Namespace, _: Namespace) -> None:
    with networkd(files):
        expect_the_vlan(guest)


def a_bridge_takes_the_place_of_the_card(
    files: Mapping[str, str], guest: Namespace, there: Namespace
) -> None:
    more = {
        "vmbr.netdev": "[NetDev]\nName=vmbr\nKind=bridge\n",
        "vmbr.network": f"[Match]\nName=vmbr\n\n{_OWN}",
        "eth0.network": f"{files['eth0.network']}Bridge=vmbr\n",
    }
    with networkd({**files, **more}):
        expect_the_vlan(guest)
        assert is_joined("eth0", "vmbr")
        eventually(lambda: reaches(there, "10.9.9.1"))


CHECKS: Final[tuple[Callable[[Mapping[str, str], Namespace, Namespace], None], ...]] = (
    a_vlan_gets_its_bridge,
    a_bridge_takes_the_place_of_the_card,
)


def main() -> None:
    """Make the machine what networkd expects, another host and a guest; then try everything."""
    Path("/etc/passwd").write_text("root:x:0:0::/:/bin/sh\nsystemd-network:x:998:998::/:/bin/sh\n")
    Path("/etc/group").write_text("root:x:0:\nsystemd-network:x:998:\n")
    Path("/etc/machine-id").write_text(f"{'0123456789abcdef' * 2}\n")
    Path("/run/systemd/netif").mkdir(parents=True)
    os.chown("/run/systemd/netif", 998, 998)
    # Where /sys can be written to, networkd waits for udev to have seen each card.
    said("busybox", "mount", "-o", "remount,ro", "/sys")
    there, guest = Namespace(), Namespace()
    there.take("eth1")
    there.ip("link", "add", "link", "eth1", "name", "tagged", "type", "vlan", "id", "999")
    for card, ip in (("eth1", "10.9.9.2/24"), ("tagged", "10.9.99.2/24")):
        there.ip("addr", "add", ip, "dev", card)
        there.ip("link", "set", card, "up")
    files = files_in(MANUAL.read_text())
    for check in CHECKS:
        said("ip", "link", "add", "port", "type", "veth", "peer", "eth0", "netns", guest.name)
        guest.ip("addr", "add", "10.9.99.7/24", "dev", "eth0")
        guest.ip("link", "set", "eth0", "up")
        name = check.__name__.replace("_", " ")
        try:
            check(files, guest, there)
        except Exception:  # noqa: BLE001  whatever it is, the console has to say it
            words = " | ".join(traceback.format_exc().splitlines())
            sys.stdout.write(f"CHECK {name}: {words}\n")
        else:
            sys.stdout.write(f"CHECK {name}: ok\n")
        sys.stdout.flush()
        said("ip", "link", "del", "port")
    there.close()
    guest.close()


if __name__ == "__main__":
    main()
