"""One connection to a peer, shared by any number of callers at once.

Each request has a number and its answer bears it, so a call that waits for long holds up no other.
There is no thread of its own: of those who wait for an answer one reads for all, and when it has
its own, the next one reads on. An idle line costs a socket and nothing else.

A line may have a pulse: while an answer is waited for and nothing comes, whoever waits puts a small
question of the line's own. A peer that leaves that unanswered too, or answers that it does not
lead, is given up long before the calls' own time is over.
"""

import math
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

from tashi.adapters.rpyc import frames, protocol
from tashi.adapters.rpyc.plain import Malformed

if TYPE_CHECKING:
    from tashi.adapters.rpyc.secure import Secured

CHUNK: Final = 256 * 1024

Answer: TypeAlias = protocol.Reply | protocol.Refusal


class LineFailed(Exception):
    """No answer will come; `sent` says whether the request may have reached the peer."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class LineLost(LineFailed):
    """The connection is over."""


class LineRetired(LineLost):
    """Another connection has taken the place of this one; nothing was sent."""

    def __init__(self) -> None:
        super().__init__("another connection has taken its place", sent=False)


class NoAnswer(LineFailed):
    """The time is up."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """A question that only a peer that lives answers.

    It is put after `quiet_seconds` without a word, and as many later the peer is given up.
    `verdict` says of an answer why the peer is to be given up all the same, if it is.
    """

    worded: Callable[[int], bytes]
    verdict: Callable[[Answer], str | None]
    quiet_seconds: float


class _Question:
    """A request under way; whoever reads puts its answer here."""

    __slots__ = ("answer", "progress")

    def __init__(self, lock: threading.Lock) -> None:
        self.answer: Answer | None = None
        self.progress = threading.Condition(lock)


class Line:
    """Asks questions over one connected socket, which it owns."""

    def __init__(self, sock: "socket.socket | Secured", most: int) -> None:
        """Answers of more than `most` bytes end the line. A `pulse` may be set before its use."""
        self.pulse: Pulse | None = None
        self._pulse_number = 0
        self._quiet_since = 0.0
        if isinstance(sock, socket.socket):
            sock.setblocking(False)
        self._sock = sock
        self._gathered = frames.Gatherer(most)
        self._numbers = count(1)
        self._questions: dict[int, _Question] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._someone_reads = False
        self._lost: str | None = None
        self._retired = False

    def ask(self, worded: Callable[[int], bytes], deadline: float) -> Answer:
        """Send the message `worded(number)` and return its answer.

        Raises NoAnswer at the deadline (of the monotonic clock), LineLost when the line breaks.
        """
        with self._lock:
            if self._retired:
                raise LineRetired
            if self._lost is not None:
                raise LineLost(self._lost, sent=False)
            if not self._questions:
                self._quiet_since = time.monotonic()
            number = next(self._numbers)
            question = self._questions[number] = _Question(self._lock)
        try:
            self._send(frames.frame(worded(number)), deadline)
            return self._answer_to(question, deadline)
        except NoAnswer:
            if len(self._questions) == 1:
                self.cut("it left an earlier request unanswered")
            raise
        finally:
            self._leave(number)

    def is_sound(self) -> bool:
        """Whether the line can be used; notices a peer that left while nobody was waiting."""
        with self._lock:
            if self._lost is None and not self._someone_reads:
                self._read_for_all(time.monotonic())
                self._let_another_read()
            return self._lost is None

    def cut(self, why: str) -> None:
        """End the line; everyone who waits gets LineLost with these words."""
        with self._lock:
            self._cut(why)

    def retire(self) -> None:
        """Take no more questions: let those who wait have their answers, and end with the last."""
        with self._lock:
            self._retired = True
            self._end_if_retired()

    # -- with the lock held

    def _end_if_retired(self) -> None:
        if self._retired and not self._questions:
            self._cut(str(LineRetired()))

    def _answer_to(self, question: _Question, deadline: float) -> Answer:
        with self._lock:
            while question.answer is None:
                if self._lost is not None:
                    raise LineLost(self._lost, sent=True)
                now = time.monotonic()
                if now >= deadline:
                    raise NoAnswer("it is silent", sent=True)
                until = min(deadline, self._feel_the_pulse(now))
                if self._someone_reads:
                    question.progress.wait(until - now)
                else:
                    self._read_for_all(until)
            return question.answer

    def _feel_the_pulse(self, now: float) -> float:
        """Put the line's own question when it is due, or give the peer up; when to look again."""
        pulse = self.pulse
        if pulse is None:
            return math.inf
        due = self._quiet_since + pulse.quiet_seconds
        if self._pulse_number:
            due += pulse.quiet_seconds
            if now >= due:
                self._cut("it leaves every question unanswered")
        elif now >= due:
            self._pulse_number = next(self._numbers)
            due += pulse.quiet_seconds
            self._put(frames.frame(pulse.worded(self._pulse_number)), due)
        return due

    def _put(self, framed: bytes, deadline: float) -> None:
        """Send something to which nobody waits for an answer, with the lock open meanwhile."""
        self._lock.release()
        try:
            with suppress(LineFailed):  # whoever waits for something else will hear of it
                self._send(framed, deadline)
        finally:
            self._lock.acquire()

    def _read_for_all(self, deadline: float) -> None:
        """Take in what comes, once, with the lock open meanwhile."""
        self._someone_reads = True
        self._lock.release()
        try:
            lost = self._receive(deadline)
            answers = [] if lost else self._answers()
        except (OSError, Malformed) as wrong:
            lost, answers = _words(wrong), []
        finally:
            self._lock.acquire()
            self._someone_reads = False
        for answer in answers:
            if self.pulse is not None and answer.number == self._pulse_number:
                self._pulse_number = 0
                lost = lost or self.pulse.verdict(answer)
            question = self._questions.get(answer.number)
            if question is not None:
                question.answer = answer
                question.progress.notify()
        if lost:
            self._cut(lost)

    def _leave(self, number: int) -> None:
        with self._lock:
            del self._questions[number]
            self._end_if_retired()
            self._let_another_read()
            self._close_if_unused()

    def _let_another_read(self) -> None:
        if not self._someone_reads:
            for question in self._questions.values():
                if question.answer is None:
                    question.progress.notify()
                    break

    def _cut(self, why: str) -> None:
        if self._lost is None:
            self._lost = why
            self._shut()
        for question in self._questions.values():
            question.progress.notify()
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        """A descriptor that somebody still waits on is not given back."""
        if self._lost is not None and not self._questions and not self._someone_reads:
            self._sock.close()

    # -- without

    def _send(self, framed: bytes, deadline: float) -> None:
        if not self._sending.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise NoAnswer("it takes nothing in", sent=False)
        rest = memoryview(framed)
        try:
            while rest:
                rest = rest[self._send_some(rest, deadline) :]
        except (OSError, NoAnswer) as wrong:
            begun = len(rest) < len(framed)
            if begun or isinstance(wrong, OSError) or not isinstance(self._sock, socket.socket):
                # (TLS has begun a record, even if the kernel took none of it)
                self.cut(_words(wrong))
            raise LineLost(_words(wrong), sent=begun) from wrong
        finally:
            self._sending.release()

    def _send_some(self, rest: memoryview, deadline: float) -> int:
        while True:
            try:
                return self._sock.send(rest)
            except (BlockingIOError, InterruptedError):
                if not _ready(self._sock, select.POLLOUT, deadline):
                    raise NoAnswer("it takes nothing in", sent=False) from None

    def _receive(self, deadline: float) -> str | None:
        """Wait for bytes until the deadline, take in what is there; why, when no more will come."""
        if time.monotonic() < deadline and not _ready(self._sock, select.POLLIN, deadline):
            return None
        try:
            received = self._sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return None
        self._gathered.feed(received)
        self._quiet_since = time.monotonic()
        return None if received else "it closed the connection"

    def _answers(self) -> list[Answer]:
        answers: list[Answer] = []
        while (message := self._gathered.take()) is not None:
            heard = protocol.hear(message)
            if isinstance(heard, protocol.Goodbye):
                raise Malformed("it said goodbye")
            answers.append(heard)
        return answers

    def _shut(self) -> None:
        with suppress(OSError):  # the peer may have been quicker
            self._sock.shutdown(socket.SHUT_RDWR)


def _ready(sock: "socket.socket | Secured", what: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(sock, what)
    left = max(0.0, deadline - time.monotonic())
    return bool(poll.poll(math.ceil(left * 1000)))


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
