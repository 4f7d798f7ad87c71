"""The nodes, called over the wire.

There are two links to each host: one for what Tashi has to say, one for what people read and type
on consoles, who may be many and wait long. They are kept while the host's address stays the same
and the host is not forgotten: no socket is left over from an address that nobody has any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tashi.domain.host import Host
from tashi.domain.identity import Attempt, Epoch, HostId, InstanceId
from tashi.domain.instructions import NodeOrder
from tashi.domain.permissions import Caller, Role
from tashi.ports import peers
from tashi.ports.nodes import ScreenPlace
from tashi.wire.calls import Calls, to_node_manager
from tashi.wire.forms import ConsoleForm, SessionForm
from tashi.wire.orders import order_form
from tashi.wire.screens import ScreenForm, TypedForm

_ME: Final = Caller(Role.CLUSTER_MANAGER, name="clustermanager")


@dataclass(frozen=True, slots=True)
class _Line:
    """One way to a host's node."""

    address: tuple[str, int]
    link: peers.Caller
    calls: Calls


class RemoteNodes:
    """Nodes behind links; `connect` gives one for a name or address and a port."""

    def __init__(self, connect: Callable[[str, int], peers.Caller]) -> None:
        self._connect = connect
        self._lines: dict[HostId, _Line] = {}
        self._console_lines: dict[HostId, _Line] = {}

    def forget(self, host: HostId) -> None:
        """Let go of the lines to a host's node."""
        for lines in (self._lines, self._console_lines):
            line = lines.pop(host, None)
            if line is not None:
                line.link.close()

    def take_orders(
        self, host: Host, epoch: Epoch, number: int, orders: Sequence[NodeOrder]
    ) -> None:
        """Hand over orders."""
        forms = tuple(order_form(order) for order in orders)
        self._to(host).call(
            "takeOrders", bool, epoch=epoch, session=host.session, number=number, orders=forms
        )

    def live_check(self, host: Host, epoch: Epoch) -> None:
        """Ask whether the node lives."""
        self._to(host).call("liveCheck", SessionForm, epoch=epoch)

    def reset(self, host: Host, instance: InstanceId, attempt: Attempt) -> None:
        """Press a guest's reset button."""
        self._to(host).call("resetVm", bool, instance_id=instance, attempt=attempt)

    def start_vnc(
        self, host: Host, instance: InstanceId, attempt: Attempt, password: str, *, on_socket: bool
    ) -> ScreenPlace:
        """Show a guest's display."""
        shown = self._to(host).call(
            "startVnc",
            ScreenForm,
            instance_id=instance,
            attempt=attempt,
            password=password,
            on_socket=on_socket,
        )
        return ScreenPlace(shown.address, shown.port, shown.socket, shown.tls)

    def stop_vnc(self, host: Host, instance: InstanceId, attempt: Attempt) -> None:
        """Show a guest's display no more."""
        self._to(host).call("stopVnc", bool, instance_id=instance, attempt=attempt)

    def type_console(
        self, host: Host, instance: InstanceId, attempt: Attempt, typed: bytes
    ) -> None:
        """Type on a guest's serial console."""
        call = self._to_consoles(host).call
        call("typeConsole", bool, instance_id=instance, attempt=attempt, data=typed)

    def read_console(
        self, host: Host, instance: InstanceId, offset: int, timeout_seconds: float
    ) -> tuple[bytes, int]:
        """What a guest's serial console said, to the byte, and where to ask again."""
        piece = self._to_consoles(host).call(
            "readConsole", TypedForm, instance_id=instance, offset=offset, timeout=timeout_seconds
        )
        return piece.data, piece.offset

    def console(
        self, host: Host, instance: InstanceId, offset: int, timeout_seconds: float
    ) -> tuple[str, int]:
        """What a guest's serial console said, and where to ask again."""
        piece = self._to_consoles(host).call(
            "getConsole", ConsoleForm, instance_id=instance, offset=offset, timeout=timeout_seconds
        )
        return piece.text, piece.offset

    def _to(self, host: Host) -> Calls:
        return self._by(self._lines, host)

    def _to_consoles(self, host: Host) -> Calls:
        return self._by(self._console_lines, host)

    def _by(self, lines: dict[HostId, _Line], host: Host) -> Calls:
        address = (host.address, host.port)
        known = lines.get(host.id)
        if known is not None and known.address != address:
            self.forget(host.id)
            known = None
        if known is None:
            link = self._connect(*address)
            line = _Line(address, link, to_node_manager(link, _ME))
            # Of two threads that come here at once, both use the link of the first.
            known = lines.setdefault(host.id, line)
        return known.calls
