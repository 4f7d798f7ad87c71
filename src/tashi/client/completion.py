"""Completion for shells: what to put into a shell's start-up file, made from the rows of commands.

Functions, arguments and columns are in the text; the names of instances and hosts are asked of the
cluster manager while somebody types (bash and zsh).
"""

import argparse
from typing import Final

from tashi.client import parser
from tashi.client.arguments import Misused
from tashi.client.parser import Front

SHELLS: Final = ("bash", "zsh", "tcsh")

_ASKED: Final = {"instance": "getInstances", "host": "getHosts"}
_BASH: Final = """\
_tashi_{what}() {{
  compgen -W "$(tashi-client {call} --hide-all --show-name 2>/dev/null | tail -n +2)" -- "$1"
}}
"""
_ZSH: Final = """\
_tashi_{what}() {{
  compadd -- ${{(f)"$(tashi-client {call} --hide-all --show-name 2>/dev/null | tail -n +2)"}}
}}
"""
_ASKERS: Final = {"bash": _BASH, "zsh": _ZSH}


def completion(front: Front, shell: str) -> str:
    """The completion of a client for one shell; Misused for a shell that is not known."""
    if shell not in SHELLS:
        raise Misused(f"--print-completion takes {', '.join(SHELLS)}, not {shell!r}.")
    import shtab  # noqa: PLC0415  nobody else waits for it

    asker = _ASKERS.get(shell, "")
    preamble = "".join(asker.format(what=what, call=call) for what, call in _ASKED.items())
    return shtab.complete(_whole_parser(front), shell, preamble=preamble)


def _whole_parser(front: Front) -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog=front.name, description=front.words)
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
            if action.dest in _ASKED:
                asker = f"_tashi_{action.dest}"
                action.complete = {"bash": asker, "zsh": asker}  # type: ignore[attr-defined]
    return whole
