"""Disk images: listed, made from others, brought in from this machine and taken out to it.

What takes long is a job of the cluster manager, and waited for unless --noWait is given. A file is
sent in pieces with their numbers; whoever was interrupted gives the same command again and goes on
where it was. Its SHA-256 is measured here as it is read, and compared with what arrived.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from tashi.client import arguments as a
from tashi.client import jobs, sheets
from tashi.client.arguments import Given, Misused
from tashi.client.command import Command, Session
from tashi.domain.errors import Failed, NoSuchJob, Refused
from tashi.wire.images import ImageForm, ImportForm, JobForm, PieceForm

_PIECE_BYTES: Final = 512 * 1024

Run = Callable[[Session, Given], None]


def listed(session: Session, _given: Given) -> None:
    """List all images."""
    cluster = session.cluster
    found = cluster.calls.call("getImages", tuple[ImageForm, ...])
    session.terminal.show(sheets.IMAGES, sheets.image_rows(found, cluster.users()))


def _made(call: str, *more: "a.Argument[object]") -> Run:
    """Make what asks for an image that is made from another one."""

    def run(session: Session, given: Given) -> None:
        arguments = {argument.name: given[argument] for argument in more}
        job = session.cluster.calls.call(
            call,
            JobForm,
            request_id=None,
            src=given[a.SOURCE_IMAGE],
            dst=given[a.TARGET_IMAGE],
            replace=given[a.REPLACE],
            **arguments,
        )
        jobs.see_through(session, job, wait=not given[a.NO_WAIT])

    return run


def delete(session: Session, given: Given) -> None:
    """Delete an image."""
    job = session.cluster.calls.call("deleteImage", JobForm, name=given[a.IMAGE])
    jobs.see_through(session, job, wait=not given[a.NO_WAIT])


# ---- from here ----------------------------------------------------------------------------------


def bring_in(session: Session, given: Given) -> None:
    """Send a file of this machine as a new image."""
    path = Path(given[a.FILE])
    name = given[a.NEW_IMAGE] or path.name
    calls = session.cluster.calls
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        to = calls.call("beginImport", ImportForm, name=name, size=size)
        sha256 = _send_all(session, file, to)
    with _still_there(to):
        job = calls.call("finishImport", JobForm, import_id=to.id, sha256=sha256)
    jobs.see_through(session, job, wait=not given[a.NO_WAIT])


def _send_all(session: Session, file: BinaryIO, to: ImportForm) -> str:
    """Send what is not there yet of a file; the SHA-256 of all of it."""
    digest, number = hashlib.sha256(), 0
    try:
        with session.terminal.transfer(f"importing {to.name}") as note, _still_there(to):
            while piece := _read(file, to.piece_bytes):
                digest.update(piece)
                if number >= to.next:
                    to = session.cluster.calls.call(
                        "sendPiece", ImportForm, import_id=to.id, number=number, content=piece
                    )
                number += 1
                note(min(number * to.piece_bytes, to.size), to.size)
    except KeyboardInterrupt:
        session.terminal.add(
            "What was sent is kept for ten minutes: the same command goes on where this one ended."
        )
        raise
    return digest.hexdigest()


def _read(file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise Failed(f"{file.name} cannot be read: {error.strerror}.") from error


def _at_once(path: str, flags: int) -> int:
    """Open a file, without waiting for somebody to write into it where it is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file to send; Misused when there is none."""
    try:
        file = open(path, "rb", opener=_at_once)  # noqa: SIM115  it is closed below
    except OSError as error:
        raise Misused(f"--file {path} cannot be read: {error.strerror}.") from error
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Misused(f"--file {path} is no file whose size is known: give a plain file.")
        yield file


@contextmanager
def _still_there(to: ImportForm) -> Iterator[None]:
    """Say what it means when the cluster manager knows nothing of the import any more."""
    try:
        yield
    except NoSuchJob as lost:
        raise Failed(
            f"The import of {to.name} is lost, as when the cluster manager is started anew: "
            "nothing of it is kept. Give the same command again.",
            job=to.id,
        ) from lost


# ---- to here ------------------------------------------------------------------------------------


def take_out(session: Session, given: Given) -> None:
    """Write an image's file to this machine, whole or not at all."""
    path, name = Path(given[a.FILE]), given[a.IMAGE]
    if path.is_symlink() or path.exists():
        raise Refused(f"There is a file {path} already: give another name.")
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            sha256 = _receive_all(session, name, file)
        part.rename(path)
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    words = f"{name} is in {path}; its SHA-256 is {sha256}."
    session.terminal.say(words, {"image": name, "file": str(path), "sha256": sha256})


def _receive_all(session: Session, name: str, file: BinaryIO) -> str:
    digest, done, size, version = hashlib.sha256(), 0, 1, ""
    with session.terminal.transfer(f"exporting {name}") as note:
        while done < size:
            piece = session.cluster.calls.call(
                "readImage", PieceForm, name=name, offset=done, length=_PIECE_BYTES
            )
            if version not in {"", piece.version} or not piece.content:
                raise Failed(f"{name} was changed while it was read: try again.")
            version, size = piece.version, piece.size
            digest.update(piece.content)
            file.write(piece.content)
            done += len(piece.content)
            note(done, size)
    return digest.hexdigest()


_MAKES: Final = (a.SOURCE_IMAGE, a.TARGET_IMAGE, a.REPLACE, a.NO_WAIT)

COMMANDS: Final = (
    Command(
        name="getImages",
        run=listed,
        help="List all images.",
        examples=("", "--show-backs --show-user", "--show-all"),
        sheet=sheets.IMAGES,
    ),
    Command(
        name="copyImage",
        run=_made("copyImage"),
        takes=_MAKES,
        help="Copy an image.",
        examples=(
            "--src web.qcow2 --dst web-2.qcow2",
            "--src base.qcow2 --dst mine.qcow2 --replace",
        ),
    ),
    Command(
        name="cloneImage",
        run=_made("cloneImage"),
        takes=_MAKES,
        help="Make an image at once that keeps only its differences from another.",
        examples=("--src debian.qcow2 --dst db-system.qcow2",),
    ),
    Command(
        name="rebaseImage",
        run=_made("rebaseImage", a.BACKING),
        takes=(a.SOURCE_IMAGE, a.TARGET_IMAGE, a.BACKING, a.REPLACE, a.NO_WAIT),
        help="Make a qcow2 image of the same content, based on another image or on none.",
        examples=(
            "--src db-system.qcow2 --dst db-whole.qcow2",
            "--src db-system.qcow2 --dst db-new.qcow2 --backing debian-12.qcow2",
        ),
    ),
    Command(
        name="deleteImage",
        run=delete,
        takes=(a.IMAGE, a.NO_WAIT),
        help="Delete an image of your own that nobody uses.",
        examples=("--image web-2.qcow2",),
    ),
    Command(
        name="importImage",
        run=bring_in,
        takes=(a.FILE, a.NEW_IMAGE, a.NO_WAIT),
        help="Bring a file of this machine into the image store.",
        examples=("--file debian.qcow2", "--file /tmp/disk.raw --name teams/web.raw"),
    ),
    Command(
        name="exportImage",
        run=take_out,
        takes=(a.IMAGE, a.FILE),
        help="Write an image to a file of this machine.",
        examples=("--image teams/web.raw --file web.raw",),
    ),
)
