"""Private libvirtds: each with folders, a socket, a host name and an identity of its own.

Needs root and no systemd: libvirtd runs in a mount namespace in which its folders are ours.
"""

import os
import select
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_STARTS_WITHIN_SECONDS: Final = 60.0
_LOOK_AGAIN_SECONDS: Final = 0.05
_ENDS_WITHIN_SECONDS: Final = 20.0
_FOLDERS: Final = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}
_DAEMON: Final = """\
unix_sock_dir = "{folder}/sock"
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "2:file:{folder}/log/libvirtd.log"
host_uuid = "{identity}"
"""
_QEMU: Final = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
remember_owner = 0
stdio_handler = "file"
"""
_CACHES: Final[list[Path]] = []
"""Of every libvirtd that was started; the last is copied by the next."""


class Libvirtd:
    """One libvirtd in that folder, whose guests outlive it. To be stopped."""

    def __init__(self, folder: Path, name: str, under: Callable[[], Sequence[str]] = tuple) -> None:
        """`under` gives the words before a command that run it on a pretended machine."""
        self.folder = folder
        self._name = name
        self._under = under
        self._runs = False
        self._identity = uuid.uuid4()
        self._furnish()

    def _furnish(self) -> None:
        for one in (*_FOLDERS, "sock"):
            (self.folder / one).mkdir(parents=True, exist_ok=True)
        words = {"folder": self.folder, "identity": self._identity}
        (self.folder / "etc" / "libvirtd.conf").write_text(_DAEMON.format(**words))
        (self.folder / "etc" / "qemu.conf").write_text(_QEMU)

    @property
    def uri(self) -> str:
        """Where it answers."""
        return f"qemu+unix:///system?socket={self.folder}/sock/libvirt-sock"

    @property
    def log(self) -> Path:
        """What it complains about."""
        return self.folder / "log" / "libvirtd.log"

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self._runs:
            return
        self._know_what_others_know()
        mounts = "; ".join(
            f"mkdir -p {at}; mount --bind {self.folder}/{name} {at}"
            for name, at in _FOLDERS.items()
        )
        daemon = f"libvirtd --config /etc/libvirt/libvirtd.conf --pid-file {self._pid_file}"
        # No child of the tests', for it serves many of them.
        command = [
            "setsid",
            "--fork",
            *self._under(),
            "unshare",
            "-m",
            "-u",
            # What a test mounts on its machine afterwards is seen by libvirtd and its guests.
            "--propagation",
            "slave",
        ]
        subprocess.run(
            [*command, "bash", "-ec", f"hostname {self._name}; {mounts}; exec {daemon}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
        while self.virsh("version").returncode != 0:
            assert time.monotonic() < deadline, self.log.read_text()
            threading.Event().wait(_LOOK_AGAIN_SECONDS)
        self._runs = True
        _CACHES.append(self.folder / "cache")

    def _know_what_others_know(self) -> None:
        """Take over what the last one has found out about QEMU, which takes seconds."""
        ours = self.folder / "cache"
        if _CACHES and _CACHES[-1].exists() and not any(ours.iterdir()):
            shutil.copytree(_CACHES[-1], ours, dirs_exist_ok=True)

    def virsh(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Give it a command as a person would."""
        command = ["virsh", "--quiet", "-c", self.uri, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def domains(self) -> list[str]:
        """The names of all that it has, whether they live or not."""
        return self.virsh("list", "--all", "--name").stdout.split()

    def is_never_to_come(self, domain: str) -> bool:
        """Whether it was killed while it made that domain, of which it cannot let go again."""
        return "starting up" in self.virsh("domstate", domain, "--reason").stdout

    @property
    def pid(self) -> int:
        """Its process's number."""
        return int(self._pid_file.read_text())

    def kill(self) -> None:
        """End it in a way that nothing can catch; its guests live on."""
        if self._runs:
            self._end(signal.SIGKILL)

    def forget(self) -> None:
        """Remove all that it kept while it ran, but for what it knows about QEMU; it is killed."""
        assert not self._runs
        for name in {*_FOLDERS, "sock"} - {"cache"}:
            shutil.rmtree(self.folder / name)
        self._furnish()

    def hang(self) -> None:
        """Have it do nothing until it goes on."""
        self.send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on; harmless when it does, or was killed."""
        if self._runs:
            self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def clear(self) -> None:
        """End all its guests."""
        for name in self.domains():
            self.virsh("destroy", name)
            self.virsh("undefine", name)

    def stop(self) -> None:
        """End it and all its guests."""
        if not self._runs:
            self.start()
        self.send(signal.SIGCONT)
        self.clear()
        self._end(signal.SIGTERM)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    def _end(self, number: signal.Signals) -> None:
        self._runs = False
        process = os.pidfd_open(self.pid)
        try:
            signal.pidfd_send_signal(process, number)
            if not select.select([process], [], [], _ENDS_WITHIN_SECONDS)[0]:
                signal.pidfd_send_signal(process, signal.SIGKILL)
                select.select([process], [], [], _ENDS_WITHIN_SECONDS)
        finally:
            os.close(process)
