"""Who calls a daemon: what the connection proves, and what is known of people.

Whoever is known is known at once. Only somebody of whom the directory may still tell us waits for
it, and does so on a thread that nobody else needs.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from tashi.clustermanager.persons import Persons
from tashi.clustermanager.service.aside import elsewhere
from tashi.domain.errors import NotLoggedIn
from tashi.domain.permissions import ROOT, Caller
from tashi.domain.proofs import (
    NOBODY_KNOWN,
    PERSON,
    Certificate,
    KernelsWord,
    Known,
    LoggedIn,
    Proof,
    caller_by,
)
from tashi.ports.peers import Peer
from tashi.ports.workers import Workers
from tashi.settings.load import Settings
from tashi.settings.sections.security import SecuritySettings
from tashi.wire import envelope
from tashi.wire.serving import Identify, said

_LANE = "newcomers"

Opened = Callable[[str], LoggedIn | None]


def _nothing(_ticket: str) -> None:
    """Where nobody has logged in."""


def identification(
    settings: Settings, known: Known = NOBODY_KNOWN, opened: Opened = _nothing
) -> Identify:
    """How a desk learns who calls; where authAndEncrypt is set, a mere word counts for nothing.

    `opened` says what a ticket proves, on a connection that says nothing better.
    """
    demanded = settings.of(SecuritySettings).auth_and_encrypt

    def identify(request: envelope.Request, peer: object) -> Caller:
        word, proof = said(request, peer), _proof(peer)
        if not isinstance(peer, Peer):
            return caller_by(None, word, known, demanded=demanded)
        if proof is None and request.ticket and peer.encrypted:
            proof = opened(request.ticket)
            if proof is None and demanded:
                raise NotLoggedIn("That log-in is over, or not known here: log in again.")
        caller = caller_by(proof, word, known, demanded=demanded)
        return replace(caller, address=peer.host, private=peer.encrypted)

    return identify


def of_people(identify: Identify, persons: Persons, workers: Workers) -> Identify:
    """The same where people call: who may be in a list that is on its way is waited for."""

    def patiently(request: envelope.Request, peer: object) -> Caller | Future[Caller]:
        proof = _proof(peer)
        if not persons.are_awaited() and not _is_new(proof, persons):
            return identify(request, peer)
        if not _is_person(proof, said(request, peer)):
            return identify(request, peer)

        def wait_and_identify() -> object:
            persons.wait()
            return identify(request, peer)

        return elsewhere(workers, _LANE, wait_and_identify)

    return patiently


def _proof(peer: object) -> Proof | None:
    return peer.proof if isinstance(peer, Peer) else None


def _is_new(proof: Proof | None, persons: Persons) -> bool:
    return isinstance(proof, Certificate) and proof.role == PERSON and persons.may_know(proof.name)


def _is_person(proof: Proof | None, word: Caller) -> bool:
    match proof:
        case Certificate(role, _):
            return role == PERSON
        case KernelsWord(uid, _):
            return uid != ROOT
    return word.is_person and word.user_id is not None
