"""One line for everything that may be asked about later: who, from where, what, and how it ended.

The lines go to a logger of their own, `tashi.audit`, so that a site can keep them apart. Of the
arguments of a call only those appear that are listed here as names of things: passwords, what is
typed on consoles and other words of people are in no line.

Strangers get no line for each attempt, since they could fill the disk with them: one a minute for
each address says how many there were.
"""

import logging
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from tashi.adapters.rpyc.gate import Complaints
from tashi.domain.errors import TashiError, TooManyTries
from tashi.domain.permissions import Proven
from tashi.ports.peers import Peer
from tashi.wire import codec
from tashi.wire.forms import HostForm, InstanceForm, MachineForm, NewInstanceForm, SessionForm
from tashi.wire.images import ImportForm, JobForm
from tashi.wire.serving import Deed

_log = logging.getLogger("tashi.audit")

_NAMES_OF_THINGS: Final = {
    "instance_id": "instance",
    "host_id": "host",
    "user_id": "user",
    "network_id": "network",
    "job_id": "job",
    "import_id": "import",
    "name": "name",
    "src": "src",
    "dst": "dst",
    "backing": "backing",
    "uri": "image",
    "image": "image",
    "mac": "mac",
    "state": "state",
}
_MADE: Final[dict[type, str]] = {
    InstanceForm: "instance",
    HostForm: "host",
    JobForm: "job",
    ImportForm: "import",
}
_MOST_LISTED: Final = 20

Subjects = dict[str, object]


class Audit:
    """Hears how deeds ended; safe to use from several threads."""

    def __init__(self) -> None:
        self._strangers = Complaints(to=_log)

    def note(self, deed: Deed, result: object, error: BaseException | None) -> None:
        """Write the line of one deed."""
        host = deed.peer.host if isinstance(deed.peer, Peer) else str(deed.peer)
        unread = deed.arguments is None and deed.caller.proven is Proven.NOTHING
        if unread or isinstance(error, TooManyTries):
            self._strangers.say(host, f"Somebody at {host} asked for {deed.call}: {error}")
            return
        if not _log.isEnabledFor(logging.INFO):
            return
        proof = deed.caller.proven
        name = "somebody" if proof is Proven.NOTHING else codec.printable(deed.caller.name)
        outcome = "ok" if error is None else _kind(error)
        about = subjects(deed.arguments, result)
        what = " ".join([deed.call, *(f"{key}={value!r}" for key, value in about.items())])
        _log.info(
            "%s, known by %s, from %s: %s: %s",
            name, proof.value, deed.peer, what, outcome,
            extra={"about": lambda: {
                "who": name, "proof": proof.value, "from": str(deed.peer), "call": deed.call,
                **about, "result": outcome,
            }},
        )  # fmt: skip


def subjects(arguments: object, result: object) -> Subjects:
    """What a call is about, by kind; what it made is in its result."""
    found: Subjects = dict(_subjects(arguments)) if isinstance(arguments, Struct) else {}
    made = _MADE.get(type(result))
    if made is not None and made not in found:
        found[made] = getattr(result, "id", None)
    return found


def _subjects(arguments: Struct) -> Iterator[tuple[str, object]]:
    for field in arguments.__struct_fields__:
        match getattr(arguments, field):
            case None | "":
                continue
            case NewInstanceForm(name=name) | MachineForm(name=name):
                yield "name", codec.printable(name)
            case SessionForm(host_id=host_id):
                yield "host", host_id
            case tuple(several) if several and hasattr(several[0], "instance_id"):
                yield "instances", _listed([one.instance_id for one in several])
            case value if field in _NAMES_OF_THINGS:
                shown = codec.printable(value) if isinstance(value, str) else value
                yield _NAMES_OF_THINGS[field], getattr(shown, "name", shown)


def _listed(ids: list[int]) -> str:
    more = len(ids) - _MOST_LISTED
    return ", ".join(map(str, ids[:_MOST_LISTED])) + (f" and {more} more" if more > 0 else "")


def _kind(error: BaseException) -> str:
    return error.kind if isinstance(error, TashiError) else "Broken"
