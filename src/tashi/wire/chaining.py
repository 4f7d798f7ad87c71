"""Answers that follow from other answers which are still to come.

One law: whatever goes wrong on the way, the future that was handed out ends. Whoever waits for it
holds a connection open, and nobody else would ever tell him.
"""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Final, Protocol, TypeVar

from tashi.domain.errors import Failed

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)

STOPPING: Final = "The service stopped before the call was done."


class Coming(Protocol[T_co]):
    """Something that is still to come; a Future is one."""

    def result(self) -> T_co:
        """What came, or the exception that stands in its place, raised."""
        ...

    @property
    def add_done_callback(self) -> Callable[[Callable[..., object]], None]:
        """Call what is given when it is there, with this."""
        ...


def then(first: "Coming[T]", follow: "Callable[[T], U | Future[U]]") -> "Future[U]":
    """The future of what `follow` makes of the first's outcome, at once or in its turn.

    It ends with the first's error, or with whatever `follow` raises; with Failed where one of them
    was cancelled. Nobody can cancel it. `follow` is called by whoever ends the first.
    """
    whole: Future[U] = Future()
    whole.set_running_or_notify_cancel()  # from here on nobody can cancel it
    first.add_done_callback(partial(_go_on, follow, whole))
    return whole


def _go_on(follow: "Callable[[T], U | Future[U]]", whole: "Future[U]", done: "Coming[T]") -> None:
    try:
        result = follow(done.result())
    except CancelledError:
        whole.set_exception(Failed(STOPPING))
    except BaseException as wrong:  # noqa: BLE001  # nobody must be left waiting
        whole.set_exception(wrong)
    else:
        if isinstance(result, Future):
            result.add_done_callback(partial(_go_on, _as_it_is, whole))
        else:
            whole.set_result(result)


def _as_it_is(outcome: U) -> U:
    return outcome
