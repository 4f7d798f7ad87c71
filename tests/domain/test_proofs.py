"""From what a connection vouches for to who calls."""

import pytest

from tashi.domain.catalogue import User
from tashi.domain.errors import NotLoggedIn
from tashi.domain.identity import UserId
from tashi.domain.permissions import Caller, Proven, Role
from tashi.domain.proofs import (
    NOBODY_KNOWN,
    Certificate,
    KernelsWord,
    Known,
    caller_by,
)

ADA, GRACE = User(UserId(500), "ada"), User(UserId(501), "grace")
KNOWN = Known(
    named={"ada": ADA, "grace": GRACE}.get,
    user={ADA.id: ADA, GRACE.id: GRACE}.get,
    role_of=lambda key: Role.OPERATOR if key == GRACE.id else Role.USER,
)
SAID = Caller(Role.ADMIN, UserId(7), "root, it says")


@pytest.mark.parametrize("demanded", [False, True])
@pytest.mark.parametrize(
    ("role", "known_as"),
    [
        ("clustermanager", Role.CLUSTER_MANAGER),
        ("scheduler", Role.SCHEDULER),
        ("agent", Role.AGENT),
        ("nodemanager", Role.NODE),
    ],
)
def test_a_daemon_is_what_its_certificate_says(role: str, known_as: Role, demanded: bool) -> None:
    caller = caller_by(Certificate(role, "m1"), SAID, KNOWN, demanded=demanded)

    assert (caller.role, caller.user_id, caller.proven) == (known_as, None, Proven.CERTIFICATE)
    assert caller.name == f"{role} m1"
    assert caller.host == ("m1" if role == "nodemanager" else None)


def test_a_person_is_whom_the_certificate_names_in_the_role_of_the_books() -> None:
    caller = caller_by(Certificate("user", "grace"), SAID, KNOWN, demanded=True)

    assert caller == Caller(Role.OPERATOR, GRACE.id, "user 501 (grace)", Proven.CERTIFICATE)


@pytest.mark.parametrize("proof", [Certificate("user", "eve"), Certificate("admin", "ada")])
def test_a_certificate_of_nobody_proves_nothing(proof: Certificate) -> None:
    with pytest.raises(NotLoggedIn, match=f"names the {proof.role} {proof.name}"):
        caller_by(proof, SAID, KNOWN, demanded=False)


@pytest.mark.parametrize(
    ("uid", "role", "name"),
    [
        (0, Role.ADMIN, "user 0"),
        (500, Role.USER, "user 500 (ada)"),
        (501, Role.OPERATOR, "user 501 (grace)"),
        (9, Role.USER, "user 9"),
    ],
)
def test_the_kernel_is_believed(uid: int, role: Role, name: str) -> None:
    caller = caller_by(KernelsWord(uid), SAID, KNOWN, demanded=True)

    assert caller == Caller(role, UserId(uid), name, Proven.KERNEL)


@pytest.mark.parametrize("account", ["", "ada"])
def test_an_account_that_has_the_same_name_in_both_places_is_one(account: str) -> None:
    caller = caller_by(KernelsWord(500, account), SAID, KNOWN, demanded=True)

    assert (caller.user_id, caller.proven) == (ADA.id, Proven.KERNEL)


def test_a_number_that_is_somebody_else_on_this_machine_proves_nothing() -> None:
    with pytest.raises(NotLoggedIn, match=r"500 is ubuntu on the cluster .* but ada to Tashi"):
        caller_by(KernelsWord(500, "ubuntu"), SAID, KNOWN, demanded=True)


def test_where_proof_is_asked_for_what_is_said_is_worth_nothing() -> None:
    caller = caller_by(None, SAID, KNOWN, demanded=True)

    assert (caller.proven, caller.is_admin, caller.user_id) == (Proven.NOTHING, False, None)


def test_where_it_is_not_everybody_is_what_they_say() -> None:
    node = Caller(Role.NODE, name="node")

    assert caller_by(None, SAID, KNOWN, demanded=False) == SAID
    assert caller_by(None, node, NOBODY_KNOWN, demanded=False) == node


def test_whoever_says_only_which_user_they_are_has_the_role_that_the_books_give_them() -> None:
    grace = Caller(Role.USER, GRACE.id, "user 501")

    assert caller_by(None, grace, KNOWN, demanded=False).role is Role.OPERATOR
    assert caller_by(None, grace, NOBODY_KNOWN, demanded=False).role is Role.USER
