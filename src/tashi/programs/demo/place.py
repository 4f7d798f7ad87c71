"""The folder of a demo: its images, books, logs and configuration, and the link to the last.

The ports are chosen once, when the configuration is written: Tashi's own if they are free. A
second `prepare` changes nothing. Who removes the folder removes the demo, guests' disks and all.
"""

import os
import shutil
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tashi.domain.errors import Failed, Misconfigured, Refused
from tashi.domain.hostnames import check_host_name

IMAGE: Final = "tashi-guest.qcow2"
HTTP: Final = 80
_PORTS: Final = (9882, 9883)
_PRIVATE: Final = ("images", "suspend", "scratch", "info", "log", "run")


class Place:
    """The place of one checkout's demo; `target` is the target of make that made it."""

    target = "demo"

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.home = checkout / f".{self.target}"
        self.config = self.home / "etc" / "Tashi.cfg"
        self._site_config = checkout / "etc" / "Tashi.cfg"
        self._link = Path("..") / self.config.relative_to(checkout)

    def prepare(self) -> None:
        """Make what is missing; raises Misconfigured, and OSError where files cannot be made."""
        self.check_image()
        self.check_owner()
        for name in _PRIVATE:
            (self.home / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.add_image(self.home / "images")
        if not self.config.exists():
            self.configure(self._configuration())
        self.lead_clients_here()

    def check_image(self) -> None:
        """Raise Misconfigured when the demo's guest has not been built."""
        if not self._built.exists():
            raise Misconfigured(f"There is no {self._built}: run make guest.")

    def add_image(self, images: Path) -> None:
        """Put the guest's disk into the image folder."""
        image = images / IMAGE
        if not image.exists():
            _in_one_step(image, lambda part: shutil.copyfile(self._built, part))

    def configure(self, text: str) -> None:
        """Write the configuration, unless it says that already."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        if not self.config.exists() or self.config.read_text(encoding="utf-8") != text:
            _in_one_step(self.config, lambda part: part.write_text(text, encoding="utf-8"))

    def lead_clients_here(self) -> None:
        """Let the clients of this checkout find the demo, unless a file says otherwise."""
        if not os.path.lexists(self._site_config):
            self._site_config.symlink_to(self._link)

    def check_owner(self) -> None:
        """Raise Misconfigured when the folder is another user's; root may do what it likes."""
        if self.home.exists() and os.getuid() not in {0, self.home.stat().st_uid}:
            raise Misconfigured(
                f"{self.home} belongs to another user: who made the demo can remove it with "
                f"make {self.target}-down."
            )

    def is_found_by_clients(self) -> bool:
        """Whether etc/Tashi.cfg of the checkout is the link to the demo's configuration."""
        return self._site_config.is_symlink() and self._site_config.readlink() == self._link

    def manager_port(self) -> int:
        """The cluster manager's port; raises Misconfigured when the configuration is not ours."""
        port = self._configured("clusterManagerPort")
        if port is None or not port.isdigit():
            raise Misconfigured(
                f"{self.config} names no clusterManagerPort: run make {self.target}-down first."
            )
        return int(port)

    def manager_address(self) -> tuple[str, int]:
        """Where the cluster manager listens; raises Misconfigured as `manager_port` does."""
        return self._configured("clusterManagerHost") or "127.0.0.1", self.manager_port()

    def remove(self) -> None:
        """Remove the folder and the link to it; raises Failed when something stays."""
        if self.is_found_by_clients():
            self._site_config.unlink()
        shutil.rmtree(self.home, ignore_errors=True)
        if self.home.exists():
            raise Failed(f"{self.home} cannot be removed: perhaps parts of it are another user's.")

    @property
    def _built(self) -> Path:
        return self.checkout / "build" / "guest" / IMAGE

    def _configured(self, wanted: str) -> str | None:
        for line in self.config.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == wanted:
                return value.strip()
        return None

    def _configuration(self) -> str:
        manager, node = _free_ports()
        return f"""\
# Written by `make demo`; `make demo-down` removes it.
[Client]
clusterManagerPort = {manager}

[ClusterManagerService]
port = {manager}
# The demo's guests are small: several may share a core.
cpuOvercommit = 4

[Pickled]
file = {self.home}/books

[NodeManager]
network = user

[NodeManagerService]
clusterManagerPort = {manager}
port = {node}
registerHost = True
hostName = {_host_name()}

[UserNetwork]
forward = {HTTP}

[Qemu]
infoDir = {self.home}/info
scratchDir = {self.home}/scratch

[Vfs]
prefix = {self.home}
"""


def _in_one_step(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name first, so that a torn one is never taken for it."""
    part = target.with_name(f"{target.name}.part")
    write(part)
    part.rename(target)


def _free_ports() -> tuple[int, ...]:
    """Tashi's ports; in place of one that is taken, any that is free."""
    with ExitStack() as held:
        return tuple(_hold(held, port) or _hold(held, 0) for port in _PORTS)


def _hold(held: ExitStack, port: int) -> int:
    """The port (for 0, the one that the kernel chose) until `held` is closed, or 0 if taken."""
    probe = held.enter_context(socket.socket())
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return 0
    return int(probe.getsockname()[1])


def _host_name() -> str:
    """The machine's own name, if it is one that a host may have."""
    name = socket.gethostname()
    try:
        check_host_name(name)
    except Refused:
        return "this-machine"
    return name
