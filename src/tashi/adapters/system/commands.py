"""Programs run as children of this process, as `tashi.ports.commands` promises.

Each gets a session of its own, so that one that is out of time is killed with all it started; no
terminal, no descriptors but those it is handed, and plain English, since some of its words are
read by programs.
"""

import os
import signal
import subprocess
from codecs import getincrementaldecoder
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from tashi.domain.errors import CommandFailed
from tashi.ports.commands import NO_DESCRIPTORS, Descriptors, Leash

_LAST_LINES: Final = 4
_LONGEST_WORDS: Final = 600
_MOST_KEPT: Final = 1 << 16
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
            try:
                out, errors = process.communicate(timeout=timeout_seconds)
            except subprocess.TimeoutExpired as expired:
                words = last_words(_kill(process))
                raise CommandFailed(
                    f"{arguments[0]} had not ended after {timeout_seconds:g} s and was "
                    f"killed{f'; its last words: {words}' if words else ''}."
                ) from expired
            except BaseException:
                _kill(process)
                raise
        if process.returncode != 0:
            words = last_words(errors) or last_words(out or b"") or "it said nothing"
            raise CommandFailed(f"{arguments[0]} {_ending(process.returncode)}: {words}")
        return (out or b"").decode(errors="replace")

    def follow(self, arguments: Sequence[str], *, hear: Callable[[str], None], leash: Leash) -> str:
        """Run the program to its end, however long that takes, and pass its words on."""
        if leash.pulled:
            raise CommandFailed(f"{arguments[0]} was killed before it began.")
        process = _start(arguments, None, NO_DESCRIPTORS, subprocess.STDOUT)

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
            raise CommandFailed(f"{arguments[0]} {_ending(process.returncode)}: {words}")
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


def last_words(output: bytes) -> str:
    """The end of what a program said, on one line."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    return "; ".join([line for line in lines if line][-_LAST_LINES:])[-_LONGEST_WORDS:]


def _listen(process: subprocess.Popen[bytes], hear: Callable[[str], None]) -> bytes:
    """Pass on what the program says until it says no more; the end of it all."""
    assert process.stdout is not None
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    said = b""
    while piece := os.read(process.stdout.fileno(), _PIECE):
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
        return CommandFailed(f"{arguments[0]} cannot be run: there is no {missing}.")
    # A ValueError is a zero byte in an argument.
    return CommandFailed(f"{arguments[0]} cannot be run: {error}.")


def _environment() -> dict[str, str]:
    return {**os.environ, **_LANGUAGE}


def _kill(process: subprocess.Popen[bytes]) -> bytes:
    """End the program and all it started; what it had said to standard error."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        return process.communicate(timeout=_GRACE_SECONDS)[1]
    except subprocess.TimeoutExpired as expired:
        # Somebody in another session still holds the pipe: what was said so far must do.
        return expired.stderr or b""


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
