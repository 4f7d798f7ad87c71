"""Images and jobs on the command line: asked for, waited for, brought in and taken out."""

import errno
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from fakes.clients import Shell
from fakes.clusters import FakeClusterManager
from fakes.records import MADE
from tashi.domain.errors import ImageInUse, ImagesFailed, NoSuchJob, Refused, TashiError
from tashi.domain.jobs import JobState
from tashi.wire.images import JobForm, PieceForm

BEGUN = msgspec.structs.replace(MADE, state=JobState.RUNNING, done=0, change=1)
HALF = msgspec.structs.replace(MADE, state=JobState.RUNNING, done=2048, change=2)
COPY = ("copyImage", "--src", "web.qcow2", "--dst", "mine.qcow2")
CONTENT = b"0123456789"


def manager_with(jobs: Sequence[JobForm | TashiError]) -> FakeClusterManager:
    return FakeClusterManager(jobs=list(jobs))


def failed(error: TashiError) -> JobForm:
    return msgspec.structs.replace(
        MADE, state=JobState.FAILED, errno=error.errno, kind=error.kind, error=error.message
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "new.img"
    path.write_bytes(CONTENT)
    return path


def test_a_copy_is_waited_for_and_followed_by_its_changes() -> None:
    manager = manager_with([BEGUN, HALF, MADE])

    ended = Shell(manager).type(*COPY)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "Copying web.qcow2 to mine.qcow2 is done.\n"
    assert [(name, asked.get("seen")) for name, asked in manager.asked] == [
        ("copyImage", None),
        ("getJob", 1),
        ("getJob", 2),
    ]


def test_people_see_a_bar_and_scripts_do_not() -> None:
    seen = Shell(manager_with([BEGUN, HALF, MADE]), width=100).type(*COPY)
    json = Shell(manager_with([BEGUN, HALF, MADE]), width=100).type(*COPY, "--output", "json")

    assert "KiB" in seen.err
    assert json.err == ""
    assert msgspec.json.decode(json.out) | {"state": "done", "done": 4096} == msgspec.json.decode(
        json.out
    )


def test_people_see_how_much_of_a_file_is_sent_and_received(image: Path, tmp_path: Path) -> None:
    manager = FakeClusterManager(jobs=[MADE], pieces=[piece(CONTENT[:6]), piece(CONTENT[6:])])
    to = str(tmp_path / "out.raw")

    sent = Shell(manager, width=100).type("importImage", "--file", str(image))
    received = Shell(manager, width=100).type("exportImage", "--image", "a", "--file", to)

    assert "importing new.img" in sent.err
    assert "10/10 bytes" in sent.err
    assert "exporting a" in received.err
    assert "10/10 bytes" in received.err


def test_whoever_does_not_wait_is_told_the_number_of_the_job() -> None:
    ended = Shell(manager_with([BEGUN])).type(*COPY, "--noWait")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Job 30001 has begun: copying web.qcow2 to mine.qcow2.")


@pytest.mark.parametrize(
    ("error", "code"),
    [(ImageInUse("It is in use."), 1), (ImagesFailed("There is no room."), 3)],
)
def test_a_job_that_fails_ends_with_its_own_words_and_code(error: TashiError, code: int) -> None:
    ended = Shell(manager_with([BEGUN, failed(error)])).type(*COPY)

    assert (ended.code, ended.out, ended.err) == (code, "", f"tashi-client: {error.message}\n")


def test_a_job_that_was_lost_with_its_cluster_manager_is_a_failure_in_one_sentence() -> None:
    ended = Shell(manager_with([BEGUN, NoSuchJob("There is no job 30001.")])).type(*COPY)

    assert ended.code == 3
    assert "started anew while copying web.qcow2 to mine.qcow2 was under way" in ended.err
    assert ended.err.count("\n") == 1


class Impatient(FakeClusterManager):
    """Whoever waits here for a job or sends a second piece is interrupted."""

    def _getJob(self, **_: object) -> object:  # noqa: N802
        raise KeyboardInterrupt

    def _sendPiece(self, import_id: int, number: int, content: bytes) -> object:  # noqa: N802
        if number == 1:
            raise KeyboardInterrupt
        return super()._sendPiece(import_id, number, content)


def test_whoever_interrupts_is_told_what_goes_on(image: Path) -> None:
    waiting = Shell(Impatient(jobs=[BEGUN])).type(*COPY)
    sending = Shell(Impatient()).type("importImage", "--file", str(image))

    assert (waiting.code, sending.code) == (130, 130)
    assert waiting.err == (
        "Job 30001 goes on: cancelJob --job 30001 ends it, getJobs shows how far it is.\n"
    )
    assert sending.err.startswith("What was sent is kept for ten minutes")


@pytest.mark.parametrize(
    ("words", "call", "asked"),
    [
        (
            "copyImage --src a --dst b --replace",
            "copyImage",
            {"src": "a", "dst": "b", "replace": True},
        ),
        ("cloneImage --src a --dst b", "cloneImage", {"src": "a", "dst": "b", "replace": False}),
        (
            "rebaseImage --src a --dst b --backing c",
            "rebaseImage",
            {"src": "a", "dst": "b", "backing": "c", "replace": False},
        ),
        ("deleteImage --image a", "deleteImage", {"name": "a"}),
        ("cancelJob --job 30001", "cancelJob", {"job_id": 30001}),
    ],
)
def test_each_function_asks_for_what_it_says(
    words: str, call: str, asked: dict[str, object]
) -> None:
    manager = manager_with([MADE])

    ended = Shell(manager).type(*words.split())

    assert (ended.code, manager.asked) == (0, [(call, asked)])


def test_jobs_are_listed_with_how_far_they_are() -> None:
    late = msgspec.structs.replace(failed(ImagesFailed("There is no room.")), id=30002)

    ended = Shell(manager_with([HALF, late])).type("getJobs")

    assert ended.out.splitlines()[1:] == [
        "30001  running  copying web.qcow2 to mine.qcow2                      50 % of 4.0 KiB",
        "30002  failed   copying web.qcow2 to mine.qcow2: There is no room.  100 % of 4.0 KiB",
    ]


# ---- brought in ----------------------------------------------------------------------------------


def test_a_file_is_sent_in_pieces_and_measured(image: Path) -> None:
    manager = manager_with([BEGUN, MADE])

    ended = Shell(manager).type("importImage", "--file", str(image))

    assert (ended.code, ended.err) == (0, "")
    assert manager.sent == CONTENT
    assert manager.asked[0] == ("beginImport", {"name": "new.img", "size": 10})
    assert manager.asked[-2][1]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_what_is_there_already_is_measured_but_not_sent_again(image: Path) -> None:
    manager = FakeClusterManager(jobs=[MADE], sent=CONTENT[:8])

    ended = Shell(manager).type("importImage", "--file", str(image), "--name", "teams/x.img")

    assert ended.code == 0
    assert [asked["number"] for name, asked in manager.asked if name == "sendPiece"] == [2]
    assert manager.asked[-1][1]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("call", ["sendPiece", "finishImport"])
def test_an_import_that_was_lost_is_a_failure_in_one_sentence(image: Path, call: str) -> None:
    manager = FakeClusterManager(refusals={call: NoSuchJob("There is no import 5.")})

    ended = Shell(manager).type("importImage", "--file", str(image))

    assert ended.code == 3
    assert ended.err.startswith("tashi-client: The import of new.img is lost")
    assert ended.err.count("\n") == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["gone.img", "folder", "null", "pipe"])
