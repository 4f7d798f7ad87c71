"""The desk of a service: from the bytes of a request to the handler of its call, and back.

What every call needs is done here, once, from its row: the request is read strictly, its version
and its caller are checked, its arguments decoded, its result encoded. A handler is left with the
thing itself: `handler(caller, request_id, **arguments)`, arguments in snake_case and of the types
that the row names, returning what the row gives, or a Future of it when it has to wait.

Errors are raised, at once or through the Future, and put into their envelope by whoever carries the
answer. Who calls is what the request says of itself: worth as much as the connection it came on.
Whether an instance belongs to its caller is for the handler to ask, for only it knows the instance.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final

from tashi.domain.errors import BadRequest, Broken, Failed
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role, check_permission
from tashi.wire import codec, envelope, versions
from tashi.wire.methods import Row

Handler = Callable[..., object]

_STOPPING: Final = "The service stopped before the call was done."


class Desk:
    """Answers the requests of one service; safe to use from several threads if its handlers are."""

    def __init__(
        self,
        rows: Row,
        handlers: Mapping[str, Handler],
        interface: versions.Interface,
        *,
        relaxed: bool = False,
    ) -> None:
        """Raises Broken unless every row has its handler, and every handler its row."""
        odd = sorted(rows.keys() ^ handlers.keys())
        if odd:
            raise Broken(f"These calls lack a row or a handler: {', '.join(odd)}.")
        self._rows = rows
        self._handlers = handlers
        self._interface = interface
        self._relaxed = relaxed

    def answer(self, content: bytes, peer: object) -> bytes | Future[bytes]:
        """Have one request done; `peer` is where it came from, for what is said of its caller.

        Raises VersionMismatch, BadRequest or NotPermitted before anything was done, and whatever
        the handler raises.
        """
        request = envelope.read_request(content)
        versions.admit(self._interface, request.v, relaxed=self._relaxed)
        row = self._rows.get(request.call)
        if row is None:
            called = codec.printable(request.call)
            raise BadRequest(f"{self._interface.name.capitalize()} answers no call {called!r}.")
        caller = _caller(request, peer)
        check_permission(row.who, caller, row.name)
        arguments = codec.decode(row.takes, request.args, f"The arguments of {row.name}")
        named = {name: getattr(arguments, name) for name in row.takes.__struct_fields__}
        result = self._handlers[row.name](caller, request.id, **named)
        if isinstance(result, Future):
            return _later(request.id, result)
        return envelope.write_result(request.id, codec.encode(result))


def _caller(request: envelope.Request, peer: object) -> Caller:
    user = None if request.user is None else UserId(request.user)
    title = request.role.value if user is None else f"user {user}"
    name = title if request.role is Role.USER else f"{title} at {peer}"
    return Caller(request.role, user, name)


def _later(request_id: str, result: "Future[object]") -> "Future[bytes]":
    answer: Future[bytes] = Future()
    answer.set_running_or_notify_cancel()  # from here on nobody can cancel it
    result.add_done_callback(lambda done: _settle(request_id, done, answer))
    return answer


def _settle(request_id: str, done: "Future[object]", answer: "Future[bytes]") -> None:
    if done.cancelled():
        answer.set_exception(Failed(_STOPPING))
        return
    error = done.exception()
    if error is not None:
        answer.set_exception(error)
        return
    try:
        answer.set_result(envelope.write_result(request_id, codec.encode(done.result())))
    except (TypeError, ValueError) as wrong:  # a result that is no form: its caller must not hang
        answer.set_exception(wrong)
