"""Kinds of value that a setting may have: how its text is read, and what to say when it cannot be.

A kind is a parser with a name. It promises to return a value of its type or to raise `Unsuitable`
with half a sentence that follows the value ("is no port"); what would be right stands in
`Kind.expects`. Kinds are small and composed: `several(port)`, `choice("auto", "kvm", "tcg")`.

Nothing here knows a key, a file or a section, and nothing is ever evaluated.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

T = TypeVar("T")

_FOR_A_SHELL: Final = re.compile(r"\d?[|&;<>]+[&\d]*")
"""A word that is no argument but tells a shell what to do."""
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DECIMAL: Final = r"[0-9]{1,18}(\.[0-9]*)?|\.[0-9]+"
_PLACE: Final = (
    r"\[(?P<inside>[^\[\]]+)\](:(?P<behind>.*))?|(?P<host>[^:\[\]]+)(:(?P<port>[^:]*))?|.*"
)
_LONGEST_NAME: Final = 253
_LONGEST_WAIT: Final = 1e9
_HIGHEST_PORT: Final = 65535
_HIGHEST_COUNT: Final = 10**15
_FLAGS: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


class Unsuitable(ValueError):
    """A text cannot be read as the kind asked for; the message says what is wrong with it."""


class Place(NamedTuple):
    """Where a program listens; without a port, at the one that is usual for it."""

    host: str
    port: int | None = None

    def address(self, usual_port: int) -> tuple[str, int]:
        """The host and the port to call."""
        return self.host, usual_port if self.port is None else self.port


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Kind(Generic[T]):
    """One kind of value.

    `expects` completes "write …" and names an example; `read` raises `Unsuitable`; `write` gives
    a default's text, which `read` takes back. A `hidden` kind is masked wherever it is shown.
    """

    expects: str
    read: Callable[[str], T]
    write: Callable[[T], str] = str
    hidden: bool = False


def whole(expects: str, at_least: int, at_most: int = _HIGHEST_COUNT) -> Kind[int]:
    """A whole number between two bounds, both included."""

    def read(written: str) -> int:
        if not (written.isascii() and written.removeprefix("-").isdigit()):
            raise Unsuitable("is no whole number")
        # Nobody reads thousands of digits to know that they are too many.
        if len(written) > len(str(at_most)) or not at_least <= int(written) <= at_most:
            raise Unsuitable(f"is outside {at_least} to {at_most}")
        return int(written)

    return Kind(expects, read)


def decimal(expects: str, *, zero: bool, at_most: float) -> Kind[float]:
    """A plain decimal number; `zero` says whether 0 is allowed."""

    def read(written: str) -> float:
        if re.fullmatch(_DECIMAL, written.removeprefix("-")) is None:
            raise Unsuitable("is no decimal number")
        if written.startswith("-"):
            raise Unsuitable("is below 0")
        number = float(written)
        if number == 0 and not zero:
            raise Unsuitable("must be more than 0")
        if number > at_most:
            raise Unsuitable(f"is more than {at_most:g}")
        return number

    return Kind(expects, read)


def choice(*words: str) -> Kind[str]:
    """One of a few words; case does not matter, the word is returned as declared."""
    known = {word.lower(): word for word in words}

    def read(written: str) -> str:
        if written.lower() not in known:
            raise Unsuitable("is not one of the choices")
        return known[written.lower()]

    return Kind(f"one of {', '.join(words)}", read)


def implementation(*names: str) -> Kind[str]:
    """A dotted name that stands for a part Tashi brings along; a last part alone is not enough."""

    def read(written: str) -> str:
        if written not in names:
            raise Unsuitable("names nothing that this Tashi has")
        return written

    return Kind(f"one of {', '.join(names)}", read)


def at_least_one(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """One or more values of one kind, separated by commas."""
    any_number = several(kind)

    def read(written: str) -> tuple[T, ...]:
        values = any_number.read(written)
        if not values:
            raise Unsuitable("is empty")
        return values

    return Kind(f"one or more of them, with commas between: {kind.expects}", read, any_number.write)


def several(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """Any number of values of one kind, separated by commas; an empty text is none of them."""

    def read(written: str) -> tuple[T, ...]:
        parts = [part.strip() for part in written.split(",")]
        return tuple(kind.read(part) for part in parts if part)

    def write(values: tuple[T, ...]) -> str:
        return ", ".join(kind.write(value) for value in values)

    return Kind(f"any number of them, with commas between: {kind.expects}", read, write)


def _read_flag(written: str) -> bool:
    if written.lower() not in _FLAGS:
        raise Unsuitable("is neither true nor false")
    return _FLAGS[written.lower()]


def _read_text(written: str) -> str:
    if not written.isprintable():
        raise Unsuitable("holds a line break or another character that cannot be printed")
    return written


def _read_path(written: str) -> Path:
    if not _read_text(written):
        raise Unsuitable("is empty")
    try:
        return Path(written).expanduser()
    except RuntimeError as unknown:
        raise Unsuitable("begins with ~, but that user has no home folder") from unknown


def _read_program(written: str) -> str:
    return str(_read_path(written)) if "/" in written else _read_word(written)


def _read_word(written: str) -> str:
    if not written or len(_read_text(written).split()) != 1:
        raise Unsuitable("is not one word")
    return written


def _read_dotted(written: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+", written) is None:
        raise Unsuitable("is no dotted name")
    return written


def _read_command(written: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(_read_text(written)))
    except ValueError as unclosed:
        raise Unsuitable("has a quotation mark that is never closed") from unclosed
    if not words:
        raise Unsuitable("names no program")
    if any(map(_FOR_A_SHELL.fullmatch, words)):
        raise Unsuitable("is a line for a shell, and no shell reads it")
    return words


def _is_ip_address(written: str) -> bool:
    """Whether the text is a numeric IPv4 or IPv6 address."""
    from ipaddress import ip_address  # noqa: PLC0415  rarely needed, and dear at a client's start

    try:
        ip_address(written)
    except ValueError:
        return False
    return True


def _read_hostname(written: str) -> str:
    labels = written.removesuffix(".").split(".")
    looks_numeric = ":" in written or labels[-1].isdigit()
    if looks_numeric:
        if not _is_ip_address(written):
            raise Unsuitable("is no IP address, and no host's name ends in a number")
    elif len(written) > _LONGEST_NAME or not all(re.fullmatch(_LABEL, label) for label in labels):
        raise Unsuitable("is neither a host's name nor an IP address")
    return written


def _read_place(written: str) -> Place:
    found = re.fullmatch(_PLACE, written, re.DOTALL)
    assert found is not None  # the last alternative fits everything
    host = found["inside"] or found["host"] or written
    port = found["behind"] if found["inside"] else found["port"]
    return Place(_read_hostname(host), None if port is None else _PORT.read(port))


def _write_place(place: Place) -> str:
    if place.port is None:
        return place.host
    return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


def _read_address(written: str) -> str:
    from ipaddress import ip_address  # noqa: PLC0415  rarely needed, and dear at a client's start

    try:
        return str(ip_address(written))
    except ValueError as wrong:
        raise Unsuitable("is no IP address") from wrong


def _read_url(written: str) -> str:
    from urllib.parse import urlsplit  # noqa: PLC0415  rarely needed, and dear at a client's start

    try:
        parts = urlsplit(written)
        usable = parts.port != 0
    except ValueError as wrong:
        raise Unsuitable(f"is no address of a receiver ({wrong})") from wrong
    if parts.scheme not in {"http", "https"} or not parts.hostname or not usable:
        raise Unsuitable("is no address of a receiver")
    _read_hostname(parts.hostname)
    if "@" in parts.netloc:
        raise Unsuitable("has a user's name in it, which nobody asks for: posts are signed")
    if not (written.isascii() and written.isprintable()) or " " in written:
        raise Unsuitable("has characters that stand in no address")
    return written


def _read_device(written: str) -> str:
    if re.fullmatch(r"[^\s/:]{1,15}", written) is None or written in {".", ".."}:
        raise Unsuitable("is no name of a network device")
    return written


def _read_networks(written: str) -> "tuple[IPv4Network | IPv6Network, ...]":
    from ipaddress import ip_network  # noqa: PLC0415  rarely needed, and dear at a client's start

    networks = []
    for part in written.replace(",", " ").split():
        try:
            networks.append(ip_network(part))
        except ValueError as wrong:
            raise Unsuitable(f"has a part that is no network ({wrong})") from wrong
    return tuple(networks)


def _write_networks(networks: "tuple[IPv4Network | IPv6Network, ...]") -> str:
    return ", ".join(str(network) for network in networks)


_PORT: Final = whole("a port from 1 to 65535", at_least=1, at_most=_HIGHEST_PORT)

seconds: Final = decimal("seconds above 0, such as 30.0", zero=False, at_most=_LONGEST_WAIT)
seconds_or_never: Final = decimal(
    "seconds such as 15.0, or 0 for never", zero=True, at_most=_LONGEST_WAIT
)
ratio: Final = decimal("a factor above 0, such as 1.5", zero=False, at_most=1000)
mebibytes: Final = whole("a whole number of MiB, such as 8192", at_least=1)
mebibytes_or_none: Final = whole("a whole number of MiB, such as 512, or 0", at_least=0)
cores: Final = whole("a whole number of cores, such as 8", at_least=1, at_most=1_000_000)
count: Final = whole("a whole number above 0", at_least=1)
number: Final = whole("a whole number", at_least=0)
port: Final = _PORT
listening_port: Final = whole(
    "a port from 1 to 65535, or 0 for any free one", at_least=0, at_most=_HIGHEST_PORT
)
mtu: Final = whole("a number of bytes from 576 to 65535", at_least=576, at_most=65535)
flag: Final = Kind("True or False (yes, no, on, off, 1 and 0 do as well)", _read_flag)
text: Final = Kind("a text on one line", _read_text)
secret: Final = Kind("a secret on one line", _read_text, hidden=True)
word: Final = Kind("one word", _read_word)
dotted: Final = Kind("a dotted name, such as tashi.agents.DhcpDns", _read_dotted)
path: Final = Kind("a file or folder, such as /var/lib/tashi or ~/tashi", _read_path)
program: Final = Kind("a program's name or path, such as qemu-system-x86_64", _read_program)
command: Final = Kind("a program and its arguments, such as zstd -1", _read_command, shlex.join)
hostname: Final = Kind("a host's name or IP address, such as merkabah", _read_hostname)
places: Final = at_least_one(
    Kind(
        "a host's name or IP address, such as merkabah or merkabah:9882", _read_place, _write_place
    )
)
address: Final = Kind("an IP address, such as 10.0.0.11", _read_address)
url: Final = Kind("an address such as https://site.example/hook", _read_url)
device: Final = Kind("the name of a network device, such as eth0", _read_device)
networks: Final = Kind("networks such as 10.0.0.0/8, fd00::/8", _read_networks, _write_networks)
