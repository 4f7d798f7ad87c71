"""What is done to disk images on somebody's request: copied, cloned, rebased, deleted.

Each is a job with a claim. First a worker looks what is there and what the job will touch; then, in
the ledger's thread, the claim is taken against the books; then a worker looks again at what others
may have changed in between, and does it. What a refused request had claimed is free again.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final

from tashi.clustermanager.claims import Claim, Claims
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.jobs import Errand, Jobs
from tashi.clustermanager.ledger import Ledger
from tashi.domain.catalogue import Image
from tashi.domain.errors import ImageInUse, NoSuchImage, NotPermitted, Refused
from tashi.domain.images import checked_image_name, new_image_name
from tashi.domain.jobs import Job
from tashi.domain.permissions import Caller, check_owner
from tashi.ports.images import ImageStore, NewImage, Progress

_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An image to be made under the name `target`, by `caller`."""

    target: str
    caller: Caller
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A job that was thought through: what it claims, and what it does once it has that."""

    claim: Claim
    act: Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Images:
    """Makes plans; may wait for the store, so never in the ledger's thread."""

    store: ImageStore

    def copy(self, source: str, order: Order) -> Plan:
        """Plan to copy an image."""
        words = f"copying {source} to {order.target}"
        return self._plan(words, order, self.store.copy, reads=source)

    def clone(self, source: str, order: Order) -> Plan:
        """Plan to make an image that is based on another."""
        words = f"cloning {source} as {order.target}"
        return self._plan(words, order, self.store.clone, bases=source)

    def rebase(self, source: str, backing: str | None, order: Order) -> Plan:
        """Plan to make an image of the same content that is based on another one or on none."""
        onto = "" if backing is None else f" onto {backing}"

        def act(name: str, new: NewImage, progress: Progress) -> None:
            self.store.rebase(name, backing, new, progress)

        words = f"rebasing {source}{onto} as {order.target}"
        return self._plan(words, order, act, reads=source, bases=backing)

    def delete(self, name: str, caller: Caller) -> Plan:
        """Plan to delete an image; raises NotPermitted, and ImageInUse for one that others need."""
        check_may_change(self.store.image(name), caller)
        self._check_is_no_base(name)
        claim = Claim(words=f"deleting {name}", changes=frozenset(self.store.same_as(name)))

        def act(progress: Progress) -> None:
            progress.note(0, 1)
            self._check_is_no_base(name)
            self.store.delete(name)

        return Plan(claim, act)

    def _plan(
        self,
        words: str,
        order: Order,
        make: Callable[[str, NewImage, Progress], None],
        reads: str | None = None,
        bases: str | None = None,
    ) -> Plan:
        source = reads if reads is not None else bases
        assert source is not None
        before, based_on = self._in_the_way(order), self._all_names(bases)
        if order.target in based_on:
            raise Refused(
                f"Image {order.target!r} cannot be based on itself: choose another name for the "
                "new one."
            )
        claim = Claim(
            words=words,
            reads=self._all_names(reads),
            bases=based_on,
            makes=frozenset((order.target,)),
            changes=frozenset() if before is None else self._all_names(order.target),
        )
        owner = order.caller.user_id if before is None else before.user_id
        new = NewImage(name=order.target, owner=owner, replace=before is not None)

        def act(progress: Progress) -> None:
            if before is not None:
                self._check_is_no_base(order.target)
            make(source, new, progress)

        return Plan(claim, act)

    def _all_names(self, name: str | None) -> frozenset[str]:
        return frozenset() if name is None else frozenset(self.store.same_as(name))

    def _in_the_way(self, order: Order) -> Image | None:
        """The image that is to be replaced; Refused for one that is only in the way."""
        try:
            there = self.store.image(order.target)
        except NoSuchImage:
            return None
        if not order.replace:
            raise Refused(
                f"There is an image {order.target!r} already: choose another name, or take its "
                "place with --replace."
            )
        check_may_change(there, order.caller)
        self._check_is_no_base(order.target)
        return there

    def _check_is_no_base(self, name: str) -> None:
        _check_is_no_base(name, self.store.backs(name))


class Undertaking:
    """From a plan to a job: the claim and the job begin together, or neither does."""

    def __init__(self, ledger: Ledger, jobs: Jobs, claims: Claims) -> None:
        self._ledger = ledger
        self._jobs = jobs
        self._claims = claims

    def begin(self, plan: Plan, caller: Caller, request: str) -> Future[Job]:
        """Take the claim and the job on; the future holds the job once that is settled."""
        release = partial(self._claims.release, plan.claim)
        errand = Errand(
            words=plan.claim.words,
            user_id=caller.user_id,
            act=plan.act,
            ended=release,
            request=request,
        )

        def act(draft: Draft) -> Job:
            earlier = self._jobs.of_request(request)
            if earlier is not None:
                return earlier
            self._claims.take(draft.books, plan.claim)
            return self.start(draft, errand)

        answer = self._ledger.ask(act)
        answer.add_done_callback(partial(self._undo, errand))
        return answer

    def start(self, draft: Draft, errand: Errand) -> Job:
        """Take a job on, in the ledger's thread; it starts once the draft is durable."""
        job = self._jobs.add(errand)
        draft.once_durable(lambda: self._jobs.start(job.id))
        return job

    def _undo(self, errand: Errand, answer: "Future[Job]") -> None:
        """See that a request that came to nothing leaves nothing here."""
        if answer.exception() is not None:
            self._jobs.drop(errand)
            errand.ended()


def names(source: str, target: str) -> tuple[str, str]:
    """Two names as they are used from here on; Refused for one that cannot be."""
    return checked_image_name(source), new_image_name(target)


def check_may_change(image: Image, caller: Caller) -> None:
    """Raise NotPermitted unless the caller brought the image in, or is an administrator."""
    if image.user_id is not None:
        check_owner(image.user_id, caller, f"Image {image.name!r}")
    elif not caller.is_admin:
        raise NotPermitted(
            f"Image {image.name!r} was put into the store by hand: only an administrator changes "
            f"or deletes it; you are {caller.name}."
        )


def check_may_be_written(image: Image, caller: Caller) -> None:
    """Raise unless an instance of the caller's may have the image as a persistent disk.

    Of an image that was put into the store by hand that is for the hand's owner to know: it is
    everybody's, as it has always been in Tashi.
    """
    if image.user_id is not None:
        check_owner(image.user_id, caller, f"Image {image.name!r}")
    _check_is_no_base(image.name, image.backs)


def _check_is_no_base(name: str, backed: Sequence[str]) -> None:
    if backed:
        raise ImageInUse(
            f"Image {name!r} is in use: {some_of(backed)} {'is' if len(backed) == 1 else 'are'} "
            "based on it. Delete those first, or make them independent with rebaseImage."
        )


def some_of(found: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    shown = ", ".join(found[:_MOST_NAMED])
    more = len(found) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
