"""What every way to run a program promises: its words when it ends well, an error when not."""

import os
import shutil
from typing import Protocol

import pytest

from fakes.commands import ScriptedCommands, fails, hangs, says
from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import CommandFailed
from tashi.ports.commands import Commands, Leash

SOON = 30.0


def unheard(_: str) -> None:
    """Nobody minds what it says."""


class Shelf(Protocol):
    """Programs of every sort, and what runs them."""

    commands: Commands

    def speaker(self, text: str) -> list[str]:
        """A program that says that."""
        ...

    def complainer(self, words: str) -> list[str]:
        """A program that says that on standard error and ends badly."""
        ...

    def sleeper(self) -> list[str]:
        """A program that does not end by itself."""
        ...


class SystemShelf:
    """Programs that every machine has."""

    def __init__(self) -> None:
        self.commands: Commands = SystemCommands()

    def speaker(self, text: str) -> list[str]:
        return ["printf", "%s", text]

    def complainer(self, words: str) -> list[str]:
        return [shutil.which("sh") or "sh", "-c", 'echo "$0" >&2; exit 3', words]

    def sleeper(self) -> list[str]:
        return ["sleep", "60"]


class ScriptedShelf:
    """Programs that a test makes up."""

    def speaker(self, text: str) -> list[str]:
        self.commands: Commands = ScriptedCommands(speaker=says(text))
        return ["speaker"]

    def complainer(self, words: str) -> list[str]:
        self.commands = ScriptedCommands(complainer=fails(words))
        return ["complainer"]

    def sleeper(self) -> list[str]:
        self.commands = ScriptedCommands(sleeper=hangs)
        return ["sleeper"]


@pytest.fixture(params=[SystemShelf, ScriptedShelf])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    made: Shelf = request.param()
    return made


@pytest.mark.parametrize("text", ["", "two\nlines\n", "naïve ☃"])
def test_what_a_program_says_is_returned_as_it_was_said(shelf: Shelf, text: str) -> None:
    program = shelf.speaker(text)

    assert shelf.commands.run(program, timeout_seconds=SOON) == text


def test_a_program_that_ends_badly_is_an_error_with_its_own_words(shelf: Shelf) -> None:
    program = shelf.complainer("the disk is on fire")

    with pytest.raises(CommandFailed) as caught:
        shelf.commands.run(program, timeout_seconds=SOON)

    assert program[0] in str(caught.value)
    assert "exit code 3: the disk is on fire" in str(caught.value)
    assert caught.value.about == {"exit_code": 3}


def test_a_program_that_does_not_end_is_killed_when_its_time_is_up(shelf: Shelf) -> None:
    program = shelf.sleeper()

    with pytest.raises(CommandFailed, match=r"had not ended after 0\.1 s and was killed"):
        shelf.commands.run(program, timeout_seconds=0.1)


def test_a_program_that_is_not_there_is_an_error_that_names_it(shelf: Shelf) -> None:
    shelf.speaker("")

    with pytest.raises(CommandFailed, match="there is no no-such-program"):
        shelf.commands.run(["no-such-program", "--version"], timeout_seconds=SOON)
    with pytest.raises(CommandFailed, match="there is no no-such-program"):
        shelf.commands.spawn(["no-such-program"], log=os.devnull)


@pytest.mark.parametrize("text", ["", "two\nlines\n", "naïve ☃"])
def test_what_a_followed_program_says_is_heard_and_returned(shelf: Shelf, text: str) -> None:
    heard: list[str] = []
    program = shelf.speaker(text)

    said = shelf.commands.follow(program, hear=heard.append, leash=Leash())

    assert said == "".join(heard) == text


def test_a_followed_program_that_ends_badly_is_an_error_with_its_own_words(shelf: Shelf) -> None:
    program = shelf.complainer("the disk is on fire")

    with pytest.raises(CommandFailed, match="exit code 3: the disk is on fire"):
        shelf.commands.follow(program, hear=unheard, leash=Leash())


def test_what_the_listener_raises_ends_the_program_and_is_raised(shelf: Shelf) -> None:
    def refuse(words: str) -> None:
        raise ValueError(words)

    program = shelf.speaker("too much")

    with pytest.raises(ValueError, match="too much"):
        shelf.commands.follow(program, hear=refuse, leash=Leash())


def test_a_leash_that_was_pulled_beforehand_kills_the_program(shelf: Shelf) -> None:
    program, leash = shelf.speaker("late"), Leash()
    leash.pull()

    with pytest.raises(CommandFailed, match="killed"):
        shelf.commands.follow(program, hear=unheard, leash=leash)
