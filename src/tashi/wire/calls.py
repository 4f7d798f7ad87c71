"""Calling a service: from a call's name and arguments to its answer, or to the error it ended with.

One class serves every pair of programs, because it reads the rows that the service itself reads
(`methods`). How the bytes travel is the business of whoever gives it a link. Its laws:

* every request has an id of its own; whatever repeats the request, here or on its way, keeps the
  id, so that a repeat gets the first answer and never does the thing twice;
* only a row that may be repeated is ever sent twice;
* what is raised is a TashiError, always;
* bytes are sent raw only to a service that has answered the last call in our version: one that is
  older would not understand the request, and not even say so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar
from uuid import uuid4

from tashi.domain.errors import Broken, NotLoggedIn, OutcomeUnknown, VersionMismatch
from tashi.domain.permissions import Caller
from tashi.wire import codec, envelope, methods, versions

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LONG_SECONDS: Final = 300.0
"""How long the longest calls may take where nobody says otherwise: migrateTimeout's default."""


class Link(Protocol):
    """Carries one request to the service, and its answer back."""

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Send a request and return its answer; raises PeerSilent when none comes in time."""
        ...


class _Send(Protocol[T_co]):
    """Sends a request in some version, and reads its answer."""

    def __call__(self, version: versions.Version, *, takes_raw: bool) -> T_co: ...


class Access(Protocol):
    """How somebody logs in who has nothing else to show."""

    def ticket(self) -> str:
        """The ticket to send along; empty for none."""
        ...

    def log_in(self, calls: "Calls", refusal: NotLoggedIn) -> None:
        """Get a ticket by calls that send none, or raise the refusal or a better one."""
        ...


@dataclass(slots=True)
class _Heard:
    """What the last answer has shown of a service."""

    takes_raw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls of one service, made by `who` over `link`; as shareable as the link is.

    With an `access` whoever is refused for having shown nothing logs in, and asks again.
    """

    rows: methods.Row
    version: versions.Version
    link: Link
    who: Caller
    long_seconds: float = LONG_SECONDS
    access: Access | None = None
    _heard: _Heard = field(default_factory=_Heard, compare=False)

    def call(
        self, name: str, gives: type[T], /, *, request_id: str | None = None, **arguments: object
    ) -> T:
        """Make a call and return its answer, whose form the caller names as the row does.

        Give the `request_id` of an earlier request to learn how that one ended. Raises the error
        that the service answered with, or PeerSilent. A call that waits on purpose (`timeout`) is
        given that time on top of its own.
        """
        row = self.rows[name]
        if row.gives != gives:
            raise Broken(f"{name} gives {row.gives}, but {gives} was expected of it.")
        request_id = request_id or uuid4().hex
        said = row.takes(**arguments)
        limit = (row.within.value or self.long_seconds) + _wait_seconds(arguments)

        def send(version: versions.Version, *, takes_raw: bool) -> T:
            ticket = self.access.ticket() if self.access else ""
            args, raw = codec.encode_apart(said) if takes_raw else (codec.encode(said), None)
            request = envelope.write_request(
                str(version), request_id, name, args, self.who, ticket=ticket
            )
            whole = codec.joined(request, raw)
            content = self.link.call(whole, limit, repeatable=row.repeatable)
            answer, what = envelope.read_answer(content, request_id), f"The answer to {name}"
            return codec.with_raw(codec.decode(gives, answer, what), codec.raw_of(content), what)

        try:
            return self._admitted(send)
        except OutcomeUnknown:
            if not row.repeatable:
                raise
            return self._send(send)

    def _admitted(self, send: _Send[T]) -> T:
        """Send; who must log in for it does so, and sends again: nothing was done."""
        try:
            return self._send(send)
        except NotLoggedIn as refusal:
            if self.access is None:
                raise
            self.access.log_in(replace(self, access=None), refusal)
            return self._send(send)

    def _send(self, send: _Send[T]) -> T:
        """Speak our version, or the one before where the service is of that."""
        takes_raw, self._heard.takes_raw = self._heard.takes_raw, False
        try:
            answer = send(self.version, takes_raw=takes_raw)
        except VersionMismatch as mismatch:  # raised before anything was done
            return send(versions.spoken_to(self.version, mismatch), takes_raw=False)
        self._heard.takes_raw = self.version >= versions.RAW
        return answer


def _wait_seconds(arguments: Mapping[str, object]) -> float:
    asked = arguments.get("timeout")
    return float(asked) if isinstance(asked, int | float) else 0.0


def to_cluster_manager(
    link: Link,
    who: Caller,
    long_seconds: float = LONG_SECONDS,
    access: Access | None = None,
) -> Calls:
    """The calls that a cluster manager answers."""
    return Calls(
        rows=methods.CLUSTER_MANAGER,
        version=versions.CLUSTER_MANAGER.version,
        link=link,
        who=who,
        long_seconds=long_seconds,
        access=access,
    )


def to_node_manager(link: Link, who: Caller, long_seconds: float = LONG_SECONDS) -> Calls:
    """The calls that a node manager answers."""
    return Calls(
        rows=methods.NODE_MANAGER,
        version=versions.NODE_MANAGER.version,
        link=link,
        who=who,
        long_seconds=long_seconds,
    )
