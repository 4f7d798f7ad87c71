"""The calls by which owners see a guest and type to it, and Tashi's old call for all of that.

Nothing of it is kept in the books: a display and its password are the guest's QEMU's, and what is
typed is nobody else's business. A command is booked first, so that one that does not fit is refused
like any other.
"""

import secrets
import string
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from tashi.clustermanager import instances
from tashi.clustermanager.service.aside import elsewhere
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain import alterations as a
from tashi.domain import events as e
from tashi.domain.errors import BadRequest, IncorrectState, NoSuchVm
from tashi.domain.host import Host
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Instance
from tashi.domain.permissions import Caller, check_owner
from tashi.wire.chaining import then
from tashi.wire.forms import InstanceForm, to_form
from tashi.wire.screens import TypedForm, VncForm

_MOST_CONSOLE_SECONDS: Final = 30.0
_MOST_TYPED_BYTES: Final = 64 * 1024
LONGEST_PASSWORD: Final = 8
"""VNC looks at no more of it."""
_LETTERS: Final = string.ascii_letters + string.digits


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = ScreensCalls(office)
    return {
        "startVnc": calls.start_vnc,
        "stopVnc": calls.stop_vnc,
        "readConsole": calls.read,
        "typeConsole": calls.type_in,
    }


class ScreensCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def start_vnc(
        self, caller: Caller, request: str, instance_id: int, password: str, on_socket: bool
    ) -> Future[Any]:
        """Show a guest's display; the answer comes once its node has done it."""
        nodes, key = self._office.nodes, InstanceId(instance_id)
        word = password or "".join(secrets.choice(_LETTERS) for _ in range(LONGEST_PASSWORD))
        if len(word) > LONGEST_PASSWORD or not (word.isascii() and word.isprintable()):
            raise BadRequest(
                f"A VNC password is at most {LONGEST_PASSWORD} plain characters; without one, one "
                "is made up."
            )

        def show(instance: Instance, host: Host) -> VncForm:
            place = nodes.start_vnc(host, key, instance.attempt, word, on_socket=on_socket)
            return VncForm(host.name, word, place.address, place.port, place.socket, place.tls)

        return self._booked(caller, request, a.StartVnc, key, show)

    def stop_vnc(self, caller: Caller, request: str, instance_id: int) -> Future[Any]:
        """Show a guest's display no more."""
        nodes, key = self._office.nodes, InstanceId(instance_id)

        def hide(instance: Instance, host: Host) -> InstanceForm:
            nodes.stop_vnc(host, key, instance.attempt)
            return to_form(instance, InstanceForm)

        return self._booked(caller, request, a.StopVnc, key, hide)

    def read(
        self, caller: Caller, _: str, instance_id: int, offset: int, timeout: float
    ) -> Future[Any]:
        """Read a guest's serial console, to the byte."""
        instance, host = self._with_guest(caller, InstanceId(instance_id))
        wait = min(max(timeout, 0.0), _MOST_CONSOLE_SECONDS)
        nodes = self._office.nodes

        def look() -> TypedForm:
            return TypedForm(*nodes.read_console(host, instance.id, offset, wait))

        return self._office.readers.read(host, look)

    def type_in(self, caller: Caller, _: str, instance_id: int, data: bytes) -> Future[Any]:
        """Type on a guest's serial console."""
        if len(data) > _MOST_TYPED_BYTES:
            raise BadRequest(f"At most {_MOST_TYPED_BYTES} bytes can be typed at once.")
        instance, host = self._with_guest(caller, InstanceId(instance_id))
        nodes = self._office.nodes

        def press() -> bool:
            nodes.type_console(host, instance.id, instance.attempt, data)
            return True

        return elsewhere(self._office.workers, f"keyboard {instance.id}", press)

    def _with_guest(self, caller: Caller, key: InstanceId) -> tuple[Instance, Host]:
        books = self._office.ledger.books
        instance = books.instance(key)
        check_owner(instance.user_id, caller, str(instance).capitalize())
        if instance.host_id is None:
            raise IncorrectState(
                f"{instance} is {instance.state.title} and has no guest to type to: start it "
                "first; getConsole shows what it said.",
                instance=key,
            )
        return instance, books.host(instance.host_id)

    def _booked(
        self,
        caller: Caller,
        request: str,
        kind: type[e.Command],
        key: InstanceId,
        act: Callable[[Instance, Host], Any],
    ) -> Future[Any]:
        office = self._office

        def carry_out() -> Any:
            instance = office.ledger.books.instance(key)
            if instance.host_id is None:
                raise NoSuchVm(f"{instance} is {instance.state.title} and has no guest any more.")
            return act(instance, office.ledger.books.host(instance.host_id))

        booked = office.change(
            request, lambda draft: instances.command(draft, key, kind, caller), InstanceForm
        )
        return then(booked, lambda _: elsewhere(office.workers, f"screen {key}", carry_out))
