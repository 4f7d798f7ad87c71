"""The messages of rpyc's protocol that Tashi speaks, and what each asks for. No I/O.

rpyc's `Connection` answers twenty kinds of request about any object it ever handed out. This is
the closed table in its place: a peer may ping, say goodbye, ask for the root, ask the root for
`call`, call it with exactly one bytes value, and let go of what it was given. The two references
handed out are constants, so nothing is remembered of a peer and nothing can be reached through
them. Whatever else is well formed is refused with the same sentence; what is not, ends the
connection.

The caller's half is as narrow: it takes values as answers, and a goodbye. A peer that sends it a
request, or a reference where a value belongs, is not believed any further.
"""

from typing import Final, TypeAlias

from msgspec import Struct

from tashi.adapters.rpyc.plain import MOST_DIGITS, Malformed, Plain, read, write

PING_BYTES: Final = 4096


class Sort:
    """Sorts of message (rpyc/core/consts.py)."""

    REQUEST: Final = 1
    REPLY: Final = 2
    EXCEPTION: Final = 3


class Label:
    """How a value is passed (rpyc/core/consts.py)."""

    VALUE: Final = 1
    TUPLE: Final = 2
    YOURS: Final = 3
    MINE: Final = 4


class Ask:
    """The requests that are answered (rpyc/core/consts.py)."""

    PING: Final = 1
    CLOSE: Final = 2
    ROOT: Final = 3
    ATTRIBUTE: Final = 4
    CALL: Final = 7
    RELEASE: Final = 15


Reference: TypeAlias = tuple[str, int, int]


class Ours:
    """The two objects a peer can name; both classes are ones that rpyc knows without asking."""

    ROOT: Final[Reference] = ("builtins.object", 1, 1)
    METHOD: Final[Reference] = ("builtins.method", 2, 2)


class Call(Struct, frozen=True):
    """A request for the service, to be answered by `reply(number, …)`."""

    number: int
    request: bytes


class Told(Struct, frozen=True):
    """A message that is answered at once, without the service."""

    answer: bytes


class Reply(Struct, frozen=True):
    """What a request of ours got: a value or a reference."""

    number: int
    content: bytes | Reference


class Refusal(Struct, frozen=True):
    """The peer would not do what a request of ours asked; `words` are its own."""

    number: int
    words: str


class Goodbye(Struct, frozen=True):
    """The peer leaves."""


# -- a call, alike but for its number and its request

_BEFORE_NUMBER: Final = bytes((Sort.REQUEST,)) + b"\x11"
AROUND_REQUEST: Final = 64
"""More bytes than any number and the rest of a call take, for telling how long a request may be."""


def around_request(method: Reference) -> tuple[bytes, bytes]:
    """The bytes of a call of that method, between its number and its request and after that."""
    stand_in = b"@"
    given = ((Label.YOURS, method), (Label.VALUE, (stand_in,)), (Label.VALUE, ()))
    before, _, after = write((Ask.CALL, (Label.TUPLE, given))).rpartition(write(stand_in))
    return before, after


_BEFORE_REPLY: Final = bytes((Sort.REPLY,)) + b"\x11"
_BEFORE_VALUE: Final = b"\x11" + write(Label.VALUE)
_BEFORE_REQUEST, _AFTER_REQUEST = around_request(Ours.METHOD)
_LONGEST_START: Final = len(_BEFORE_NUMBER) + 2 + MOST_DIGITS + len(_BEFORE_REQUEST)


# -- the side that is called


def understand(message: bytes) -> Call | Told | Goodbye:
    """Say what a caller's message asks for; Malformed if it is none that rpyc would send."""
    call = _as_call(message)
    if call is not None:
        return call
    sort, number, content = _opened(message)
    if sort != Sort.REQUEST:
        raise Malformed("a caller sent an answer, but was asked nothing")
    match content:
        case (Ask.CLOSE, _):
            return Goodbye()
        case (Ask.PING, (Label.VALUE, (str() | bytes() as echo,))) if len(echo) <= PING_BYTES:
            answer = reply(number, echo)
        case (Ask.ROOT, _):
            answer = _message(Sort.REPLY, number, (Label.MINE, Ours.ROOT))
        case (Ask.ATTRIBUTE, (_, ((Label.YOURS, Ours.ROOT), (_, "call")))):
            answer = _message(Sort.REPLY, number, (Label.MINE, Ours.METHOD))
        case (Ask.RELEASE, _):
            answer = reply(number, None)
        case (int(), _):
            answer = _refusal(number)
        case _:
            raise Malformed("a request does not say what it asks for")
    return Told(answer)


def _as_call(message: bytes) -> Call | None:
    """Nearly every message is a call, alike but for number and request: compared, not read."""
    start = message.find(_BEFORE_REQUEST, 0, _LONGEST_START)
    alike = message.startswith(_BEFORE_NUMBER) and message.endswith(_AFTER_REQUEST)
    if start < 0 or not alike:
        return None
    number = read(message[len(_BEFORE_NUMBER) : start])
    request = read(message[start + len(_BEFORE_REQUEST) : -len(_AFTER_REQUEST)])
    if isinstance(number, int) and isinstance(request, bytes):
        return Call(number, request)
    return None


def reply(number: int, value: Plain) -> bytes:
    """Answer the request `number` with a value."""
    return _BEFORE_REPLY + write(number) + _BEFORE_VALUE + write(value)


def _refusal(number: int) -> bytes:
    words = "There is nothing here but call(request), with exactly one bytes value."
    exception = (("builtins", "AttributeError"), (words,), (), "<not told>")
    return _message(Sort.EXCEPTION, number, exception)


# -- the side that calls


def ask_root(number: int) -> bytes:
    """Ask for the peer's root object."""
    return _message(Sort.REQUEST, number, (Ask.ROOT, (Label.VALUE, ())))


def ask_method(number: int, root: Reference) -> bytes:
    """Ask the peer's root for its one method."""
    named = ((Label.YOURS, root), (Label.VALUE, "call"))
    return _message(Sort.REQUEST, number, (Ask.ATTRIBUTE, (Label.TUPLE, named)))


def ask_call(number: int, around: tuple[bytes, bytes], request: bytes) -> bytes:
    """Call the peer's method, given what is around a request to it."""
    before, after = around
    return b"".join((_BEFORE_NUMBER, write(number), before, write(request), after))


def hear(message: bytes) -> Reply | Refusal | Goodbye:
    """Say what a peer's message tells us; Malformed if it is more than an answer may be."""
    sort, number, content = _opened(message)
    match sort, content:
        case Sort.REPLY, (Label.VALUE, bytes(value)):
            return Reply(number, value)
        case Sort.REPLY, (Label.MINE, (str(name), int(kind), int(which))):
            return Reply(number, (name, kind, which))
        case Sort.EXCEPTION, (_, (str(words), *_), *_):
            return Refusal(number, words)
        case Sort.EXCEPTION, _:
            return Refusal(number, "no reason given")
        case Sort.REQUEST, (Ask.CLOSE, _):
            return Goodbye()
        case _:
            raise Malformed("it sent something other than an answer")


def _message(sort: int, number: int, content: Plain) -> bytes:
    return bytes((sort,)) + write((number, content))


def _opened(message: bytes) -> tuple[int, int, Plain]:
    match read(message[1:]) if message else None:
        case (int(number), content):
            return message[0], number, content
        case _:
            raise Malformed("a message has no number")
