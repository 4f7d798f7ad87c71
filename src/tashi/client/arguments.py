"""What can follow a command: each argument once, with its name, its kind, its words and default.

An argument knows the type it is read as, so `given[CORES]` is a number to mypy too. Everything that
was typed is read before anything is asked of the cluster: a slip costs nothing. Whether a value is
*allowed* is for the cluster manager to say, here it only has to be understood.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

from tashi.client import syntax
from tashi.domain.errors import TashiError
from tashi.domain.instance import OnExit, OnLoss
from tashi.domain.states import HostState
from tashi.wire import forms

MOST_AT_ONCE: Final = 10_000
"""How many instances one command creates at most: one call each."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Misused(TashiError):
    """The command line is not understood; the sentence says what would be."""

    errno = 301


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument(Generic[T_co]):
    """One argument, typed as --name VALUE; without a metavar it is a switch and takes no value.

    `read` raises ValueError with words that go on after the name. What `repeats` may be given
    several times, which means the same as one value with commas between. What `goes_with` another
    argument means nothing without it. `choices` says for help which names a value may have, and
    what each means.
    """

    name: str
    read: Callable[[str], T_co]
    words: str
    metavar: str = ""
    default: T_co | None = None
    required: bool = False
    repeats: bool = False
    goes_with: str = ""
    choices: Callable[[], Iterable[tuple[str, str]]] = tuple


