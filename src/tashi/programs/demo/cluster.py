"""What a demo asks of its cluster: hosts, an instance that runs, its boot, its web page.

Nothing is polled: whatever is waited for is looked at once, and again at every event.
"""

import os
import socket
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from tashi.adapters.rpyc.peers import Link
from tashi.domain.errors import Failed, Misconfigured, PeerSilent, TimedOut
from tashi.domain.permissions import Caller, Role
from tashi.domain.states import InstanceState, Phase, facts
from tashi.programs.demo.place import HTTP
from tashi.wire.calls import to_cluster_manager
from tashi.wire.forms import (
    ConsoleForm,
    EventsForm,
    HostForm,
    InstanceForm,
    NetworkForm,
    NewInstanceForm,
)

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 120.0
_END_SECONDS: Final = 20.0
_LOOK_AGAIN_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 2.0
_LAST_WORDS: Final = 500


class Cluster:
    """A demo's cluster manager, spoken to as an administrator. To be closed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._link = Link(address)
        self._calls = to_cluster_manager(self._link, Caller(Role.ADMIN, name="demo"))

    def close(self) -> None:
        """Let go of the cluster manager."""
        self._link.close()

    def wait_for_hosts(self, number: int = 1) -> None:
        """Return when as many hosts are up; raises TimedOut, or PeerSilent when nobody answers.

        On a busy machine the cluster manager may take long to begin.
        """
        self._wait_for_an_answer(time.monotonic() + _PATIENCE_SECONDS)
        self._wait_for("the host to register", lambda: self._hosts_up() >= number or None)

    def add_network(self, number: int, name: str) -> None:
        """See to it that there is such a network."""
        known = self._calls.call("getNetworks", tuple[NetworkForm, ...])
        if number not in {network.id for network in known}:
            self._calls.call("addNetwork", NetworkForm, network_id=number, name=name)

    def has(self, name: str) -> bool:
        """Whether there is an instance of that name."""
        return self._find(name) is not None

    def start_instance(self, wanted: NewInstanceForm) -> InstanceForm:
        """The instance of that name, running; it is created if there is none. Raises Failed."""
        wanted = msgspec.structs.replace(wanted, user_id=os.getuid())
        if self._find(wanted.name) is None:
            self._calls.call("createVm", InstanceForm, instance=wanted)
        return self._wait_for("the instance to run", lambda: self._running(wanted.name))

    def move(self, name: str) -> tuple[str, str]:
        """Migrate it to another host that is up; the names of both. Raises Failed, TimedOut."""
        hosts = [host for host in self._calls.call("getHosts", tuple[HostForm, ...]) if host.up]
        instance = self._running(name)
        if instance is None:
            raise Failed(f"{name} does not run, so it is not moved.")
        [source] = [host for host in hosts if host.id == instance.host_id]
        target = next(host for host in hosts if host.id != source.id)
        self._calls.call("migrateVm", InstanceForm, instance_id=instance.id, host_id=target.id)
        moved = self._wait_for("the guest to move", lambda: self._running(name))
        if moved.host_id != target.id:
            raise Failed(f"{name} was not moved: {moved.reason}")
        return source.name, target.name

    def elsewhere(self, name: str) -> str:
        """The name of a host that the instance is not on."""
        instance, hosts = self._find(name), self._calls.call("getHosts", tuple[HostForm, ...])
        on = instance and instance.host_id
        return next(host.name for host in hosts if host.id != on)

    def boot_lines(self, instance: InstanceForm) -> list[str]:
        """What the guest's console said of its boot, up to the line that it is ready."""
        until = time.monotonic() + _PATIENCE_SECONDS
        said, offset = "", 0
        while time.monotonic() < until:
            piece = self._calls.call(
                "getConsole",
                ConsoleForm,
                instance_id=instance.id,
                offset=offset,
                timeout=_LOOK_AGAIN_SECONDS,
            )
            said, offset = said + piece.text, piece.offset
            lines = _boot(said)
            if lines[-1:] and lines[-1].startswith("GUEST-READY"):
                return lines
        raise TimedOut(f"The guest has not booted; its last words: {said[-_LAST_WORDS:]!r}.")

    def web_page(self, name: str) -> tuple[str, str]:
        """The address that leads to the guest's web server, and what that answers."""
        instance = self._find(name)
        for nic in instance.nics if instance else ():
            for forward in nic.forwards:
                if forward.guest_port == HTTP:
                    address = f"http://127.0.0.1:{forward.host_port}/"
                    return address, _read(address)
        raise Misconfigured(f"No port is forwarded to the guest: does [UserNetwork] name {HTTP}?")

    def destroy_all(self) -> None:
        """End every instance; raises Failed when nobody answers or a guest does not go."""
        for instance in self._instances():
            self._calls.call("destroyVm", InstanceForm, instance_id=instance.id)
        self._wait_for("the guests to end", lambda: not self._instances() or None, _END_SECONDS)

    def _wait_for(
        self, what: str, look: Callable[[], T | None], seconds: float = _PATIENCE_SECONDS
    ) -> T:
        until = time.monotonic() + seconds
        following = self._calls.call("watch", EventsForm).next
        while (left := until - time.monotonic()) > 0:
            found = look()
            if found is not None:
                return found
            wait = min(left, _LOOK_AGAIN_SECONDS)
            events = self._calls.call("watch", EventsForm, since=following, timeout=wait)
            following = events.next
        raise TimedOut(f"Waited {seconds:.0f} s in vain for {what}: see the demo's folder log.")

    def _wait_for_an_answer(self, until: float) -> None:
        while True:
            try:  # for as long as a call may take
                self._hosts_up()
            except PeerSilent:
                if time.monotonic() > until:
                    raise
            else:
                return

    def _hosts_up(self) -> int:
        return sum(host.up for host in self._calls.call("getHosts", tuple[HostForm, ...]))

    def _instances(self) -> Sequence[InstanceForm]:
        return self._calls.call("getInstances", tuple[InstanceForm, ...])

    def _find(self, name: str) -> InstanceForm | None:
        return next((one for one in self._instances() if one.name == name), None)

    def _running(self, name: str) -> InstanceForm | None:
        instance = self._find(name)
        if instance is None or instance.state is InstanceState.RUNNING:
            return instance
        if instance.state is InstanceState.HELD:
            raise Failed(f"The guest could not be started: {instance.reason}")
        if facts(instance.state).phase is Phase.SETTLED:
            raise Failed(
                f"The instance '{name}' is {instance.state.title}, as somebody asked: let it run "
                "again, or destroy it, with bin/tashi-client."
            )
        return None


def is_listening(address: tuple[str, int]) -> bool:
    """Whether anybody accepts connections there."""
    try:
        with socket.create_connection(address, _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _boot(said: str) -> list[str]:
    """The guest's lines up to the one that it is ready; a line that is not complete is none."""
    lines = []
    for line in said.splitlines(keepends=True):
        if line.startswith("GUEST-") and line.endswith("\n"):
            lines.append(line.strip())
            if line.startswith("GUEST-READY"):
                break
    return lines


def _read(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310  # our own port
            return str(answer.read().decode("utf-8", "replace")).strip()
    except OSError as error:
        raise Failed(f"{address} does not answer: {error.strerror or error}.") from error
