"""Images on their way in from clients: begun, sent in numbered pieces, finished by a job.

Each import has a lane of its own among the workers, in which its pieces are taken in order. A piece
that comes again changes nothing, one that comes too early is refused, so a client may send again
what it has no answer for. Who begins the same import again goes on where it was. What was sent is
measured by SHA-256 as it comes, and compared with what the client measured as it read.

`_open` belongs to the ledger's thread; others look up one entry at a time. The rest of an import
belongs to its lane.
"""

import hashlib
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from tashi.clustermanager.claims import Claim, Claims
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.images import Undertaking
from tashi.clustermanager.jobs import Errand, Jobs
from tashi.domain.errors import ImagesFailed, NoSuchJob, NotPermitted, Refused, TashiError
from tashi.domain.identity import UserId
from tashi.domain.images import size_in_words
from tashi.domain.jobs import Job
from tashi.domain.permissions import Caller
from tashi.ports.clock import Clock
from tashi.ports.images import ImageStore, Intake, NewImage
from tashi.wire import codec

PIECE_BYTES: Final = 512 * 1024
"""With the quarter more that base64 takes, well below what a request may have."""
_IDLE_SECONDS: Final = 600.0
_MOST_OPEN: Final = 64


@dataclass(slots=True, kw_only=True, eq=False)
class Import:
    """One image on its way in: `whole` once all of it was sent, made an image by `job`."""

    id: int
    name: str
    owner: UserId | None
    size: int
    claim: Claim
    rests: Claim | None = None
    """On what it is based, once that is known."""
    intake: Intake | None = None
    next: int = 0
    touched_at: float = 0.0
    whole: bool = False
    over: bool = False
    job: Job | None = None
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class Imports:
    """The imports under way; `largest` is how many bytes an image may have."""

    def __init__(  # the rooms around it
        self,
        store: ImageStore,
        clock: Clock,
        claims: Claims,
        jobs: Jobs,
        undertaking: Undertaking,
        largest: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._claims = claims
        self._jobs = jobs
        self._undertaking = undertaking
        self._largest = largest
        self._open: dict[int, Import] = {}
        self._count = 0

    # ---- any thread -----------------------------------------------------------------------------

    def find(self, key: int, caller: Caller) -> Import:
        """That import; raises NoSuchJob, or NotPermitted for somebody else's."""
        found = self._open.get(key)
        if found is None:
            raise NoSuchJob(
                f"There is no import {key}: it is over, was idle for too long, or the cluster "
                "manager was started anew since. Begin again; nothing is left of it.",
                job=key,
            )
        if not caller.is_admin and caller.user_id != found.owner:
            raise NotPermitted(f"Import {key} is not yours; you are {caller.name}.")
        return found

    # ---- the ledger's thread --------------------------------------------------------------------

    def reserve(self, draft: Draft, caller: Caller, name: str, size: int) -> Import:
        """The import of that image by that caller, a new one unless it is under way already.

        Raises ImageInUse, or Refused for one that is too large.
        """
        for one in self._open.values():
            if (one.name, one.owner, one.size) == (name, caller.user_id, size) and not one.over:
                return one
        if not 0 < size <= self._largest:
            raise Refused(
                f"Image {name!r} has {size_in_words(size)}: an image has at least a byte and at "
                f"most {size_in_words(self._largest)} (maxImageSize in [Vfs])."
            )
        if len(self._open) >= _MOST_OPEN:
            raise Refused(f"{_MOST_OPEN} imports are under way, as many as can be: wait for one.")
        claim = Claim(words=f"importing {name}", makes=frozenset((name,)))
        self._claims.take(draft.books, claim)
        self._count += 1
        made = Import(
            id=self._jobs.number(self._count),
            name=name,
            owner=caller.user_id,
            size=size,
            claim=claim,
            touched_at=self._clock.monotonic(),
        )
        self._open[made.id] = made
        return made

    def errand(self, one: Import, request: str) -> Errand:
        """What a job is to do for an import that is whole. From any thread."""
        assert one.intake is not None
        return Errand(
            words=one.claim.words,
            user_id=one.owner,
            act=one.intake.keep,
            ended=lambda: self.forget(one),
            request=request,
        )

    def finish(self, draft: Draft, one: Import, errand: Errand) -> Job:
        """Let a job make the image of what was sent; the same job, if that was asked before.

        Raises ImageInUse when it is based on what somebody writes to. `undo` is to hear of the
        answer.
        """
        if one.job is None:
            if one.rests is not None:
                self._claims.take(draft.books, one.rests)
            one.job = self._undertaking.start(draft, errand)
        return self._jobs.get(one.job.id)

    def undo(self, one: Import, errand: Errand, answer: Future[Any]) -> None:
        """See that an errand that came to nothing leaves the import to be finished anew."""
        if answer.exception() is None or not self._jobs.drop(errand):
            return
        one.job = None
        if one.rests is not None:
            self._claims.release(one.rests)

    def forget(self, one: Import) -> None:
        """Let go of an import whose intake is over; harmless if that was done."""
        self._open.pop(one.id, None)
        for claim in filter(None, (one.claim, one.rests)):
            self._claims.release(claim)

    def idle(self, now: float) -> list[Import]:
        """Imports that nobody has sent anything for in a long while."""
        return [
            one
            for one in self._open.values()
            if one.job is None and now - one.touched_at > _IDLE_SECONDS
        ]

    # ---- the import's lane ----------------------------------------------------------------------

    def open(self, one: Import) -> Import:
        """Let the store make ready for it, once; what cannot be taken in is forgotten."""
        one.touched_at = self._clock.monotonic()
        if one.intake is None and not one.over:
            try:
                self._check_room(one)
                new = NewImage(name=one.name, owner=one.owner)
                one.intake = self._store.receive(new, one.size)
            except TashiError:
                self.give_up(one)
                raise
        return one

    def take(self, one: Import, number: int, piece: bytes) -> Import:
        """Take a piece if it is the next one; one that was taken before changes nothing."""
        one.touched_at = self._clock.monotonic()
        intake = self._intake(one)
        if number > one.next:
            raise Refused(f"Piece {number} came where piece {one.next} is awaited: send that one.")
        if number < one.next:
            return one
        left = one.size - intake.received
        if len(piece) != min(PIECE_BYTES, left):
            raise Refused(
                f"Piece {number} has {len(piece)} bytes: a piece has {PIECE_BYTES}, the last one "
                "what is left."
            )
        try:
            intake.take(piece)
        except ImagesFailed:
            self.give_up(one)
            raise
        one.digest.update(piece)
        one.next += 1
        return one

    def close(self, one: Import, sha256: str) -> Import:
        """Take no more; raises Refused when it is not whole, or not what its sender read."""
        if one.whole:
            return one
        intake = self._intake(one)
        received = intake.received
        if received < one.size:
            raise Refused(
                f"Of image {one.name!r} {received} of {one.size} bytes have come: send the rest, "
                f"from piece {one.next} on."
            )
        if sha256.lower() != one.digest.hexdigest():
            self.give_up(one)
            raise Refused(
                f"Image {one.name!r} did not arrive as it was sent: its SHA-256 is "
                f"{one.digest.hexdigest()}, not {codec.printable(sha256)}. Nothing of it is kept; "
                "was the file changed meanwhile? Import it again."
            )
        if (base := intake.base()) is not None:
            one.rests = Claim(words=one.claim.words, bases=frozenset((base,)))
        one.whole = True
        return one

    def drop(self, one: Import) -> Import:
        """Forget what was sent."""
        self.give_up(one)
        return one

    def give_up(self, one: Import) -> None:
        """Forget what was sent, unless a job makes the image of it already."""
        if one.over or one.job is not None:
            return
        one.over = True
        if one.intake is not None:
            one.intake.drop()
        self._jobs.surely(lambda _: self.forget(one))

    def _intake(self, one: Import) -> Intake:
        if one.whole or one.over or one.intake is None:
            raise NoSuchJob(f"Import {one.id} takes no more pieces: it is over.", job=one.id)
        return one.intake

    def _check_room(self, one: Import) -> None:
        """Count what other imports have been promised and not used yet."""
        others = sum(
            other.size - other.intake.received
            for other in list(self._open.values())
            if other is not one and other.intake is not None and not other.over
        )
        free = self._store.room() - others
        if one.size > free:
            raise ImagesFailed(
                f"There is no room in the image store for {one.name!r}: it takes "
                f"{size_in_words(one.size)}, and {size_in_words(max(free, 0))} are free."
            )
