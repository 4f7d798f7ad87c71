"""The desk of a service: from the bytes of a request to the handler of its call, and back.

What every call needs is done here, once, from its row: the request is read strictly, its version
and its caller are checked, its arguments decoded, its result encoded. A handler is left with the
thing itself: `handler(caller, request_id, **arguments)`, arguments in snake_case and of the types
that the row names, returning what the row gives, or a Future of it when it has to wait.

Errors are raised, at once or through the Future, and put into their envelope by whoever carries the
answer. Who calls is for `identify` to say; unless somebody knows better it is what the request says
of itself, worth as much as the connection it came on. Whether an instance belongs to its caller is
for the handler to ask, for only it knows the instance.

Of what may be asked about later the desk tells `note`: who did it, and how it ended.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeVar

from tashi.domain.errors import BadRequest, Broken, Failed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Proven, Role, check_permission
from tashi.wire import codec, envelope, versions
from tashi.wire.chaining import STOPPING, then
from tashi.wire.methods import Method, Row

T = TypeVar("T")
Handler = Callable[..., object]

Identify = Callable[[envelope.Request, object], "Caller | Future[Caller]"]
"""Says who makes a request that came from a peer; may raise NotLoggedIn, at once or later."""


@dataclass(frozen=True, slots=True)
class Deed:
    """A call that may be asked about later; `arguments` are ``None`` where they were not read."""

    call: str
    caller: Caller
    peer: object
    arguments: object = None


class _Asked(NamedTuple):
    """A request, the raw bytes that came with it, and whether its answer may bring such."""

    request: envelope.Request
    raw: bytes | None
    takes_raw: bool


Note = Callable[[Deed, object, BaseException | None], None]
"""Hears how a deed ended: with what result, or with which error. It must be quick."""


def said(request: envelope.Request, peer: object) -> Caller:
    """Who a request says that makes it."""
    user = None if request.user is None else UserId(request.user)
    title = request.role.value if user is None else f"user {user}"
    name = title if request.role is Role.USER else f"{title} at {peer}"
    return Caller(request.role, user, name)


def _unnoted(_deed: Deed, _result: object, _error: BaseException | None) -> None:
    """Where nobody asks later."""


class Desk:
    """Answers the requests of one service; safe to use from several threads if its handlers are."""

    def __init__(
        self,
        rows: Row,
        handlers: Mapping[str, Handler],
        interface: versions.Interface,
        *,
        relaxed: bool = False,
        identify: Identify = said,
        note: Note = _unnoted,
    ) -> None:
        """Raises Broken unless every row has its handler, and every handler its row."""
        odd = sorted(rows.keys() ^ handlers.keys())
        if odd:
            raise Broken(f"These calls lack a row or a handler: {', '.join(odd)}.")
        self._rows = rows
        self._handlers = handlers
        self._interface = interface
        self._relaxed = relaxed
        self._identify = identify
        self._note = note

    @property
    def calls(self) -> AbstractSet[str]:
        """The calls that it answers."""
        return self._rows.keys()

    def answer(self, content: bytes, peer: object) -> bytes | Future[bytes]:
        """Have one request done; `peer` is where it came from, for what is said of its caller.

        Raises VersionMismatch, BadRequest, NotLoggedIn or NotPermitted before anything was done,
        and whatever the handler raises.
        """
        request = envelope.read_request(content)
        spoken = versions.admit(self._interface, request.v, relaxed=self._relaxed)
        row = self._rows.get(request.call)
        if row is None:
            called = codec.printable(request.call)
            raise BadRequest(
                f"{self._interface.name.capitalize()} answers no call {called!r}: another program "
                "does, at another port, or another version of this one."
            )
        asked = _Asked(request, codec.raw_of(content), spoken >= versions.RAW)
        try:
            caller = self._identify(request, peer)
        except BaseException as error:
            self._end(row, _stranger_s(row, request, peer), None, error)
            raise
        if not isinstance(caller, Future):
            return self._done(row, asked, caller, peer)
        caller.add_done_callback(partial(self._tell_failure, row, _stranger_s(row, request, peer)))
        return then(caller, lambda known: self._done(row, asked, known, peer))

    def _done(
        self, row: Method, asked: _Asked, caller: Caller, peer: object
    ) -> bytes | Future[bytes]:
        """Have a request done, and note what may be asked about later."""
        arguments = None
        try:
            check_permission(row.who, caller, row.name)
            arguments = _arguments(row, asked)
            result = self._handled(row, asked.request, caller, arguments)
        except BaseException as error:
            self._end(row, Deed(row.name, caller, peer, arguments), None, error)
            raise
        deed = Deed(row.name, caller, peer, arguments)
        if isinstance(result, Future):
            if row.changes:
                result.add_done_callback(partial(self._tell, deed))
        else:
            self._end(row, deed, result, None)
        return _written(asked, result)

    def _tell(self, deed: Deed, done: "Future[object]") -> None:
        error = _error_of(done)
        self._note(deed, None if error is not None else done.result(), error)

    def _tell_failure(self, row: Method, deed: Deed, known: "Future[Caller]") -> None:
        error = _error_of(known)
        if error is not None:
            self._end(row, deed, None, error)

    def _end(self, row: Method, deed: Deed, result: object, error: BaseException | None) -> None:
        if row.changes:
            self._note(deed, result, error)

    def _handled(
        self, row: Method, request: envelope.Request, caller: Caller, arguments: object
    ) -> object:
        named = {name: getattr(arguments, name) for name in row.takes.__struct_fields__}
        return self._handlers[row.name](caller, request.id, **named)


def _stranger_s(row: Method, request: envelope.Request, peer: object) -> Deed:
    """What somebody asked for of whom it is not known who they are."""
    return Deed(row.name, replace(said(request, peer), proven=Proven.NOTHING), peer)


def _arguments(row: Method, asked: _Asked) -> object:
    what = f"What {row.name} was given"
    return codec.with_raw(codec.decode(row.takes, asked.request.args, what), asked.raw, what)


def _error_of(done: "Future[T]") -> BaseException | None:
    try:
        return done.exception()
    except CancelledError:
        return Failed(STOPPING)


def _written(asked: _Asked, result: object) -> bytes | Future[bytes]:
    def write(outcome: object) -> bytes:
        if asked.takes_raw:
            return envelope.write_result(asked.request.id, *codec.encode_apart(outcome))
        return envelope.write_result(asked.request.id, codec.encode(outcome))

    return then(result, write) if isinstance(result, Future) else write(result)
