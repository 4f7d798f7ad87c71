"""Programs that really run: nothing is left of them, and nothing of ours reaches them."""

import os
import signal
import threading
from pathlib import Path

import pytest

from tashi.adapters.system.commands import SystemCommands, last_words
from tashi.domain.errors import CommandFailed
from tashi.ports.commands import NO_DESCRIPTORS, Descriptors, Leash

SOON = 30.0


def run(
    *arguments: str,
    seconds: float = SOON,
    folder: Path | None = None,
    descriptors: Descriptors = NO_DESCRIPTORS,
) -> str:
    return SystemCommands().run(
        arguments,
        timeout_seconds=seconds,
        folder=None if folder is None else str(folder),
        descriptors=descriptors,
    )


def refusal(*arguments: str, seconds: float = SOON, folder: Path | None = None) -> str:
    with pytest.raises(CommandFailed) as caught:
        run(*arguments, seconds=seconds, folder=folder)
    return caught.value.message


def test_an_argument_stays_an_argument_whatever_is_in_it(tmp_path: Path) -> None:
    hostile = "$(touch x); rm -rf * `id` \n'\"\\"

    assert run("printf", "%s", hostile, folder=tmp_path) == hostile
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_is_out_of_time_is_killed_with_all_it_started() -> None:
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as rest:
        with os.fdopen(writes, "wb"), pytest.raises(CommandFailed):
            run(
                *("sh", "-c", "sleep 60 & sleep 60 & wait"),
                seconds=0.3,
                descriptors=Descriptors(sink=writes),
            )

        # This ends when everybody who could still write is gone.
        assert rest.read() == b""


def test_somebody_in_another_session_who_holds_the_pipe_does_not_hold_us(tmp_path: Path) -> None:
    script = 'setsid sleep 60 & echo $! > pid; echo "on my way" >&2; sleep 60'

    words = refusal("sh", "-c", script, seconds=0.3, folder=tmp_path)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    assert words == "sh had not ended after 0.3 s and was killed; its last words: on my way."


@pytest.mark.parametrize("to", ["1", "2"])
def test_a_program_that_says_too_much_is_killed_with_what_it_said_last(to: str) -> None:
    words = refusal("sh", "-c", f"yes enough >&{to}", seconds=300.0)

    assert words.startswith("sh said more than 32 MiB and was killed; its last words: enough")


def test_much_is_taken_in_whole_from_both_streams() -> None:
    both = "head -c 4000000 /dev/zero >&2 & head -c 4000000 /dev/zero; wait"

    assert len(run("sh", "-c", both)) == 4_000_000


def test_a_program_that_falls_silent_has_no_longer_to_end() -> None:
    words = refusal("sh", "-c", "exec >/dev/null 2>&1; sleep 60", seconds=0.3)

    assert words == "sh had not ended after 0.3 s and was killed."


def test_a_program_that_was_killed_says_by_what() -> None:
    assert refusal("sh", "-c", "kill -9 $$") == "sh was killed by signal 9: it said nothing"


def test_without_words_on_standard_error_those_on_standard_output_are_quoted() -> None:
    assert refusal("sh", "-c", "echo hm; exit 1") == "sh ended with exit code 1: hm"


def test_last_words_are_the_last_lines_on_one_line_and_bounded() -> None:
    spoken = b"".join(b"line %d  \n\n" % number for number in range(9)) + b"\xff" * 3

    assert last_words(spoken) == "line 6; line 7; line 8; ���"
    assert len(last_words(b"x" * 10_000)) == 600


@pytest.mark.parametrize("said", [b"\\377\\376", b"\\303"])
def test_output_that_is_no_text_is_returned_with_what_can_be_read(said: bytes) -> None:
    assert set(run("printf", f"ok{said.decode()}")) == {"o", "k", "�"}


def test_a_program_runs_in_the_folder_it_is_given(tmp_path: Path) -> None:
    assert run("pwd", folder=tmp_path).strip() == str(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "gone") in refusal("pwd", folder=tmp_path / "gone")


