"""The plain values that Tashi's rpyc messages are made of, written and read as rpyc's brine.

rpyc's own reader trusts its input: numbers of a million digits, sets whose members collide,
nesting without end. This one reads only what the few messages we speak are made of (numbers,
texts, bytes, tuples, None, True and False), and only so many of them, so that reading a hostile
message costs no more than copying it. It also spares a client the import of rpyc, 50 ms of
processor time. That it writes what rpyc writes, and reads what rpyc reads, is held by a test.

Each kind of value begins with a byte, its tag (rpyc/core/brine.py). Reading is one function for
each tag, given `take(n)`, which gives up to n bytes, and `spend()`, which ends at the limit.
"""

from collections.abc import Callable
from io import BytesIO
from struct import Struct
from typing import Final, TypeAlias

Plain: TypeAlias = bool | int | str | bytes | tuple["Plain", ...] | None
Take: TypeAlias = Callable[[int], bytes]
Spend: TypeAlias = Callable[[], int]

MOST_VALUES: Final = 64
MOST_DIGITS: Final = 20

_LENGTH: Final = Struct("!L")
_BYTE: Final = 255
_NUMBER: Final = b"\x16"
_TEXT: Final = b"\x08"
_BYTES_UP_TO_4: Final = (b"\x01", b"\x0a", b"\x0b", b"\x0c", b"\x0d")
_BYTES_UP_TO_255: Final = b"\x0e"
_BYTES_LONGER: Final = b"\x0f"
_TUPLE_UP_TO_4: Final = (b"\x02", b"\x10", b"\x11", b"\x12", b"\x13")
_TUPLE_UP_TO_255: Final = b"\x14"
_SMALL_NUMBERS: Final = {number: bytes((number + 0x50,)) for number in range(-0x30, 0xA0)}
_SINGLE: Final[dict[bytes, Plain]] = {
    b"\x00": None,
    b"\x03": True,
    b"\x04": False,
    b"\x01": b"",
    b"\x02": (),
    **{tag: number for number, tag in _SMALL_NUMBERS.items()},
}


class Malformed(ValueError):
    """What came over the connection is nothing that Tashi speaks; the sentence says why."""


# -- writing


def write(value: Plain) -> bytes:
    """Write one value as rpyc's brine does."""
    parts: list[bytes] = []
    _write(value, parts.append)
    return b"".join(parts)


def _write(value: Plain, put: Callable[[bytes], None]) -> None:
    if isinstance(value, tuple):
        put(_head(len(value), _TUPLE_UP_TO_4, _TUPLE_UP_TO_255))
        for item in value:
            _write(item, put)
    elif value is None:
        put(b"\x00")
    elif isinstance(value, bool):
        put(b"\x03" if value else b"\x04")
    elif isinstance(value, int):
        put(_SMALL_NUMBERS.get(value) or _long_number(value))
    elif isinstance(value, bytes):
        put(_head(len(value), _BYTES_UP_TO_4, _BYTES_UP_TO_255))
        put(value)
    else:
        put(_TEXT)
        _write(value.encode(), put)


def _long_number(value: int) -> bytes:
    digits = str(value).encode()
    return _NUMBER + bytes((len(digits),)) + digits


def _head(size: int, tags: tuple[bytes, ...], up_to_255: bytes) -> bytes:
    if size < len(tags):
        return tags[size]
    if size <= _BYTE:
        return up_to_255 + bytes((size,))
    return _BYTES_LONGER + _LENGTH.pack(size)


# -- reading


def read(content: bytes) -> Plain:
    """Read exactly one value; Malformed if the bytes are anything else, or too many values."""
    stream = BytesIO(content)
    value = _read(stream.read, iter(range(MOST_VALUES)).__next__)
    if stream.tell() != len(content):
        raise Malformed("a message goes on after its value")
    return value


def _read(take: Take, spend: Spend) -> Plain:
    tag = take(1)
    if tag in _SINGLE:
        return _SINGLE[tag]
    if tag not in _READERS:
        raise Malformed(f"a message holds a value of an unknown kind ({tag.hex() or 'none'})")
    try:
        spend()
    except StopIteration:
        raise Malformed("a message holds more values than any that Tashi speaks") from None
    return _READERS[tag](take, spend)


def _tuple_of_3(take: Take, spend: Spend) -> Plain:
    return _read(take, spend), _read(take, spend), _read(take, spend)


def _tuple_of_2(take: Take, spend: Spend) -> Plain:
    return _read(take, spend), _read(take, spend)


def _tuple(size: int, take: Take, spend: Spend) -> Plain:
    return tuple([_read(take, spend) for _ in range(size)])


def _exactly(size: int, take: Take) -> bytes:
    content = take(size)
    if len(content) != size:
        raise Malformed("a message ends in the middle of a value")
    return content


def _text(take: Take, spend: Spend) -> Plain:
    encoded = _read(take, spend)
    if not isinstance(encoded, bytes):
        raise Malformed("a text is not made of bytes")
    try:
        return encoded.decode()
    except UnicodeDecodeError as wrong:
        raise Malformed("a text is not UTF-8") from wrong


def _number(take: Take, _: Spend) -> Plain:
    digits = _exactly(_exactly(1, take)[0], take)
    if len(digits) > MOST_DIGITS or not digits.removeprefix(b"-").isdigit():
        raise Malformed("a number is not written as one")
    return int(digits)


_READERS: Final[dict[bytes, Callable[[Take, Spend], Plain]]] = {
    _TUPLE_UP_TO_4[1]: lambda take, spend: (_read(take, spend),),
    _TUPLE_UP_TO_4[2]: _tuple_of_2,
    _TUPLE_UP_TO_4[3]: _tuple_of_3,
    _TUPLE_UP_TO_4[4]: lambda take, spend: _tuple(4, take, spend),
    _TUPLE_UP_TO_255: lambda take, spend: _tuple(_exactly(1, take)[0], take, spend),
    _BYTES_UP_TO_4[1]: lambda take, _: _exactly(1, take),
    _BYTES_UP_TO_4[2]: lambda take, _: _exactly(2, take),
    _BYTES_UP_TO_4[3]: lambda take, _: _exactly(3, take),
    _BYTES_UP_TO_4[4]: lambda take, _: _exactly(4, take),
    _BYTES_UP_TO_255: lambda take, _: _exactly(_exactly(1, take)[0], take),
    _BYTES_LONGER: lambda take, _: _exactly(_LENGTH.unpack(_exactly(4, take))[0], take),
    _NUMBER: _number,
    _TEXT: _text,
}
