"""Calling the cluster manager that leads, of several or the only one.

Each has a link of its own. A call goes to the one that answered last; from one that is silent, or
says that it does not lead, it goes on to the next, round and round until its time is over. One that
is alone and was killed does not lead either, until its own lease is over. Three laws:

* what certainly was not done may be asked of the next one; anything else only if it may be repeated
  (the repeat has the same id, and the answers of a reign are kept for the next);
* while a take-over may be under way, which is so when anybody answers at all, it is waited for;
* when nobody can be reached, that is said at once, unless the caller is patient.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from tashi.adapters.rpyc.peers import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Link
from tashi.domain.errors import NotLeader, PeerSilent
from tashi.wire import envelope, versions

_UNDONE: Final = "no"
_PULSE: Final = envelope.write_request(str(versions.CLUSTER_MANAGER.version), "pulse", "getReign")


class LeaderLink:
    """A `Caller` of whichever program leads."""

    def __init__(
        self, links: Sequence[Link], on_silence: Callable[[str], None] = lambda _: None
    ) -> None:
        """The first is asked first; where there are others, each is given up soon if it hangs.

        `on_silence` hears why nobody leads when that is first waited for; again after an answer.
        """
        self._on_silence = on_silence
        self._silent = False
        if len(links) > 1:
            for link in links:
                link.keep_pulse(_PULSE)
        self._links = tuple(links)
        self._first = 0
        self._closed = threading.Event()

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read what is said, whichever of them leads."""
        return all(link.private for link in self._links)

    def __str__(self) -> str:
        return " and ".join(map(str, self._links))

    def call(self, request: bytes, timeout_seconds: float, *, repeatable: bool = False) -> bytes:
        """Send a request and return its answer, as `tashi.ports.peers.Caller` promises.

        Raises NotLeader as well, when nobody led in all that time.
        """
        deadline = time.monotonic() + timeout_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            refusals, start = [], self._first  # other threads may move it meanwhile
            for step in range(len(self._links)):
                number = (start + step) % len(self._links)
                answer = self._ask_one(number, request, deadline, repeatable=repeatable)
                if isinstance(answer, bytes):
                    self._first, self._silent = number, False
                    return answer
                refusals.append(answer)
            patient = repeatable or any(isinstance(one, NotLeader) for one in refusals)
            left = deadline - time.monotonic()
            if patient and not self._silent and not self._closed.is_set():
                self._silent = True
                self._on_silence(_summary(refusals, timeout_seconds - left).message)
            if not patient or left <= pause or self._closed.wait(pause):
                raise _summary(refusals, timeout_seconds)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Let go of all of them; calls under way end with PeerSilent, and so do later ones."""
        self._closed.set()
        for link in self._links:
            link.close()

    def _ask_one(
        self, number: int, request: bytes, deadline: float, *, repeatable: bool
    ) -> bytes | PeerSilent | NotLeader:
        """The answer of one of them, or why it is to be another's; raises if that must not be."""
        try:
            answer = self._links[number].call(request, max(0.0, deadline - time.monotonic()))
        except PeerSilent as silence:
            refusal: PeerSilent | NotLeader = silence
        else:
            error = envelope.error_in(answer)
            if not isinstance(error, NotLeader):
                return answer
            refusal = error
        if refusal.about.get("sent") != _UNDONE and not repeatable:
            raise refusal
        return refusal


def _summary(refusals: Sequence[PeerSilent | NotLeader], seconds: float) -> PeerSilent | NotLeader:
    """One error out of what each has said."""
    if len(refusals) == 1 and isinstance(refusals[0], PeerSilent):
        return refusals[0]
    sent = "no" if all(one.about.get("sent") == _UNDONE for one in refusals) else "perhaps"
    words = " ".join(one.message for one in refusals)
    if all(isinstance(one, PeerSilent) for one in refusals):
        return PeerSilent(f"No cluster manager can be reached. {words}", sent=sent)
    return NotLeader(f"No cluster manager led within {seconds:g} s. {words}", sent=sent)
