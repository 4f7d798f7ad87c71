"""The demo guest by itself: what the tests that boot it rely on, under the plainest QEMU."""

import json
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ports import free_port

pytestmark = pytest.mark.qemu

BOOT_SECONDS = 120


@dataclass
class PlainGuest:
    """A guest started by hand, with its console in a file."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until the console shows the pattern."""
        deadline = time.monotonic() + BOOT_SECONDS
        console = self.folder / "console"
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := re.search(pattern, console.read_text(errors="replace")):
                return found
            time.sleep(0.05)
        pytest.fail(f"The console never said {pattern!r}:\n{console.read_text(errors='replace')}")

    def facts(self) -> dict[str, str]:
        """What the guest answers over HTTP."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def press_power_button(self) -> None:
        """Ask the guest to switch itself off."""
        with (
            socket.socket(socket.AF_UNIX) as monitor,
            monitor.makefile("rw") as stream,
        ):
            monitor.connect(str(self.folder / "qmp"))
            stream.readline()
            for command in ("qmp_capabilities", "system_powerdown"):
                stream.write(json.dumps({"execute": command}) + "\n")
                stream.flush()
                stream.readline()


def start_guest(folder: Path, image: Path) -> PlainGuest:
    disk = folder / "disk.qcow2"
    if not disk.exists():
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk],
            check=True,
        )
    port = free_port()
    (folder / "console").write_text("")
    command = [
        *("qemu-system-x86_64", "-M", "q35", "-cpu", "qemu64", "-accel", "tcg,tb-size=32"),
        *("-m", "128", "-nodefaults", "-display", "none"),
        *("-drive", f"file={disk},if=virtio,format=qcow2"),
        *("-netdev", f"user,id=n0,hostname=web,hostfwd=tcp:127.0.0.1:{port}-:80"),
        *("-device", "virtio-net-pci,netdev=n0,romfile="),
        *("-serial", f"file:{folder}/console"),
        *("-qmp", f"unix:{folder}/qmp,server=on,wait=off"),
    ]
    return PlainGuest(subprocess.Popen(command), folder, port)


@pytest.fixture
def guest(tmp_path: Path, guest_image: Path) -> Iterator[PlainGuest]:
    guest = start_guest(tmp_path, guest_image)
    yield guest
    guest.process.kill()
    guest.process.wait()


def test_the_demo_guest_tells_its_story_and_obeys_the_power_button(guest: PlainGuest) -> None:
    boot = guest.says(r"GUEST-BOOT boots=1 nonce=([0-9a-f]{16})")
    guest.says(r"GUEST-READY host=web address=10\.0\.2\.15 boots=1\r?\n")
    first = guest.facts()
    guest.says(rf"GUEST-TICK 5 nonce={boot[1]}\r?\n")
    later = guest.facts()
    guest.press_power_button()
    exit_code = guest.process.wait(timeout=60)

    assert first["host"] == "web"
    assert first["address"] == "10.0.2.15"
    assert first["nonce"] == later["nonce"] == boot[1]
    assert int(first["count"]) < int(later["count"])
    assert exit_code == 0
    assert "GUEST-POWERDOWN" in (guest.folder / "console").read_text()
