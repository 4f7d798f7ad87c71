"""Completion for shells: what to put into a shell's start-up file, made from the rows of commands.

Functions, arguments, columns and fixed values are in the text. What an argument's metavar says that
its value is the name of (INSTANCE, HOST, IMAGE …) is asked of the cluster manager while somebody
types (bash and zsh): for a moment only, and nobody is asked for a password then.
"""

import argparse
from collections.abc import Mapping
from typing import Final

from tashi.client import parser
from tashi.client.arguments import Misused
from tashi.client.parser import Front

SHELLS: Final = ("bash", "zsh", "tcsh")

_ASKED: Final = (
    ("INSTANCE", "getInstances", "name"),
    ("HOST", "getHosts", "name"),
    ("IMAGE", "getImages", "imageName"),
    ("USER", "getUsers", "name"),
    ("NETWORK", "getNetworks", "name"),
)
"""A metavar, which function lists the names of that, and in which column."""
_NAMES: Final = (
    "$(timeout 3 {client} {call} --hide-all --show-{column} </dev/null 2>/dev/null"
    " | tail -n +2{plain})"
)
_BASH: Final = """\
_tashi_{what}() {{
  compgen -W "{names}" -- "$1"
}}
"""
_PLAIN: Final = " | grep -aEx '[[:alnum:]_./@%+=:-]+'"
"""Names that a shell takes as they are. Bash would carry out others, such as $(reboot): so does
`compgen -W`, and so does whoever enters the line. Any image may be called so."""
_ZSH: Final = """\
_tashi_{what}() {{
  compadd -- ${{(f)"{names}"}}
}}
"""
_ASKERS: Final = {"bash": _BASH, "zsh": _ZSH}
_CLIENTS: Final = {"bash": '"${COMP_WORDS[0]/%admin/client}"', "zsh": "tashi-client"}
"""Whom to ask: in bash the client that is typed, or lies beside the tashi-admin that is."""


Ways = Mapping[str, object]
"""How each shell finds a value."""


def completion(front: Front, shell: str) -> str:
    """The completion of a client for one shell; Misused for a shell that is not known."""
    if shell not in SHELLS:
        raise Misused(f"--print-completion takes {', '.join(SHELLS)}, not {shell!r}.")
    import shtab  # noqa: PLC0415  nobody else waits for it

    found: dict[str, Ways] = {"FILE": shtab.FILE, "FOLDER": shtab.DIRECTORY}
    found |= {what: dict.fromkeys(_ASKERS, f"_tashi_{what}") for what, _, _ in _ASKED}
    preamble = "".join(_asker(shell, *one) for one in _ASKED) if shell in _ASKERS else ""
    text: str = shtab.complete(_whole_parser(front, found), shell, preamble=preamble)
    has_short_name = shell == "bash" and front.name == "tashi-client"
    return f"{text.rstrip()} tashi\n" if has_short_name else text


def _asker(shell: str, what: str, call: str, column: str) -> str:
    """The shell's function that completes the names of one kind of thing."""
    names = _NAMES.format(
        client=_CLIENTS[shell],
        call=call,
        column=column,
        plain=_PLAIN if shell == "bash" else "",
    )
    return _ASKERS[shell].format(what=what, names=names)


def _whole_parser(front: Front, found: dict[str, Ways]) -> argparse.ArgumentParser:
    """The parser of everything; `found` says by metavar how each shell finds values."""
    whole = argparse.ArgumentParser(prog=front.name, description=front.words)
    for option in ("--version", "--show-settings", "--examples"):
        whole.add_argument(option, action="store_true")
    whole.add_argument("--print-completion", choices=SHELLS)
    functions = whole.add_subparsers(title="functions")
    for command in front.commands:
        one = functions.add_parser(command.name, help=command.help, description=command.help)
        parser.add_arguments(one, command)
        for word, wish in parser.wishes_about(command.sheet).items():
            what = wish.name or "every column"
            one.add_argument(
                word, action="store_true", help=f"{'show' if wish.shown else 'hide'} {what}"
            )
        for action in one._actions:  # noqa: SLF001  argparse has no other way to them
            metavar = str(action.metavar or "")
            if "|" in metavar:
                action.choices = metavar.split("|")
            elif (what := metavar.partition("[")[0]) in found:
                action.complete = found[what]  # type: ignore[attr-defined]
    return whole
