"""Programs run as children of this process, as `tashi.ports.commands` promises.

Each gets a session of its own, so that one that is out of time is killed with all it started; no
terminal, no descriptors but those it is handed, and plain English, since some of its words are
read by programs.
"""

import os
import selectors
import signal
import subprocess
from codecs import getincrementaldecoder
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

from tashi.domain.errors import CommandFailed
from tashi.ports.commands import NO_DESCRIPTORS, Descriptors, Leash

_LAST_LINES: Final = 4
_LONGEST_WORDS: Final = 600
_MOST_KEPT: Final = 1 << 16
_MOST_SAID: Final = 1 << 25
"""So much of what a program says is taken in; one that says more never ends, or is no use."""
_PIECE: Final = 4096
_GRACE_SECONDS: Final = 1.0
_PRIVATE: Final = 0o600
_LANGUAGE: Final = {"LC_ALL": "C.UTF-8"}


class SystemCommands:
    """Commands that really run."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_seconds: float,
        folder: str | None = None,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        """Run the program to its end and return what it wrote to standard output."""
        with _begin(arguments, folder, descriptors) as process:
            heard = _Heard(process)
            try:
                heard.listen(timeout_seconds)
            except (subprocess.TimeoutExpired, _TooMuch) as reason:
                _kill(process, heard)
                words = last_words(heard.errors) or last_words(heard.out)
                why = (
                    f"said more than {_MOST_SAID >> 20} MiB"
                    if isinstance(reason, _TooMuch)
                    else f"had not ended after {timeout_seconds:g} s"
                )
                raise CommandFailed(
                    f"{arguments[0]} {why} and was "
                    f"killed{f'; its last words: {words}' if words else ''}."
                ) from reason
            except BaseException:
                _kill(process, heard)
                raise
        if process.returncode != 0:
            words = last_words(heard.errors) or last_words(heard.out) or "it said nothing"
            raise _ended_badly(arguments, process.returncode, words)
        return heard.out.decode(errors="replace")

    def follow(
        self,
        arguments: Sequence[str],
        *,
        hear: Callable[[str], None],
        leash: Leash,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        """Run the program to its end, however long that takes, and pass its words on."""
        if leash.pulled:
            raise CommandFailed(f"{arguments[0]} was killed before it began.")
        complaints = subprocess.STDOUT if descriptors.sink is None else subprocess.PIPE
        process = _start(arguments, None, descriptors, complaints)

        def end() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        with process:
            leash.attach(end)
            try:
                said = _listen(process, hear)
                # Its number is its own until it is waited for, so the leash cannot end another.
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            except BaseException:
                end()
                raise
            finally:
                leash.detach(end)
        if process.returncode != 0:
            words = last_words(said) or "it said nothing"
            raise _ended_badly(arguments, process.returncode, words)
        return said.decode(errors="replace")

    def spawn(self, arguments: Sequence[str], *, log: str, inherited: Sequence[int] = ()) -> int:
        """Start the program and leave it to itself."""
        to_log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        try:
            return os.posix_spawnp(
                arguments[0],
                list(arguments),
                _environment(),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, log, to_log, _PRIVATE),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                    # Onto itself: that is how a descriptor is let through.
                    *((os.POSIX_SPAWN_DUP2, each, each) for each in inherited),
                ],
                setsid=True,
                setsigdef=[signal.SIGPIPE],
            )
        except (OSError, ValueError) as error:
            raise _not_begun(arguments, error) from error


class _TooMuch(Exception):
    """A program says more than anybody wants to keep."""


class _Heard:
    """What a program says on its pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.out, self.errors = bytearray(), bytearray()
        self._process = process
        self._open = {
            pipe.fileno(): said
            for pipe, said in ((process.stdout, self.out), (process.stderr, self.errors))
            if pipe is not None
        }

    def listen(self, seconds: float) -> None:
        """Hear it until it has ended; raises TimeoutExpired, _TooMuch."""
        deadline = monotonic() + seconds
        with selectors.DefaultSelector() as pipes:
            for pipe in self._open:
                pipes.register(pipe, selectors.EVENT_READ)
            while self._open:
                for key, _ in pipes.select(max(deadline - monotonic(), 0.0)):
                    self._read(key.fd, pipes)
                if self._open and monotonic() >= deadline:
                    raise subprocess.TimeoutExpired(self._process.args, seconds)
        self._process.wait(max(deadline - monotonic(), 0.0))

    def _read(self, pipe: int, pipes: selectors.BaseSelector) -> None:
        said = self._open[pipe]
        piece = os.read(pipe, _MOST_KEPT)
        if not piece:
            pipes.unregister(pipe)
            del self._open[pipe]
        elif len(said) + len(piece) > _MOST_SAID:
            raise _TooMuch
        said += piece


def last_words(output: bytes | bytearray) -> str:
    """The end of what a program said, on one line."""
    lines = [line.strip() for line in output[-_MOST_KEPT:].decode(errors="replace").splitlines()]
    return "; ".join([line for line in lines if line][-_LAST_LINES:])[-_LONGEST_WORDS:]


def _listen(process: subprocess.Popen[bytes], hear: Callable[[str], None]) -> bytes:
    """Pass on what the program says until it says no more; the end of it all."""
    pipe = process.stdout or process.stderr
    assert pipe is not None
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    said = b""
    while piece := os.read(pipe.fileno(), _PIECE):
        said = (said + piece)[-_MOST_KEPT:]
        hear(decoder.decode(piece))
    return said


def _begin(
    arguments: Sequence[str], folder: str | None, descriptors: Descriptors
) -> subprocess.Popen[bytes]:
    return _start(arguments, folder, descriptors, subprocess.PIPE)


def _start(
    arguments: Sequence[str], folder: str | None, descriptors: Descriptors, complaints: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            arguments,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL if descriptors.source is None else descriptors.source,
            stdout=subprocess.PIPE if descriptors.sink is None else descriptors.sink,
            stderr=complaints,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _not_begun(arguments, error) from error


def _not_begun(arguments: Sequence[str], error: OSError | ValueError) -> CommandFailed:
    if isinstance(error, FileNotFoundError):
        missing = error.filename or arguments[0]
        words = f"there is no {missing}"
        if missing == arguments[0] and Path(missing).is_file():
            words = "what its first line names to run it is not there"
        return CommandFailed(f"{arguments[0]} cannot be run: {words}.")
    # A ValueError is a zero byte in an argument.
    why = error.strerror if isinstance(error, OSError) else error
    return CommandFailed(f"{arguments[0]} cannot be run: {why}.")


def _environment() -> dict[str, str]:
    return {**os.environ, **_LANGUAGE}


def _kill(process: subprocess.Popen[bytes], heard: _Heard) -> None:
    """End the program and all it started, and hear what it had said until then."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Where somebody in another session still holds the pipe, what was said so far must do.
    with suppress(subprocess.TimeoutExpired, _TooMuch):
        heard.listen(_GRACE_SECONDS)


def _ended_badly(arguments: Sequence[str], code: int, words: str) -> CommandFailed:
    return CommandFailed(f"{arguments[0]} {_ending(code)}: {words}", exit_code=code)


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