class Given:
    """The values of a command's arguments."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __getitem__(self, argument: Argument[T]) -> T:
        return cast("T", self._values[argument.name])


def read_all(arguments: Iterable[Argument[object]], typed: Mapping[str, str]) -> Given:
    """Read what was typed for each argument; Misused for the first that is not understood."""
    return Given({argument.name: _read(argument, typed) for argument in arguments})


def _read(argument: Argument[object], typed: Mapping[str, str]) -> object:
    text = typed.get(argument.name)
    if text is None:
        return argument.default
    if argument.goes_with and argument.goes_with not in typed:
        raise Misused(f"--{argument.name} goes with --{argument.goes_with}.")
    try:
        text.encode()
        return argument.read(text)
    except UnicodeEncodeError as wrong:
        raise Misused(f"--{argument.name} is no UTF-8 text.") from wrong
    except ValueError as wrong:
        raise Misused(f"--{argument.name} {wrong}.") from wrong


# ---- kinds --------------------------------------------------------------------------------------


def text(typed: str) -> str:
    """Any text but none at all."""
    if not typed:
        raise ValueError("is empty: give it a value")
    return typed


def any_text(typed: str) -> str:
    """Any text, also none."""
    return typed


def whole_number(typed: str) -> int:
    """A whole number of a size that computers count to."""
    plain = typed.strip()
    if not plain.removeprefix("-").isdecimal():
        raise ValueError(f"takes a whole number, not {typed!r}")
    if len(plain) > syntax.MOST_DIGITS:
        raise ValueError(f"takes no number of more than {syntax.MOST_DIGITS} digits")
    return int(plain)


def count(typed: str) -> int:
    """How many, at least one."""
    number = whole_number(typed)
    if number < 1:
        raise ValueError(f"takes a number from 1 on, not {typed!r}")
    return number


def _how_many(typed: str) -> int:
    number = whole_number(typed)
    if not 1 <= number <= MOST_AT_ONCE:
        raise ValueError(f"takes a number from 1 to {MOST_AT_ONCE}, not {typed!r}")
    return number


def seconds(typed: str) -> float:
    """A time in seconds, not negative."""
    try:
        number = float(typed)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"takes a number of seconds, not {typed!r}")
    return number


def switch(typed: str) -> bool:
    """Whether it was given at all."""
    return bool(typed)


def _host_state(typed: str) -> HostState:
    states = {state.name.lower(): state for state in (HostState.NORMAL, HostState.DRAINED)}
    return _one_of(states, typed)


def _one_of(values: Mapping[str, T], typed: str) -> T:
    found = values.get(typed.lower())
    if found is None:
        raise ValueError(f"takes {' or '.join(values)}, not {typed!r}")
    return found


def one_disk(typed: str) -> tuple[forms.DiskForm, ...]:
    """A single disk."""
    disks = syntax.read_disks(typed)
    if len(disks) != 1:
        raise ValueError("takes one disk at a time")
    return disks


def one_nic(typed: str) -> tuple[syntax.NicWish, ...]:
    """A single network card; with nothing said of it, one on the default network."""
    nics = syntax.read_nics(typed) or (syntax.NicWish("", None, ""),)
    if len(nics) != 1:
        raise ValueError("takes one network card at a time")
    return nics


def _on_exit(typed: str) -> OnExit:
    return _one_of({kind.value: kind for kind in OnExit}, typed)


def _on_loss(typed: str) -> OnLoss:
    return _one_of({kind.value: kind for kind in OnLoss}, typed)


# ---- the arguments ------------------------------------------------------------------------------

INSTANCE: Final = Argument(
    name="instance", read=text, metavar="INSTANCE", required=True, words="an instance's id or name"
)
ONE_INSTANCE: Final[Argument[str | None]] = Argument(
    name="instance", read=text, metavar="INSTANCE", words="only this instance, by id or name"
)
HOST: Final = Argument(
    name="host", read=text, metavar="HOST", required=True, words="a host's id or name"
)
DESTINATION: Final = Argument(
    name="dst", read=text, metavar="HOST", required=True, words="the host to move to, id or name"
)
NEW_HOST: Final = Argument(
    name="host", read=text, metavar="NAME", required=True, words="the host's name"
)
USER: Final = Argument(
    name="user", read=text, metavar="USER", required=True, words="a user's id or name"
)
OWNER: Final[Argument[str | None]] = Argument(
    name="userId", read=text, metavar="USER", words="the owner, by id or name (default: you)"
)
NETWORK: Final = Argument(
    name="network", read=text, metavar="NETWORK", required=True, words="a network's id or name"
)
NAME: Final = Argument(name="name", read=text, metavar="NAME", required=True, words="its name")
ID: Final = Argument(
    name="id", read=whole_number, metavar="NUMBER", required=True, words="its number"
)
BASENAME: Final = Argument(
    name="basename",
    read=text,
    metavar="NAME",
    required=True,
    words="what the names begin with, as in NAME-0, NAME-1 …",
)
COUNT: Final = Argument(
    name="count", read=_how_many, metavar="NUMBER", required=True, words="how many to create"
)
CORES: Final = Argument(
    name="cores", read=whole_number, metavar="NUMBER", default=1, words="how many cores"
)
MEMORY: Final = Argument(
    name="memory", read=whole_number, metavar="MIB", default=128, words="memory in MiB"
)
DISKS: Final[Argument[tuple[forms.DiskForm, ...]]] = Argument(
    name="disks",
    read=syntax.read_disks,
    metavar="IMAGE[:True],…",
    required=True,
    repeats=True,
    words="its disks; what is written to one with :True is kept in the image",
)
NICS: Final[Argument[tuple[syntax.NicWish, ...] | None]] = Argument(
    name="nics",
    read=syntax.read_nics,
    metavar="[NETWORK][:IP][:MAC],…",
    repeats=True,
    words="its network cards, or none (default: one on the default network)",
)


def _hints() -> Iterable[tuple[str, str]]:
    from tashi.domain.hints import HINTS as KNOWN  # noqa: PLC0415  only help waits for it

    yield from ((hint.name, f"{hint.words} Give {hint.right}.") for hint in KNOWN.values())
    yield "x-NAME", "Yours, for the site's own hooks. Give a plain word."


HINTS: Final[Argument[Mapping[str, str]]] = Argument(
    name="hints",
    read=syntax.read_hints,
    metavar="NAME=VALUE,…",
    default={},
    repeats=True,
    words="wishes about where and how it runs, listed below",
    choices=_hints,
)
GROUP: Final = Argument(
    name="group", read=any_text, metavar="NAME", default="", words="a group that hints can name"
)
ON_EXIT: Final = Argument(
    name="onExit",
    read=_on_exit,
    metavar="forget|stop|restart",
    default=OnExit.FORGET,
    words="what becomes of it when it powers itself off",
)
ON_LOSS: Final = Argument(
    name="onLoss",
    read=_on_loss,
    metavar="restart|stop|forget",
    default=OnLoss.RESTART,
    words="what becomes of it when its host or its QEMU died",
)
VMM_CALL: Final = Argument(
    name="arg",
    read=text,
    metavar="CALL",
    required=True,
    words="what to do; list says what",
)
NEW_NAME: Final = Argument(
    name="name", read=text, metavar="NAME", required=True, words="its new name"
)
NEW_CORES: Final[Argument[int | None]] = Argument(
    name="cores", read=whole_number, metavar="NUMBER", words="how many cores from now on"
)
NEW_MEMORY: Final[Argument[int | None]] = Argument(
    name="memory", read=whole_number, metavar="MIB", words="memory in MiB from now on"
)
DISK: Final[Argument[tuple[forms.DiskForm, ...]]] = Argument(
    name="disk",
    read=one_disk,
    metavar="IMAGE[:True]",
    required=True,
    words="the disk's image; what is written to one with :True is kept in it",
)
NIC: Final[Argument[tuple[syntax.NicWish, ...]]] = Argument(
    name="nic",
    read=one_nic,
    metavar="[NETWORK][:IP][:MAC]",
    default=(syntax.NicWish("", None, ""),),
    words="the network card (default: one on the default network)",
)
MAC: Final = Argument(
    name="mac", read=text, metavar="MAC", required=True, words="the network card's MAC address"
)
MEDIUM: Final = Argument(
    name="image",
    read=any_text,
    metavar="IMAGE",
    default="",
    words="the image to put in (default: none, what is there is taken out)",
)
PASSWORD: Final = Argument(
    name="password",
    read=text,
    metavar="PASSWORD",
    default="",
    words="at most 8 characters (default: one is made up)",
)
SOCKET: Final = Argument(
    name="socket", read=switch, default=False, words="on a socket of the host instead of a port"
)
YES: Final = Argument(name="yes", read=switch, default=False, words="do it without asking")
PLAN: Final = Argument(
    name="plan",
    read=switch,
    default=False,
    words="only show what would go where, what cannot and why",
)
WAIT: Final = Argument(
    name="wait", read=switch, default=False, words="return when it is done, not when it is accepted"
)
TIMEOUT: Final[Argument[float | None]] = Argument(
    name="timeout",
    read=seconds,
    metavar="SECONDS",
    goes_with="wait",
    words="wait no longer than this",
)
SINCE: Final[Argument[int | None]] = Argument(
    name="since", read=whole_number, metavar="EVENT", words="from this event's number on"
)
FOLLOW: Final = Argument(
    name="follow", read=switch, default=False, words="go on with what comes, until interrupted"
)
HOST_STATE: Final = Argument(
    name="state",
    read=_host_state,
    metavar="normal|drained",
    required=True,
    words="drained keeps new instances off the host",
)
NOTES: Final = Argument(
    name="notes", read=any_text, metavar="TEXT", required=True, words="a note for people"
)
SOURCE_IMAGE: Final = Argument(
    name="src", read=text, metavar="IMAGE", required=True, words="the image to begin with"
)
TARGET_IMAGE: Final = Argument(
    name="dst", read=text, metavar="IMAGE", required=True, words="what the new image is called"
)
IMAGE: Final = Argument(
    name="image", read=text, metavar="IMAGE", required=True, words="an image's name"
)
NEW_IMAGE: Final[Argument[str | None]] = Argument(
    name="name",
    read=text,
    metavar="IMAGE",
    words="what the new image is called (default: as the file is)",
)
BACKING: Final[Argument[str | None]] = Argument(
    name="backing", read=text, metavar="IMAGE", words="base it on this image (default: on none)"
)
FILE: Final = Argument(
    name="file", read=text, metavar="FILE", required=True, words="a file on this machine"
)
REPLACE: Final = Argument(
    name="replace", read=switch, default=False, words="take the place of an image of your own"
)
NO_WAIT: Final = Argument(
    name="noWait", read=switch, default=False, words="return when it has begun, not when it is done"
)
JOB: Final = Argument(
    name="job", read=whole_number, metavar="NUMBER", required=True, words="a job's number"
)
