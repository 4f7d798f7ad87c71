"""A terminal joined to a real guest's console: what is typed, what comes back, how it ends."""

import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import pytest

import boot_sectors
from system.books import Place
from system.libvirt_sites import EITHER, LibvirtSite
from system.sites import Shape, Site, environment
from tashi.wire.forms import InstanceForm

pytestmark = [pytest.mark.qemu, EITHER]

SECONDS = 60.0
CREATE = ("createVm", "--name", "web", "--disks", "echo.img", "--memory", "32", "--wait")


@pytest.fixture
def site(one_shared: LibvirtSite | None, short_path: Path, books: Place) -> Iterator[Site]:
    if one_shared is not None:
        with one_shared.taken() as shared:
            shared.do(*CREATE)
            yield shared
        return
    site = Site(short_path, Shape(books=books))
    boot_sectors.echo(site.images / "echo.img")
    site.start()
    site.do(*CREATE)
    yield site
    site.end_empty()


@dataclass
class Typist:
    """Somebody at a terminal in which the client runs."""

    client: "subprocess.Popen[bytes]"
    terminal: int
    screen: bytes = b""

    def type(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def sees(self, words: bytes) -> None:
        """Wait until it is on the screen."""
        deadline = monotonic() + SECONDS
        while words not in self.screen:
            left = deadline - monotonic()
            assert left > 0, f"It is not on the screen: {self.screen!r}"
            if select.select([self.terminal], [], [], left)[0]:
                self.screen += os.read(self.terminal, 1024)

    @property
    def echoes(self) -> bool:
        """Whether the terminal itself shows what is typed, as it does for a shell."""
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)


@pytest.fixture
def typist(site: Site) -> Iterator[Typist]:
    ours, theirs = pty.openpty()
    client = subprocess.Popen(
        [sys.executable, "-m", "tashi.programs.client", "attachConsole", "--instance", "web"],
        env=environment(site.configuration),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    someone = Typist(client, ours)
    yield someone
    client.kill()
    client.wait(SECONDS)
    os.close(ours)
    os.close(theirs)


def until_logged(site: Site, words: bytes) -> bytes:
    """All that the guest has said, once it has said this."""
    [instance] = site.instances()
    log, deadline = site.folder / f"n1/info/{instance}/console.log", monotonic() + SECONDS
    while words not in (said := log.read_bytes()):
        assert monotonic() < deadline, f"The guest never said it: {said!r}"
        sleep(0.02)
    return said


def test_every_key_reaches_the_guest_until_the_escape_is_typed(site: Site, typist: Typist) -> None:
    typist.sees(b"Ctrl-] ends it.")
    typist.type(b"hello")
    typist.sees(b"hello")
    typist.type(b"\x03\x1a\xc3\xa9")
    typist.sees(b"\x03\x1a\xc3\xa9")
    while_attached = typist.echoes
    typist.type(b"last\x1dnever")
    typist.sees(b"Detached.")

    assert typist.client.wait(SECONDS) == 0
    assert until_logged(site, b"last").endswith(b"hello\x03\x1a\xc3\xa9last")
    assert (while_attached, typist.echoes) == (False, True)


def test_a_guest_that_goes_ends_it_with_a_sentence(site: Site, typist: Typist) -> None:
    typist.sees(b"Ctrl-] ends it.")
    typist.type(b"x")
    typist.sees(b"x")
    [instance] = site.instances()
    site.calls.call("destroyVm", InstanceForm, instance_id=instance)
    typist.sees(b"The console is lost: ")

    assert typist.client.wait(SECONDS) == 3
    assert typist.echoes


def test_a_node_manager_that_is_started_again_does_not_end_it(site: Site, typist: Typist) -> None:
    typist.sees(b"Ctrl-] ends it.")
    typist.type(b"before")
    typist.sees(b"before")
    session = site.now().hosts[0].session
    site.nodes[0].stop()
    site.nodes[0].start()
    site.until(lambda now: now.hosts[0].session > session)
    typist.type(b"after")
    typist.sees(b"after")
    typist.type(b"\x1d")

    assert typist.client.wait(SECONDS) == 0
