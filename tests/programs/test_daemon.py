"""The loop of every daemon and its signals: real ones, sent to a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tashi import __version__

pytestmark = pytest.mark.system

# A daemon of which nothing but the loop is real; `step` is what its one kind of turn does.
PROGRAM = """
import functools, logging, os, signal, sys, threading
import tashi.programs.daemon
from tashi.programs.daemon import run
from tashi.settings.search import Program

class Trial:
    def __init__(self, _settings):
        self.lock, self.steps = threading.Lock(), 0

    def turn(self, wait_seconds):
        with self.lock:
            self.steps += 1
            {step}

    def tick(self):
        pass

    def wake(self):
        with self.lock:
            log.info("woken in %s", threading.current_thread().name)

    def stop(self):
        log.info("stopped")

class Undying:
    def __init__(self, then):
        def say(error):
            log.info("said: %s", error.exc_value)
            then(signal.SIGTERM)

        sys.__unraisablehook__ = say

    def __del__(self):
        raise ValueError("not yet")

def stillborn():  # no thread has so much memory
    unborn = threading.Thread(target=print)
    unborn._bootstrap = functools.partial(bytes, 2**62)
    unborn.start()

def signalled(number):
    os.kill(os.getpid(), number)

class Endless(Trial):
    def __init__(self, _settings):
        signalled(signal.{number})
        threading.Event().wait()

class Late(Trial):  # the signal comes when it is there, and before its loop
    def __init__(self, settings):
        super().__init__(settings)
        tashi.programs.daemon.settle_memory = lambda: signalled(signal.{number})

log = logging.getLogger("tashi")
sys.exit(run("trial", "Try it.", Program.AGENT, {build}, []))
"""


def run(
    step: str, folder: Path, build: str = "Trial", number: str = "SIGTERM"
) -> tuple[int, list[str]]:
    """The exit code of the daemon with that step, built in that way, and what it said."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(step=step, build=build, number=number)],
        env=os.environ | {"TASHI_CONFIG_DIRS": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line.partition("] ")[2] or line for line in ended.stdout.splitlines()]
    return ended.returncode, [line.replace(f" {__version__}", "") for line in said]


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_that_comes_while_the_loop_holds_a_lock_ends_the_daemon_all_the_same(
    number: str, tmp_path: Path
) -> None:
    code, said = run(f"self.steps > 1 or signalled(signal.{number})", tmp_path)

    assert code == 0
    assert said == ["trial is running.", "woken in signals", "stopped", "trial ends as told."]


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 0), ("SIGINT", 130)])
def test_a_daemon_that_is_told_to_end_while_it_begins_ends_at_once(
    number: str, code: int, tmp_path: Path
) -> None:
    assert run("pass", tmp_path, "Endless", number) == (code, [])


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_daemon_that_is_told_to_end_when_it_has_just_begun_lets_go_of_all(
    number: str, tmp_path: Path
) -> None:
    code, said = run("pass", tmp_path, "Late", number)

    assert code == 0
    # The loop may have seen that it is to end before it is woken.
    assert [words for words in said if words != "woken in signals"] == [
        "trial is running.",
        "stopped",
        "trial ends as told.",
    ]


def test_sigusr1_lets_the_log_say_everything_and_again_less_and_wakes_nobody(
    tmp_path: Path,
) -> None:
    step = """
            if self.steps == 1:
                signalled(signal.SIGUSR1)
                while not log.isEnabledFor(logging.DEBUG):
                    threading.Event().wait(0.001)
                signalled(signal.SIGUSR1)
                while log.isEnabledFor(logging.DEBUG):
                    threading.Event().wait(0.001)
            elif self.steps == 3:
                log.info("goes on")
                signalled(signal.SIGTERM)
    """

    code, said = run(step, tmp_path)

    assert code == 0
    assert said == [
        "trial is running.",
        "The log says everything, until the next SIGUSR1.",
        "The log says again what its configuration asks for.",
        "goes on",
        "woken in signals",
        "stopped",
        "trial ends as told.",
    ]


def test_a_thread_that_ends_before_its_first_step_ends_the_daemon(tmp_path: Path) -> None:
    code, said = run("stillborn()", tmp_path)

    assert code == 3
    assert said == ["trial is running.", "trial ends: a thread did not begin (MemoryError)."]


def test_what_a_machine_lacks_for_a_daemon_to_begin_is_said_in_a_sentence(tmp_path: Path) -> None:
    code, said = run("", tmp_path, build="lambda _: open('/nowhere/at/all')")

    assert code == 3
    assert said == ["trial: It cannot begin: No such file or directory (/nowhere/at/all)."]


@pytest.mark.parametrize("program", ["clustermanager", "nmd"])
def test_settings_are_shown_also_where_their_letters_are_not_known(
    program: str, tmp_path: Path
) -> None:
    (tmp_path / "Tashi.cfg").write_text("[Pickled]\nfile = /é\n[Supervisor]\nlogFile = /é\n")

    shown = subprocess.run(
        [sys.executable, "-m", f"tashi.programs.{program}", "--show-settings"],
        env=os.environ | {"TASHI_CONFIG_DIRS": str(tmp_path), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "= /\\xe9\n" in shown.stdout


def test_another_error_that_nobody_can_catch_is_said_as_ever(tmp_path: Path) -> None:
    code, said = run("self.steps > 1 or Undying(signalled)", tmp_path)

    assert code == 0
    assert "said: not yet" in said