def test_a_script_whose_interpreter_is_missing_is_not_said_to_be_missing_itself(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/shell\n")
    script.chmod(0o755)

    assert refusal(str(script)) == (
        f"{script} cannot be run: what its first line names to run it is not there."
    )


@pytest.mark.parametrize("arguments", [["/"], ["zero\0byte"], ["echo", "a\0b"]])
def test_what_cannot_be_run_at_all_is_an_error(arguments: list[str]) -> None:
    assert "cannot be run" in refusal(*arguments)
    with pytest.raises(CommandFailed, match="cannot be run"):
        SystemCommands().spawn(arguments, log=os.devnull)


def test_a_program_reads_nothing_and_speaks_plain_english_unless_told_otherwise() -> None:
    assert run("cat") == ""
    assert "LC_ALL=C.UTF-8\n" in run("env")


def test_a_program_reads_from_its_source_and_writes_to_its_sink(tmp_path: Path) -> None:
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_text("through\n")
    with source.open() as reads, sink.open("w") as writes:
        ends = Descriptors(source=reads.fileno(), sink=writes.fileno())

        said = run("cat", descriptors=ends)

    assert (said, sink.read_text()) == ("", "through\n")


def test_a_program_inherits_no_descriptor_of_ours(tmp_path: Path) -> None:
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)

        assert str(ours.fileno()) not in run("ls", "/proc/self/fd").split()


def test_a_program_has_a_session_of_its_own() -> None:
    session = run("sh", "-c", "cut -d' ' -f6 /proc/$$/stat")

    assert int(session) != os.getsid(0)


def test_a_program_is_left_to_itself_with_its_words_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("older words\n")

    talker = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    pid = SystemCommands().spawn(talker, log=str(log))
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert (ended, log.read_text()) == (3, "out\nerr\n")


def test_a_spawned_program_has_a_session_of_its_own(tmp_path: Path) -> None:
    pid = SystemCommands().spawn(["sleep", "60"], log=str(tmp_path / "log"))

    session = os.getsid(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert session == pid


def test_a_spawned_program_inherits_what_it_is_given_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "log"

    with (tmp_path / "given").open("w") as given, (tmp_path / "kept").open("w") as kept:
        numbers = given.fileno(), kept.fileno()
        look = ["sh", "-c", f"ls /proc/self/fd | grep -x -e {numbers[0]} -e {numbers[1]}"]
        pid = SystemCommands().spawn(look, log=str(log), inherited=[given.fileno()])
        os.waitpid(pid, 0)

    assert log.read_text().split() == [str(numbers[0])]


def test_pulling_the_leash_kills_a_followed_program_with_all_it_started() -> None:
    leash, said = Leash(), list[str]()
    pull = threading.Timer(0.2, leash.pull)
    pull.start()

    with pytest.raises(CommandFailed, match="killed by signal 9: under way"):
        SystemCommands().follow(
            ["sh", "-c", "echo under way; sleep 60 & sleep 60"], hear=said.append, leash=leash
        )
    pull.join()


def test_a_listener_that_has_heard_enough_ends_the_program() -> None:
    class EnoughError(Exception):
        pass

    def stop(_: str) -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        SystemCommands().follow(["sh", "-c", "echo a; sleep 60"], hear=stop, leash=Leash())


def test_a_followed_program_with_a_sink_is_heard_as_far_as_it_complains(tmp_path: Path) -> None:
    heard: list[str] = []
    source, written = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(b"\0\1memory")

    with source.open("rb") as reading, written.open("wb") as sink:
        ends = Descriptors(source=reading.fileno(), sink=sink.fileno())
        said = SystemCommands().follow(
            ["sh", "-c", "cat; echo late >&2"], hear=heard.append, leash=Leash(), descriptors=ends
        )

    assert written.read_bytes() == b"\0\1memory"
    assert said == "".join(heard) == "late\n"
