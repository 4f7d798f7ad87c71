"""The envelope around every call and every answer.

    request   {"v": "1.0", "id": "…", "call": "createVm", "args": {…}, "role": "user", "user": 1000}
    answer    {"id": "…", "ok": …}   or   {"id": "…", "error": {errno, kind, msg, about}}

`v` is the version of the service's interface that the caller speaks; `id` is chosen by the caller
and stays the same when it repeats a request, which is how a repeated request gets its first
answer. `role` and `user` are what the caller says it is, worth as much as the connection is;
`ticket`, which a log-in gave, stands above them.
`args` and `ok` stay undecoded here: the row of the method decides their form. Raw bytes that belong
to them may follow behind (see `codec`), from version 1.3 on.

Errors cross the wire by the name of their class. A name this program does not know (a newer peer)
becomes the family that its number belongs to, so that the caller still knows what it can do about
it. Nothing of a Python exception that is not Tashi's own ever enters an envelope.
"""

from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from tashi.domain.errors import BadRequest, Broken, TashiError
from tashi.domain.permissions import Caller, Role
from tashi.wire import codec
from tashi.wire.shape import UserNumber

NOTHING: Final = msgspec.Raw(b"null")
NO_ARGUMENTS: Final = msgspec.Raw(b"{}")
NOBODY: Final = Caller(Role.USER)
BROKEN: Final = "The service made a mistake of its own; its log says which."

Short = Annotated[str, msgspec.Meta(max_length=100)]
Id = int | str


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One call as its caller wrote it, with the arguments still unread."""

    v: Short
    id: Short
    call: Short
    args: msgspec.Raw = NO_ARGUMENTS
    role: Role = Role.USER
    user: UserNumber | None = None
    ticket: Short = ""


class ErrorForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A TashiError on the wire."""

    errno: int
    kind: Short
    msg: str
    about: dict[str, Id] = {}


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    ok: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: ErrorForm | msgspec.UnsetType = msgspec.UNSET


class _Glance(msgspec.Struct, frozen=True):
    id: str = ""
    call: str = "a request"


def write_request(
    version: str,
    request_id: str,
    call: str,
    args: bytes = b"{}",
    who: Caller = NOBODY,
    *,
    ticket: str = "",
) -> bytes:
    """Wrap the encoded arguments of one call, made by `who`, who may have a `ticket`."""
    raw = msgspec.Raw(args)
    return codec.encode(Request(version, request_id, call, raw, who.role, who.user_id, ticket))


def read_request(content: bytes) -> Request:
    """Unwrap a call; BadRequest if the bytes are no request."""
    return codec.decode(Request, codec.text_of(content), "The request")


def write_result(request_id: str, result: bytes = b"null", raw: bytes | None = None) -> bytes:
    """Wrap the encoded result of a call that was done."""
    return codec.joined(codec.encode(_Answer(request_id, ok=msgspec.Raw(result))), raw)


def write_error(request_id: str, error: Exception) -> bytes:
    """Wrap why a call was not done; what is not a TashiError leaves as a Broken without details."""
    known = error if isinstance(error, TashiError) else Broken(BROKEN)
    # Words that echo what a peer sent are as long as that was.
    form = ErrorForm(known.errno, known.kind, codec.printable(known.message), dict(known.about))
    return codec.encode(_Answer(request_id, error=form))


def read_answer(content: bytes, request_id: str) -> msgspec.Raw:
    """Unwrap the result of the call `request_id`, or raise the error that it ended with.

    Raises BadRequest when the bytes are no answer to that call.
    """
    answer = codec.decode(_Answer, codec.text_of(content), "The answer")
    if answer.error is not msgspec.UNSET:
        raise error_from(answer.error)
    if answer.ok is msgspec.UNSET:
        raise BadRequest("The answer is not understood: it holds no result and no error.")
    if answer.id != request_id:
        raise BadRequest("The answer is not understood: it answers another request.")
    return answer.ok


def error_in(content: bytes) -> TashiError | None:
    """The error that an answer says a call ended with, if it says one."""
    try:
        answer = codec.decode(_Answer, codec.text_of(content), "The answer")
    except BadRequest:
        return None
    return None if answer.error is msgspec.UNSET else error_from(answer.error)


def glance(content: bytes) -> tuple[str, str]:
    """Say the id and the call of a request for a log line or complaint, however damaged it is."""
    try:
        seen = codec.decode(_Glance, codec.text_of(content), "The request")
    except BadRequest:
        seen = _Glance()
    return codec.printable(seen.id), codec.printable(seen.call)


def error_from(form: ErrorForm) -> TashiError:
    """Rebuild the error that a peer reported, as the nearest class that this program knows."""
    kind = _kinds().get(form.kind) or _family_of(form.errno)
    error = kind.__new__(kind)
    TashiError.__init__(error, codec.printable(form.msg))
    error.about = dict(form.about)
    return error


def _kinds() -> dict[str, type[TashiError]]:
    return {kind.__name__: kind for kind in _below(TashiError)}


def _below(family: type[TashiError]) -> Iterator[type[TashiError]]:
    yield family
    for kind in family.__subclasses__():
        yield from _below(kind)


def _family_of(errno: int) -> type[TashiError]:
    """Families own the hundred their number begins; Tashi's old numbers belong where they stand."""
    for family in TashiError.__subclasses__():
        if errno in {kind.errno for kind in _below(family)}:
            return family
        if errno // 100 == family.errno // 100 > 0:
            return family
    return TashiError
