"""`make demo` and `make demo-down`, as the README promises them, in the layout of a checkout."""

import os
import re
import shutil
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from system.demos import DemoCheckout, checkout_for_a_demo
from tashi.programs.demo.place import Place

pytestmark = pytest.mark.qemu


@pytest.fixture
def checkout_of_a_demo(guest_image: Path, checkout: Path) -> Iterator[DemoCheckout]:
    made = checkout_for_a_demo(guest_image, checkout)
    yield made
    made.demo("down")
    shutil.rmtree(made.folder)


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())


def nonce(words: str) -> str:
    """By this one boot of the guest is told from another."""
    found = re.search(r"nonce=([0-9a-f]{16})", words)
    assert found is not None, words
    return found[1]


def test_the_demo_shows_one_real_guest_however_often_and_leaves_nothing(
    checkout_of_a_demo: DemoCheckout,
) -> None:
    first = checkout_of_a_demo.demo("up")
    address = re.search(r"http://127\.0\.0\.1:\d+/", first.stdout)
    assert (first.returncode, first.stderr) == (0, "")
    assert address is not None
    page = read(address[0])
    hosts = checkout_of_a_demo.client("getHosts")
    instances = checkout_of_a_demo.client("getInstances")
    processes = checkout_of_a_demo.processes()

    second = checkout_of_a_demo.demo("up")
    processes_later = checkout_of_a_demo.processes()
    down = checkout_of_a_demo.demo("down")
    nothing_left = checkout_of_a_demo.demo("down")

    assert "GUEST-READY host=demo address=10.0.2.15 boots=1" in first.stdout
    assert nonce(first.stdout) == nonce(page) == nonce(second.stdout)
    assert hosts in first.stdout
    assert re.search(
        r"^ *1 +1 +demo +\S+ +Running +tashi-guest\.qcow2 +128 +1$", instances, re.MULTILINE
    )
    assert (second.returncode, second.stderr) == (0, "")
    assert processes_later == processes
    assert len(processes) == 7, "three daemons, an nmd for each, one QEMU"
    assert (down.returncode, down.stderr) == (0, "")
    assert down.stdout.endswith("Nothing of the demo is left.\n")
    assert " was left " not in down.stdout
    assert (nothing_left.returncode, nothing_left.stderr) == (0, "")
    assert "exit code" not in nothing_left.stdout
    assert checkout_of_a_demo.processes() == {}
    assert {path.name for path in checkout_of_a_demo.folder.iterdir()} == {
        "build", "etc", "scripts",
    }  # fmt: skip
    assert list((checkout_of_a_demo.folder / "etc").iterdir()) == []


def test_what_was_killed_comes_back_or_goes_with_the_demo_and_other_files_stay(
    checkout_of_a_demo: DemoCheckout,
) -> None:
    site_config = checkout_of_a_demo.folder / "etc" / "Tashi.cfg"
    site_config.write_text("[Client]\nclusterManagerHost = merkabah\n")

    up = checkout_of_a_demo.demo("up")
    for words, pid in checkout_of_a_demo.processes().items():
        if "/nmd " in words:
            os.kill(pid, signal.SIGKILL)
    again = checkout_of_a_demo.demo("up")
    for words, pid in checkout_of_a_demo.processes().items():
        if "/clustermanager " in words or "/nmd " in words:
            os.kill(pid, signal.SIGKILL)
    down = checkout_of_a_demo.demo("down")

    assert (up.returncode, up.stderr) == (0, "")
    assert f"export TASHI_CONFIG_DIRS={checkout_of_a_demo.config.parent}\n" in up.stdout
    assert (again.returncode, again.stderr) == (0, "")
    assert nonce(up.stdout) == nonce(again.stdout)
    assert (down.returncode, down.stderr) == (0, "")
    assert re.search(r"nodemanager \(process \d+\) was left and is killed\.", down.stdout)
    assert checkout_of_a_demo.processes() == {}
    assert site_config.read_text() == "[Client]\nclusterManagerHost = merkabah\n"


def test_a_port_that_is_taken_is_left_to_its_owner(checkout_of_a_demo: DemoCheckout) -> None:
    place = Place(checkout_of_a_demo.folder)
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a demo may just have ended
        with suppress(OSError):  # somebody else's: taken all the same
            owner.bind(("127.0.0.1", 9882))
            owner.listen()

        place.prepare()

    assert place.manager_port() != 9882
    assert f"port = {place.manager_port()}\n" in place.config.read_text()


def test_a_demo_without_an_image_says_what_to_do(checkout_of_a_demo: DemoCheckout) -> None:
    shutil.rmtree(checkout_of_a_demo.folder / "build")

    up = checkout_of_a_demo.demo("up")

    assert up.returncode == 2
    assert up.stderr.endswith("tashi-guest.qcow2: run make guest.\n")
    assert not (checkout_of_a_demo.folder / ".demo").exists()
