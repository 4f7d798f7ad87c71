"""What waits for the writer of a node's notes."""

from concurrent.futures import Future
from queue import Empty, SimpleQueue

from tashi.domain.errors import TashiError
from tashi.ports.workers import Job


class Inbox:
    """Jobs for the writer; `post` from any thread, `turn` from the writer's."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job] = SimpleQueue()

    def post(self, job: Job) -> None:
        """Queue a job."""
        self._jobs.put(job)

    def turn(self, wait_seconds: float) -> None:
        """Wait for jobs, at most so long, and do what is queued then.

        What comes meanwhile waits for the next turn, so that no stream of jobs holds it up.
        """
        try:
            self._jobs.get(block=wait_seconds > 0, timeout=max(0.0, wait_seconds))()
            for _ in range(self._jobs.qsize()):
                self._jobs.get_nowait()()
        except Empty:
            pass


def settle(answer: Future[bool], job: Job) -> None:
    """Do a job that somebody waits for: it is done, or has failed for a reason."""
    try:
        job()
    except TashiError as error:
        answer.set_exception(error)
    else:
        answer.set_result(True)
