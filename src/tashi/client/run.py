"""One run of a client, from the words on its command line to its exit code.

Whatever goes wrong ends here, in one sentence on the error stream and a number: 0 done, 1 refused,
2 misused or misconfigured, 3 failed. Nobody is shown a traceback, unless DEBUG is in the
environment. The cluster manager is looked for only once the command line is understood.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import msgspec

from tashi.client import parser
from tashi.client.arguments import Misused
from tashi.client.cluster import Cluster
from tashi.client.command import Session
from tashi.client.door import Door, Way
from tashi.client.parser import Front
from tashi.client.person import Login, Person, Pocket
from tashi.client.tables import harmless
from tashi.client.terminal import Terminal
from tashi.client.waiting import Clock
from tashi.domain.errors import Failed, Misconfigured, Refused, TashiError
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Role
from tashi.wire.calls import to_cluster_manager

DONE, REFUSED, MISUSED, FAILED = range(4)
INTERRUPTED: Final = 130
NOBODY_READS: Final = 141
_UNWRITTEN: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What an output says that takes no more; nothing else here lets such an error pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a client has around it.

    `link` is called once, when the cluster manager is needed, `login` when a password is;
    the `pocket` is looked into before anything is asked. The `caution` is said to whoever called
    the cluster manager, if there is one.
    """

    terminal: Terminal
    link: Callable[[], Way]
    uid: int
    login: Callable[[], Login]
    pocket: Callable[[], Pocket]
    clock: Clock
    local_time: Callable[[float], str]
    """A moment, in seconds since 1970, as people here read it."""
    environment: Mapping[str, str]
    version: str
    show_settings: Callable[[bool], str]
    """The settings as text or, if asked with True, as JSON."""
    caution: Callable[[], str | None] = lambda: None


def run(front: Front, words: Sequence[str], world: World) -> int:
    """Do what the words say, and return the exit code."""
    terminal = replace(world.terminal, json=_wants(words, "json"), csv=_wants(words, "csv"))
    try:
        _run(front, words, replace(world, terminal=terminal))
        terminal.out.flush()
    except TashiError as error:
        return _complain(front, terminal, error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return NOBODY_READS
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _UNWRITTEN:
            words = f"The output cannot be written: {error.strerror}."
            return _complain(front, terminal, Failed(words))
        if world.environment.get("DEBUG"):
            raise
        return _complain(front, terminal, _unforeseen(front, error))
    return DONE


def _unforeseen(front: Front, error: Exception) -> TashiError:
    if isinstance(error, ModuleNotFoundError) and not (error.name or "tashi").startswith("tashi"):
        return Misconfigured(
            f"This needs {error.name}, which is not installed here: an installation of the clients "
            "alone lacks what servers need. Do it where all of Tashi is, on the cluster manager's "
            "machine or in a checkout after `make`."
        )
    return TashiError(
        f"{front.name} made a mistake ({type(error).__name__}: {error}); DEBUG=1 shows where."
    )


def exit_code(error: TashiError) -> int:
    """The exit code that tells a script what to do about an error."""
    match error:
        case Refused():
            return REFUSED
        case Misused() | Misconfigured():
            return MISUSED
        case _:
            return FAILED


def _run(front: Front, words: Sequence[str], world: World) -> None:
    about_itself = _about_itself(front, words, world)
    if about_itself is not None:
        world.terminal.out.write(f"{about_itself.rstrip()}\n")
        return
    line = parser.read_line(front, words)
    terminal = replace(world.terminal, wishes=line.wishes)
    door = Door(world.link)
    person = Person(world.login, world.pocket, lambda: door.private, terminal, world.uid)
    who = Caller(Role.USER, UserId(world.uid))
    calls = to_cluster_manager(door, who, access=person)
    cluster = Cluster(calls, person.user_id)
    session = Session(cluster, terminal, world.clock, world.local_time, person)
    line.command.run(session, line.given)
    words_of_caution = world.caution() if door.was_used else None
    if words_of_caution is not None:
        terminal.warn(words_of_caution)


def _about_itself(front: Front, words: Sequence[str], world: World) -> str | None:
    """What the program says of itself, where that is what it was asked for."""
    if "--version" in words:
        return f"{front.name} {world.version}"
    if "--show-settings" in words:
        return world.show_settings(world.terminal.json)
    if "--print-completion" in words:
        from tashi.client import completion  # noqa: PLC0415  nobody else waits for it

        return completion.completion(front, _after(words, "--print-completion"))
    function = parser.named_function([word for word in words if word.lower() != "help"])
    commands = front.commands if function is None else (front.command(function),)
    if "--examples" in words:
        return parser.examples(front, commands)
    if {"-h", "--help"}.isdisjoint(words) and "help" not in words[:1]:
        return None
    if function is None:
        return parser.overview(front)
    width = world.terminal.out_width or parser.WIDTH
    return parser.command_parser(front, commands[0], width).format_help()


def _complain(front: Front, terminal: Terminal, error: TashiError) -> int:
    if terminal.json:
        about = {
            "kind": error.kind,
            "errno": error.errno,
            "msg": error.message,
            "about": error.about,
        }
        words = msgspec.json.encode({"error": about}).decode()
    else:
        words = "\n".join(map(harmless, f"{front.name}: {error.message}".splitlines()))
    with suppress(OSError):  # the exit code says it as well
        terminal.err.write(f"{words}\n")
        terminal.err.flush()
    return exit_code(error)


def _wants(words: Sequence[str], output: str) -> bool:
    """Whether that form is asked for, known also when the words are not understood."""
    return f"--output={output}" in words or _after(words, "--output") == output


def _after(words: Sequence[str], option: str) -> str:
    return next((word for before, word in pairwise(words) if before == option), "")
