"""Jobs of the cluster manager: listed, cancelled, and waited for with a bar.

A job goes on when its client is interrupted; who interrupts is told how to end the job itself.
"""

from typing import Final

from tashi.client import arguments as a
from tashi.client import sheets
from tashi.client.arguments import Given
from tashi.client.command import Command, Session
from tashi.domain.errors import Failed, NoSuchJob
from tashi.domain.jobs import JobState
from tashi.wire import envelope
from tashi.wire.images import JobForm

_ONE_LOOK_SECONDS: Final = 30.0
_UNDER_WAY: Final = frozenset({JobState.WAITING, JobState.RUNNING})


def see_through(session: Session, job: JobForm, *, wait: bool) -> None:
    """Wait for the end of a job, unless nobody wants to, and say how it went.

    Raises what the job ended with, and Failed when the cluster manager lost it.
    """
    if wait:
        job = _until_over(session, job)
    sentence = f"{job.words.capitalize()} is done."
    if job.state in _UNDER_WAY:
        sentence = f"Job {job.id} has begun: {job.words}. getJobs shows how far it is."
    session.terminal.say(sentence, sheets.row_of(job))


def listed(session: Session, _given: Given) -> None:
    """List the jobs."""
    found = session.cluster.calls.call("getJobs", tuple[JobForm, ...])
    session.terminal.show(sheets.JOBS, [sheets.row_of(one) for one in found])


def cancel(session: Session, given: Given) -> None:
    """Give a job up."""
    job = session.cluster.calls.call("cancelJob", JobForm, job_id=given[a.JOB])
    words = f"Job {job.id} is to end: {job.words}."
    if job.state not in _UNDER_WAY:
        words = f"Job {job.id} is {job.state}: {job.words}."
    session.terminal.say(words, sheets.row_of(job))


def _until_over(session: Session, job: JobForm) -> JobForm:
    """The job at its end; raises the error that it ended with."""
    try:
        with session.terminal.transfer(job.words) as note:
            while job.state in _UNDER_WAY:
                job = _next(session, job)
                note(job.done, job.total)
    except KeyboardInterrupt:
        session.terminal.add(
            f"Job {job.id} goes on: cancelJob --job {job.id} ends it, getJobs shows how far it is."
        )
        raise
    if job.kind:
        raise envelope.error_from(envelope.ErrorForm(job.errno, job.kind, job.error))
    return job


def _next(session: Session, job: JobForm) -> JobForm:
    try:
        return session.cluster.calls.call(
            "getJob", JobForm, job_id=job.id, seen=job.change, timeout=_ONE_LOOK_SECONDS
        )
    except NoSuchJob as lost:
        raise Failed(
            f"The cluster manager was started anew while {job.words} was under way: nothing half "
            "made is kept. getImages shows whether it was done; if not, ask again.",
            job=job.id,
        ) from lost


COMMANDS: Final = (
    Command(
        name="getJobs",
        run=listed,
        help="List the long work of the cluster manager, and how far it is.",
        examples=("", "--show-rate"),
        sheet=sheets.JOBS,
    ),
    Command(
        name="cancelJob",
        run=cancel,
        takes=(a.JOB,),
        help="Give up a job of your own; nothing half made is kept.",
        examples=("--job 30001",),
    ),
)