def test_what_is_no_file_is_misuse_and_asks_nobody(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "null").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")  # into which nobody writes
    manager = FakeClusterManager()

    ended = Shell(manager).type("importImage", "--file", str(tmp_path / name))

    assert (ended.code, manager.asked) == (2, [])
    assert "--file" in ended.err


def test_a_file_whose_disk_fails_is_named(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        name = "disk.img"

        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, "Input/output error", size)

        def fileno(self) -> int:
            return whole.fileno()

    with image.open("rb") as whole:
        monkeypatch.setattr("builtins.open", lambda *_, **__: Failing())
        ended = Shell(FakeClusterManager()).type("importImage", "--file", str(image))

    assert ended.code == 3
    assert ended.err == "tashi-client: disk.img cannot be read: Input/output error.\n"


# ---- taken out -----------------------------------------------------------------------------------


def piece(content: bytes, size: int = 10, version: str = "1") -> PieceForm:
    return PieceForm(content, size, version)


def test_an_image_is_written_to_a_file_whole(tmp_path: Path) -> None:
    manager = FakeClusterManager(pieces=[piece(CONTENT[:6]), piece(CONTENT[6:])])
    target = tmp_path / "out.raw"

    ended = Shell(manager).type("exportImage", "--image", "web.raw", "--file", str(target))

    assert ended.code == 0
    assert hashlib.sha256(CONTENT).hexdigest() in ended.out
    assert target.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    "then",
    [piece(b"6789", version="2"), piece(b""), Refused("It is in use."), ImagesFailed("Away.")],
)
def test_an_image_that_changes_or_goes_away_leaves_no_file(
    tmp_path: Path, then: PieceForm | TashiError
) -> None:
    manager = FakeClusterManager(pieces=[piece(CONTENT[:6]), then])

    ended = Shell(manager).type("exportImage", "--image", "a", "--file", str(tmp_path / "out"))

    assert ended.code in {1, 3}
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(image: Path) -> None:
    ended = Shell(FakeClusterManager()).type("exportImage", "--image", "a", "--file", str(image))

    assert ended.code == 1
    assert image.read_bytes() == CONTENT


def test_a_file_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "no-folder" / "out"

    ended = Shell(FakeClusterManager()).type("exportImage", "--image", "a", "--file", str(target))

    assert (ended.code, ended.err.count("\n")) == (3, 1)
