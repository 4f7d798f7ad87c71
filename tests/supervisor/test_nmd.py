"""nmd as a program, with real daemons, real signals and real ends."""

import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SOURCES = Path(__file__).parents[2] / "src"
# nmd as it is installed, but less patient: pauses from 0.05 s to 0.2 s, half a second of grace.
NMD = """
import sys
from tashi.programs.nmd import main
from tashi.supervisor.policy import KeepPolicy
sys.exit(main(policy=KeepPolicy(0.05, 0.2, 60.0, 0.5)))
"""
# A daemon as daemons should be: it says that it is up, waits, and ends when it is asked to.
POLITE = f"""#!{sys.executable} -I
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
print("up in", os.getcwd(), flush=True)
signal.sigwait({{signal.SIGTERM}})
print("bye")
"""


class Nmd:
    """A keeper in the foreground, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.pid = process.pid

    def hear(self, pattern: str) -> str:
        """Read until a line matches; return what the pattern's group, or else all of it, found."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(pattern, line.decode()):
                return str(found[found.re.groups])
        raise AssertionError(f"nmd ended without having said {pattern!r}")

    def hear_pid(self) -> int:
        """Return the pid of the daemon that is started next."""
        return int(self.hear(r"started with pid (\d+)\."))

    def end(self, number: signal.Signals | None = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, unless it is None; return the exit code and the remaining words."""
        if number is not None:
            self.process.send_signal(number)
        _, words = self.process.communicate()
        return self.process.returncode, words.decode()


@pytest.fixture
def polite(tmp_path: Path) -> str:
    program = tmp_path / "polite"
    program.write_text(POLITE)
    program.chmod(0o700)
    return str(program)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    return [sys.executable, "-c", NMD, "--pid-file", str(tmp_path / "nmd.pid")]


@pytest.fixture
def run(command: list[str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call nmd and wait until it returns."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(SOURCES)},
            text=True,
        )

    return call


@pytest.fixture
def keep(command: list[str], tmp_path: Path) -> Iterator[Callable[..., Nmd]]:
    """Start `nmd -f`; it is stopped, with its daemon, after the test."""
    started: list[Nmd] = []

    def start(*arguments: str) -> Nmd:
        process = subprocess.Popen(
            [*command, "-f", *arguments],
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(SOURCES)},
        )
        started.append(Nmd(process))
        return started[-1]

    yield start
    for nmd in started:
        if nmd.process.returncode is None:
            nmd.end()


@pytest.fixture
def watch() -> Iterator[Callable[[int], int]]:
    """Return a pidfd of a process that outlives its keeper; it is killed after the test."""
    watched: list[int] = []

    def open_pidfd(pid: int) -> int:
        watched.append(os.pidfd_open(pid))
        return watched[-1]

    yield open_pidfd
    for pidfd in watched:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)


def alive(pidfd: int) -> bool:
    """Whether the process has not ended yet."""
    return not select.select([pidfd], [], [], 0)[0]


def test_a_daemon_that_is_killed_is_started_again(keep: Callable[..., Nmd], polite: str) -> None:
    nmd = keep(polite)
    first = nmd.hear_pid()
    nmd.hear("^up ")

    os.kill(first, signal.SIGKILL)
    why = nmd.hear(r"nmd:INFO\] (.*)$")
    second = nmd.hear_pid()

    assert re.fullmatch(
        r"polite was killed by signal 9 \(SIGKILL\) after \d+\.\d s; next start in 0\.05 s\.", why
    )
    assert second != first


def test_the_pauses_between_restarts_grow(keep: Callable[..., Nmd]) -> None:
    nmd = keep("sh", "-c", "exit 7")

    pauses = [nmd.hear(r"exit code 7 after .*; next start in (.*) s\.") for _ in range(4)]

    assert pauses == ["0.05", "0.1", "0.2", "0.2"]


def test_a_stop_reaches_the_daemon_and_its_last_words_reach_the_log(
    keep: Callable[..., Nmd], polite: str
) -> None:
    nmd = keep(polite)
    nmd.hear("^up ")

    exit_code, words = nmd.end(signal.SIGTERM)

    asked, bye, ended = words.splitlines()
    assert exit_code == 0
    assert asked.endswith("polite is asked to end: nmd got SIGTERM.")
    assert bye == "bye"
    assert ended.endswith("polite ended with exit code 0, as asked.")


def test_a_daemon_that_does_not_listen_is_killed_after_its_grace(
    keep: Callable[..., Nmd],
) -> None:
    nmd = keep("sh", "-c", "trap '' TERM; echo up now; while :; do sleep 0.1; done")
    nmd.hear("^up ")

    exit_code, words = nmd.end(signal.SIGINT)

    assert exit_code == 0
    assert "sh has not ended within 0.5 s and is killed.\n" in words
    assert words.endswith("sh was killed by signal 9 (SIGKILL), as asked.\n")


def test_a_terminal_that_goes_away_stops_a_keeper_that_logs_to_it(
    keep: Callable[..., Nmd], polite: str
) -> None:
    nmd = keep(polite)
    nmd.hear("^up ")

    exit_code, words = nmd.end(signal.SIGHUP)

    assert exit_code == 0
    assert "polite is asked to end: nmd got SIGHUP." in words


def test_a_guest_lives_on_when_the_keeper_stops(
    keep: Callable[..., Nmd], watch: Callable[[int], int]
) -> None:
    nmd = keep("sh", "-c", "sleep 1000 & echo guest $!; wait")
    guest = watch(int(nmd.hear(r"^guest (\d+)$")))

    exit_code, _ = nmd.end()

    assert exit_code == 0
    assert alive(guest)


@pytest.mark.parametrize("mode", [["-f", "--log", "daemon.log"], ["--log", "daemon.log"]])
def test_a_configuration_error_is_given_up_with_the_daemons_words(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, mode: list[str]
) -> None:
    outcome = run(*mode, "sh", "-c", "echo 'etc/Tashi.cfg:3: no such key: prot' >&2; exit 2")

    log = (tmp_path / "daemon.log").read_text()
    assert outcome.returncode == 2
    assert outcome.stderr == (
        "nmd gives up keeping sh; its last words:\netc/Tashi.cfg:3: no such key: prot\n"
    )
    assert "\netc/Tashi.cfg:3: no such key: prot\n" in log
    assert log.endswith(
        "[nmd:ERROR] sh ended with exit code 2:"
        " its configuration must be mended first; nmd gives up.\n"
    )
    assert not (tmp_path / "nmd.pid").exists()


def test_only_the_last_of_many_words_are_repeated(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    outcome = run("-f", "--log", "daemon.log", "sh", "-c", "seq 100000; printf end; exit 2")

    assert outcome.stderr.splitlines()[1:] == [*map(str, range(99982, 100001)), "end"]


def test_a_daemon_that_ends_by_itself_is_done(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    outcome = run("-f", "--", "true")

    assert outcome.returncode == 0
    assert outcome.stderr.endswith("true ended with exit code 0 and is not started again.\n")


def test_in_the_background_nmd_returns_and_stop_ends_it_with_its_daemon(
    run: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    watch: Callable[[int], int],
    polite: str,
) -> None:
    started = run("--log", "daemon.log", polite)
    nmd = watch(int((tmp_path / "nmd.pid").read_text()))
    again = run("--log", "daemon.log", polite)
    was_alive = alive(nmd)

    stopped = run("--stop")
    once_more = run("--stop")

    assert (started.returncode, started.stderr) == (0, "")
    assert again.returncode == 1
    assert re.fullmatch(
        r"nmd: An nmd with pid \d+ keeps this daemon already: it holds .*/nmd\.pid\.\n",
        again.stderr,
    )
    assert was_alive
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert not alive(nmd)
    assert once_more.returncode == 1
    assert re.fullmatch(
        r"nmd: No nmd is running here: nobody holds .*/nmd\.pid\.\n", once_more.stderr
    )
    # The keeper's folder is /, the daemon's is the one that nmd was called from.
    assert f"\nup in {tmp_path}\n" in (tmp_path / "daemon.log").read_text()


def test_the_background_holds_nothing_of_its_callers_open(
    command: list[str],
    run: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    polite: str,
) -> None:
    reading, writing = os.pipe()
    subprocess.run(
        [*command, "--log", "daemon.log", polite],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        pass_fds=[writing],
    )
    os.close(writing)

    at_its_end = select.select([reading], [], [], 0)[0]

    os.close(reading)
    run("--stop")
    assert at_its_end


def test_after_a_rotation_the_log_goes_on_in_a_new_file(
    keep: Callable[..., Nmd], tmp_path: Path
) -> None:
    log, rotated, up = tmp_path / "daemon.log", tmp_path / "daemon.log.1", tmp_path / "up"
    os.mkfifo(up)
    nmd = keep("--log", "daemon.log", "sh", "-c", f"echo > {up}; exec sleep 1000")
    up.read_text()
    log.rename(rotated)

    nmd.process.send_signal(signal.SIGHUP)
    nmd.end()

    assert "started with pid" in rotated.read_text()
    assert "The log was opened anew.\n" in log.read_text()
    assert log.read_text().endswith("sh was killed by signal 15 (SIGTERM), as asked.\n")


def test_a_full_disk_stops_neither_the_daemon_nor_its_keeper(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    talks_a_lot = "yes 'more than any pipe holds' | head -n 100000; echo heard > proof"

    outcome = run("-f", "--log", "/dev/full", "sh", "-c", talks_a_lot)

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert (tmp_path / "proof").read_text() == "heard\n"


def test_when_nmd_is_killed_its_daemon_goes_on_and_the_next_nmd_waits_for_it(
    keep: Callable[..., Nmd], watch: Callable[[int], int]
) -> None:
    daemon = (
        "exec 9> lock; flock -n 9 || { echo 'It runs already.' >&2; exit 1; };"
        " trap 'echo speaks to nobody' USR1; echo up now; while :; do read line < never; done"
    )
    first = keep("sh", "-c", f"mkfifo -m 600 never 2>&-; {daemon}")
    orphan = watch(first.hear_pid())
    first.hear("^up ")
    first.end(signal.SIGKILL)
    signal.pidfd_send_signal(orphan, signal.SIGUSR1)

    second = keep("sh", "-c", daemon)
    why = second.hear(r"exit code 1 after .* s (\(.*\)); next start in 0\.1 s\.")
    survived = alive(orphan)
    signal.pidfd_send_signal(orphan, signal.SIGKILL)
    second.hear("^up ")

    assert why == "(perhaps it runs already)"
    assert survived


@pytest.mark.parametrize("mode", [["-f"], []])
def test_ends_are_seen_even_if_the_caller_ignores_its_children(
    command: list[str], tmp_path: Path, mode: list[str]
) -> None:
    program = shlex.join(
        [*command, *mode, "--log", "daemon.log", "sh", "-c", "[ -e old ] && exit 2; >old; exit 7"]
    )

    outcome = subprocess.run(
        ["bash", "-c", f"trap '' CHLD; exec {program}"],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        stderr=subprocess.DEVNULL,
    )

    assert outcome.returncode == 2
    assert "sh ended with exit code 7 after " in (tmp_path / "daemon.log").read_text()


def test_nmd_is_protected_or_warns_once_and_its_daemon_is_ordinary(
    keep: Callable[..., Nmd], polite: str
) -> None:
    nmd = keep("sh", "-c", f"cat /proc/self/oom_score_adj; exec {polite}")
    daemons = nmd.hear(r"^-?\d+$").strip()
    own = Path(f"/proc/{nmd.pid}/oom_score_adj").read_text().strip()

    assert daemons == "0"
    assert own in {"-1000", "0"}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (
            ["--log", "/dev/null/x", "true"],
            2,
            "The log /dev/null/x cannot be written (Not a directory): name another with --log.",
        ),
        (
            ["--log", "daemon.log", "--pid-file", "/dev/null/x", "true"],
            2,
            (
                "The pid file /dev/null/x cannot be written (Not a directory):"
                " name another with --pid-file."
            ),
        ),
        (["-f", "no-such-daemon"], 2, "There is no program 'no-such-daemon' that can be run."),
        (["-f", ""], 2, "There is no program '' that can be run."),
        (["-f", "/etc/passwd"], 2, "There is no program '/etc/passwd' that can be run."),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_sentence(
    run: Callable[..., subprocess.CompletedProcess[str]],
    arguments: list[str],
    exit_code: int,
    sentence: str,
) -> None:
    outcome = run(*arguments)

    assert (outcome.returncode, outcome.stderr) == (exit_code, f"nmd: {sentence}\n")


def test_a_folder_that_is_gone_is_refused_with_a_sentence(
    command: list[str], tmp_path: Path
) -> None:
    program = shlex.join([*command, "-f", "true"])

    outcome = subprocess.run(
        ["sh", "-c", f"mkdir gone; cd gone; rmdir ../gone; exec {program}"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        text=True,
    )

    assert outcome.returncode == 2
    assert outcome.stderr == "nmd: The folder that nmd is called from does not exist any more.\n"


def test_closed_standard_descriptors_cost_no_file_of_ours(
    command: list[str], run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    program = shlex.join([*command, "--log", "daemon.log", "sh", "-c", "echo heard; exit 2"])

    outcome = subprocess.run(
        ["sh", "-c", f"exec {program} <&- >&- 2>&-"],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
    )

    assert outcome.returncode == 2
    assert "\nheard\n" in (tmp_path / "daemon.log").read_text()
