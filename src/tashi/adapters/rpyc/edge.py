"""The edge between a service and the transport: whatever a handler does, one answer comes of it.

A handler returns bytes or a Future, or raises; here each of these becomes the bytes that go to the
caller. Tashi's own errors cross in their envelope; anything else is a bug of ours, logged once with
its traceback, of which the caller is told no detail.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future

from tashi.domain.errors import BadRequest, TashiError
from tashi.ports.peers import Handler, Peer, Promise
from tashi.wire import envelope

log = logging.getLogger("tashi.rpyc")


def answer(
    handler: Handler, request: bytes, peer: Peer, most: int, later: Callable[[bytes], None]
) -> bytes | None:
    """Return the answer, of at most `most` bytes, or None when the handler waits for it.

    In that case `later` is given the answer, on the thread that completes the handler's Future, or
    at once where that is complete already.
    """
    try:
        outcome = handler(request, peer)
    except Exception as error:  # noqa: BLE001  (whatever it is, the caller gets an answer)
        return _apology(request, error)
    if not isinstance(outcome, Future):
        return _fitting(request, outcome, most)
    outcome.add_done_callback(lambda done: later(_settled(request, done, most)))
    return None


def _settled(request: bytes, done: Promise, most: int) -> bytes:
    try:
        return _fitting(request, done.result(), most)
    except Exception as error:  # noqa: BLE001  (whatever the Future was failed with)
        return _apology(request, error)


def _fitting(request: bytes, outcome: object, most: int) -> bytes:
    if not isinstance(outcome, bytes):
        return _apology(request, TypeError(f"a handler answered with a {type(outcome).__name__}"))
    if len(outcome) <= most:
        return outcome
    too_long = f"The answer has {len(outcome)} bytes, more than the {most} allowed: ask for less."
    return _apology(request, BadRequest(too_long))


def _apology(request: bytes, error: Exception) -> bytes:
    request_id, call = envelope.glance(request)
    if not isinstance(error, TashiError):
        log.error("%s (request %s) broke", call, request_id, exc_info=error)
    return envelope.write_error(request_id, error)
