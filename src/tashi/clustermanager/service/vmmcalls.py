"""`vmmSpecificCall`, Tashi's one call for whatever only some hypervisors could do.

Each of its words is a call of its own today; they stay for scripts, and lead there.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.errors import BadRequest, Refused
from tashi.domain.identity import InstanceId
from tashi.domain.permissions import Caller, check_owner
from tashi.wire.chaining import then
from tashi.wire.forms import InstanceForm
from tashi.wire.screens import VncForm

WORDS: Final = {
    "startVnc": "show the display over VNC; startVnc:PASSWORD with a password of your own",
    "stopVnc": "show the display no more",
    "changeCdrom:IMAGE": "put an image into the CD drive; changeCdrom: takes out what is there",
    "reset": "press the reset button",
    "list": "say what there is",
}
_PLAIN: Final = frozenset({"stopvnc", "reset", "list", "startconsole"})


def handlers(office: Office, known: Mapping[str, Handler]) -> dict[str, Handler]:
    """The handler of this room; `known` are those that it leads to."""
    return {"vmmSpecificCall": VmmCalls(office, known).call}


class VmmCalls:
    """One handler around those it leads to."""

    def __init__(self, office: Office, known: Mapping[str, Handler]) -> None:
        self._office = office
        self._known = known

    def call(self, caller: Caller, request: str, instance_id: int, arg: str) -> Future[Any]:
        """Do what the word says, and say what was done."""
        instance = self._office.ledger.books.instance(InstanceId(instance_id))
        check_owner(instance.user_id, caller, str(instance).capitalize())
        word, _, rest = arg.partition(":")
        if rest and word.lower() in _PLAIN:
            raise BadRequest(f"{word} takes nothing after it: leave out {rest!r}.")
        match word.lower():
            case "startvnc":
                arguments = {"password": rest, "on_socket": False}
                return self._lead("startVnc", caller, request, instance_id, _shown, arguments)
            case "stopvnc":
                return self._lead("stopVnc", caller, request, instance_id, _named("VNC of {} off"))
            case "changecdrom":
                said = _named("CD of {} changed")
                return self._lead(
                    "changeCdrom", caller, request, instance_id, said, {"image": rest}
                )
            case "reset":
                return self._lead("resetVm", caller, request, instance_id, _named("{} is reset"))
            case "list":
                return _done("\n".join(f"{name}: {words}" for name, words in WORDS.items()))
            case "startconsole":
                raise Refused(
                    "QEMU's own monitor is not opened to the network: use getConsole to read the "
                    "guest's serial console and attachConsole to type on it."
                )
        raise BadRequest(f"There is no call {arg!r}: there are {', '.join(WORDS)}.")

    def _lead(
        self,
        call: str,
        caller: Caller,
        request: str,
        instance_id: int,
        said: Callable[[Any], str],
        arguments: Mapping[str, object] | None = None,
    ) -> Future[Any]:
        done = self._known[call](caller, request, instance_id=instance_id, **(arguments or {}))
        return then(done, said)


def _shown(form: VncForm) -> str:
    tls = " with TLS" if form.tls else ""
    place = f"{form.address}:{form.port} of {form.host}{tls}"
    return f"VNC running on {place}, password {form.password}"


def _named(words: str) -> Callable[[InstanceForm], str]:
    return lambda form: words.format(form.name)


def _done(text: str) -> Future[Any]:
    answer: Future[Any] = Future()
    answer.set_result(text)
    return answer
