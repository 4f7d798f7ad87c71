"""The calls about disk images, and about the jobs that make them.

Whatever asks the store is done by a worker, whatever changes claims and jobs by the ledger's
thread; a call's answer comes when both are through with it.
"""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from tashi.clustermanager.claims import check_at_rest
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.images import Order, Plan, names
from tashi.clustermanager.imports import PIECE_BYTES, Import
from tashi.clustermanager.service.aside import elsewhere
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.books import Books
from tashi.domain.catalogue import Image
from tashi.domain.errors import BadRequest
from tashi.domain.images import checked_image_name, new_image_name
from tashi.domain.jobs import Job
from tashi.domain.permissions import Caller
from tashi.domain.states import InstanceState
from tashi.wire.chaining import then
from tashi.wire.forms import to_form
from tashi.wire.images import ImageForm, ImportForm, JobForm, PieceForm

_LONGEST_WATCH_SECONDS = 60.0
_FARTHEST = 2**62
_LOOKING = "look at images"


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = ImagesCalls(office)
    return {
        "getImages": calls.images,
        "copyImage": calls.copy,
        "cloneImage": calls.clone,
        "rebaseImage": calls.rebase,
        "deleteImage": calls.delete,
        "beginImport": calls.begin_import,
        "sendPiece": calls.send_piece,
        "finishImport": calls.finish_import,
        "cancelImport": calls.cancel_import,
        "readImage": calls.read,
        "getJob": calls.job,
        "getJobs": calls.jobs,
        "cancelJob": calls.cancel_job,
    }


class ImagesCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def images(self, _caller: Caller, _request: str) -> Future[Any]:
        """Every image, and the instances that have it as a disk."""
        office = self._office

        def look() -> tuple[ImageForm, ...]:
            images = office.images.images()
            books = office.ledger.books
            return tuple(_image_form(one, books) for one in images)

        return elsewhere(office.workers, _LOOKING, look)

    # ---- made from others -----------------------------------------------------------------------

    def copy(self, caller: Caller, request: str, src: str, dst: str, replace: bool) -> Future[Any]:
        """Copy an image."""
        source, target = names(src, dst)
        order = Order(target=target, caller=caller, replace=replace)
        return self._undertake(lambda: self._office.making.copy(source, order), caller, request)

    def clone(self, caller: Caller, request: str, src: str, dst: str, replace: bool) -> Future[Any]:
        """Make an image that is based on another."""
        source, target = names(src, dst)
        order = Order(target=target, caller=caller, replace=replace)
        return self._undertake(lambda: self._office.making.clone(source, order), caller, request)

    def rebase(
        self,
        caller: Caller,
        request: str,
        src: str,
        dst: str,
        backing: str | None,
        replace: bool,
    ) -> Future[Any]:
        """Make an image of the same content that is based on another one or on none."""
        source, target = names(src, dst)
        base = None if backing is None else checked_image_name(backing)
        order = Order(target=target, caller=caller, replace=replace)
        return self._undertake(
            lambda: self._office.making.rebase(source, base, order), caller, request
        )

    def delete(self, caller: Caller, request: str, name: str) -> Future[Any]:
        """Delete an image that nobody uses."""
        checked = checked_image_name(name)
        return self._undertake(lambda: self._office.making.delete(checked, caller), caller, request)

    # ---- taken in and read ----------------------------------------------------------------------

    def begin_import(self, caller: Caller, _request: str, name: str, size: int) -> Future[Any]:
        """Begin to take an image in, or go on with it."""
        office, target = self._office, new_image_name(name)
        reserved = office.ledger.ask(
            lambda draft: office.imports.reserve(draft, caller, target, size)
        )
        return then(reserved, lambda one: self._in_its_lane(one, office.imports.open))

    def send_piece(
        self, caller: Caller, _request: str, import_id: int, number: int, content: bytes
    ) -> Future[Any]:
        """Take the next piece of an image."""
        imports = self._office.imports
        one = imports.find(import_id, caller)
        return self._in_its_lane(one, lambda one: imports.take(one, number, content))

    def finish_import(
        self, caller: Caller, request: str, import_id: int, sha256: str
    ) -> Future[Any]:
        """Let a job make the image of what was sent."""
        office = self._office
        earlier = office.jobs.of_request(request)
        if earlier is not None:
            return _now(job_form(earlier))
        one = office.imports.find(import_id, caller)

        def finish(_: ImportForm) -> Future[Any]:
            errand = office.imports.errand(one, request)
            answer = office.ledger.ask(
                lambda draft: job_form(office.imports.finish(draft, one, errand))
            )
            answer.add_done_callback(partial(office.imports.undo, one, errand))
            return answer

        closed = self._in_its_lane(one, lambda one: office.imports.close(one, sha256))
        return then(closed, finish)

    def cancel_import(self, caller: Caller, _request: str, import_id: int) -> Future[Any]:
        """Forget what was sent of an image."""
        imports = self._office.imports
        return self._in_its_lane(imports.find(import_id, caller), imports.drop)

    def read(
        self, caller: Caller, _request: str, name: str, offset: int, length: int
    ) -> Future[Any]:
        """A piece of an image's file, as it is in the store."""
        office, checked = self._office, checked_image_name(name)
        if not 0 <= offset <= _FARTHEST or not 0 < length <= PIECE_BYTES:
            raise BadRequest(f"A piece begins inside the image and has 1 to {PIECE_BYTES} bytes.")

        def look() -> PieceForm:
            for other in office.images.same_as(checked) if offset == 0 else (checked,):
                check_at_rest(office.ledger.books, other)
            return to_form(office.images.read(checked, offset, length), PieceForm)

        return elsewhere(office.workers, _lane_of(caller), look)

    # ---- jobs -----------------------------------------------------------------------------------

    def job(
        self, _caller: Caller, _request: str, job_id: int, seen: int, timeout: float
    ) -> Future[Any]:
        """A job, once it is another than the caller has seen."""
        office = self._office
        until = office.clock.monotonic() + min(max(timeout, 0.0), _LONGEST_WATCH_SECONDS)
        waits = seen if timeout > 0 else -1

        def look(_: Draft) -> Future[Job]:
            return office.jobs.watch(job_id, waits, until)

        watched = then(office.ledger.ask(look), lambda answer: answer)
        return then(watched, job_form)

    def jobs(self, _caller: Caller, _request: str) -> Future[Any]:
        """Every job that is remembered."""
        jobs = self._office.jobs
        return self._office.ledger.ask(lambda _: tuple(map(job_form, jobs.all())))

    def cancel_job(self, caller: Caller, _request: str, job_id: int) -> Future[Any]:
        """Give a job up."""
        jobs = self._office.jobs
        return self._office.ledger.ask(lambda _: job_form(jobs.cancel(job_id, caller)))

    # ---- how ------------------------------------------------------------------------------------

    def _undertake(self, plan: Callable[[], Plan], caller: Caller, request: str) -> Future[Any]:
        office = self._office
        earlier = office.jobs.of_request(request)
        if earlier is not None:
            return _now(job_form(earlier))

        def begin(planned: Plan) -> Future[Any]:
            return office.undertaking.begin(planned, caller, request)

        planned = elsewhere(office.workers, _lane_of(caller), plan)
        begun: Future[Job] = then(planned, begin)
        return then(begun, job_form)

    def _in_its_lane(self, one: Import, act: Callable[[Import], Import]) -> Future[Any]:
        return elsewhere(self._office.workers, f"import {one.id}", lambda: _import_form(act(one)))


def _lane_of(caller: Caller) -> str:
    """One for each user: where the store hangs, nobody takes up more than one thread with it."""
    return f"images of {caller.user_id}"


def job_form(job: Job) -> JobForm:
    """A job in its wire shape."""
    error = job.error
    return JobForm(
        id=job.id,
        words=job.words,
        state=job.state,
        user_id=job.user_id,
        done=job.done,
        total=job.total,
        rate=job.rate,
        change=job.change,
        errno=0 if error is None else error.errno,
        kind="" if error is None else error.kind,
        error="" if error is None else error.message,
    )


def _image_form(image: Image, books: Books) -> ImageForm:
    users = books.with_disk(image.name)
    visible = tuple(one.id for one in users if one.state is not InstanceState.EXITED)
    return ImageForm(
        image.name,
        image.size,
        image.virtual_size,
        image.format,
        image.backing,
        visible,
        image.backs,
        image.user_id,
    )


def _import_form(one: Import) -> ImportForm:
    return ImportForm(one.id, one.name, one.size, PIECE_BYTES, one.next)


def _now(value: object) -> Future[Any]:
    answer: Future[Any] = Future()
    answer.set_result(value)
    return answer
