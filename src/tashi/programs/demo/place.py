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
_LINK: Final = Path("../.demo/etc/Tashi.cfg")
_PRIVATE: Final = ("images", "suspend", "scratch", "info", "log", "run")


class Place:
    """The place of one checkout's demo."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.home = checkout / ".demo"
        self.config = self.home / "etc" / "Tashi.cfg"
        self._site_config = checkout / "etc" / "Tashi.cfg"

    def prepare(self) -> None:
        """Make what is missing; raises Misconfigured, and OSError where files cannot be made."""
        built = self.checkout / "build" / "guest" / IMAGE
        if not built.exists():
            raise Misconfigured(f"There is no {built}: run make guest.")
        self.check_owner()
        for folder in (self.home, self.config.parent):
            folder.mkdir(parents=True, exist_ok=True)
        for name in _PRIVATE:
            (self.home / name).mkdir(mode=0o700, exist_ok=True)
        image = self.home / "images" / IMAGE
        if not image.exists():
            _in_one_step(image, lambda part: shutil.copyfile(built, part))
        if not self.config.exists():
            _in_one_step(self.config, lambda part: part.write_text(self._configuration()))
        if not os.path.lexists(self._site_config):
            self._site_config.symlink_to(_LINK)

    def check_owner(self) -> None:
        """Raise Misconfigured when the folder is another user's; root may do what it likes."""
        if self.home.exists() and os.getuid() not in {0, self.home.stat().st_uid}:
            raise Misconfigured(
                f"{self.home} belongs to another user: who made the demo can remove it with "
                "make demo-down."
            )

    def is_found_by_clients(self) -> bool:
        """Whether etc/Tashi.cfg of the checkout is the link to the demo's configuration."""
        return self._site_config.is_symlink() and self._site_config.readlink() == _LINK

    def manager_port(self) -> int:
        """The cluster manager's port; raises Misconfigured when the configuration is not ours."""
        for line in self.config.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "clusterManagerPort" and value.strip().isdigit():
                return int(value)
        raise Misconfigured(f"{self.config} names no clusterManagerPort: run make demo-down first.")

    def remove(self) -> None:
        """Remove the folder and the link to it; raises Failed when something stays."""
        if self.is_found_by_clients():
            self._site_config.unlink()
        shutil.rmtree(self.home, ignore_errors=True)
        if self.home.exists():
            raise Failed(f"{self.home} cannot be removed: perhaps parts of it are another user's.")

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
