"""Hooks that are programs: each is run with the event as its argument and on its standard input.

What it reads is one line of JSON: the event (`preCreate` or `postDestroy`) and the instance as the
wire has it. A class of an administrator's is run the same way, in a program of its own: so it can
be killed when it hangs, and whatever it does to Python it does to nobody else.
"""

import os
import sys
from collections.abc import Sequence
from logging import getLogger
from pathlib import Path
from typing import Final

from tashi.domain.errors import CommandFailed, HookFailed
from tashi.domain.instance import Instance
from tashi.ports.commands import Commands, Descriptors
from tashi.wire import codec
from tashi.wire.forms import InstanceForm, to_form
from tashi.wire.shape import Form

_log = getLogger(__name__)

_PRE_CREATE: Final = "preCreate"
_POST_DESTROY: Final = "postDestroy"
RUNNER: Final = "tashi.programs.hook"
"""The program that runs a class."""


class _EventForm(Form, frozen=True):
    """What a hook reads."""

    event: str
    instance: InstanceForm


class ProgramHook:
    """A program with its first arguments; `name` is how it is spoken of."""

    def __init__(
        self, name: str, arguments: Sequence[str], commands: Commands, timeout_seconds: float
    ) -> None:
        self._name = name
        self._arguments = arguments
        self._commands = commands
        self._timeout_seconds = timeout_seconds

    @property
    def name(self) -> str:
        """How it stands in the configuration."""
        return self._name

    def pre_create(self, record: Instance) -> None:
        """The instance is to be started for the first time."""
        self._run(_PRE_CREATE, record)

    def post_destroy(self, record: Instance) -> None:
        """The instance is over."""
        self._run(_POST_DESTROY, record)

    def _run(self, event: str, record: Instance) -> None:
        told = codec.encode(_EventForm(event, to_form(record, InstanceForm))) + b"\n"
        source = os.memfd_create("hook")
        try:
            os.write(source, told)
            os.lseek(source, 0, os.SEEK_SET)
            self._commands.run(
                [*self._arguments, event],
                timeout_seconds=self._timeout_seconds,
                descriptors=Descriptors(source=source),
            )
        except CommandFailed as failed:
            raise HookFailed(f"It failed at {event}: {failed.message}") from failed
        finally:
            os.close(source)


class FolderHook:
    """The programs in a folder, in the order of their names; looked up anew for every event."""

    def __init__(self, folder: Path, commands: Commands, timeout_seconds: float) -> None:
        self._folder = folder
        self._commands = commands
        self._timeout_seconds = timeout_seconds
        self._passed_over: set[Path] = set()

    @property
    def name(self) -> str:
        """The folder, as it stands in the configuration."""
        return f"Hook folder {self._folder}"

    def pre_create(self, record: Instance) -> None:
        """The instance is to be started for the first time."""
        self._run_all(_PRE_CREATE, record)

    def post_destroy(self, record: Instance) -> None:
        """The instance is over."""
        self._run_all(_POST_DESTROY, record)

    def _run_all(self, event: str, record: Instance) -> None:
        failures = []
        for path in self._programs():
            hook = ProgramHook(path.name, [str(path)], self._commands, self._timeout_seconds)
            try:
                (hook.pre_create if event == _PRE_CREATE else hook.post_destroy)(record)
            except HookFailed as failed:
                failures.append(f"{path.name}: {failed.message}")
        if failures:
            raise HookFailed(" ".join(failures))

    def _programs(self) -> list[Path]:
        try:
            found = sorted(self._folder.iterdir())
        except OSError as error:
            raise HookFailed(
                f"The folder {self._folder} cannot be read: {error.strerror}."
            ) from error
        files = [path for path in found if path.is_file() and not path.name.startswith(".")]
        programs = [path for path in files if os.access(path, os.X_OK)]
        self._pass_over({*files} - {*programs})
        return programs

    def _pass_over(self, others: set[Path]) -> None:
        """Say of files that are never run that they are not, once."""
        for path in sorted(others - self._passed_over):
            _log.warning(
                "%s is not run, for it is not executable: chmod +x it, or let its name begin with "
                "a dot.",
                path,
            )
        self._passed_over = others


def class_hook(name: str, folder: Path, commands: Commands, timeout_seconds: float) -> ProgramHook:
    """A class of a module in that folder, by its dotted name."""
    arguments = [sys.executable, "-m", RUNNER, str(folder), name]
    return ProgramHook(f"Hook {name}", arguments, commands, timeout_seconds)
