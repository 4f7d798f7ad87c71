"""Who may call what."""

import pytest

from tashi.domain.errors import NotLoggedIn, NotPermitted
from tashi.domain.identity import UserId
from tashi.domain.permissions import (
    ROOT,
    Caller,
    Proven,
    Role,
    Who,
    check_keeper,
    check_owner,
    check_permission,
    check_speaks_for,
)

ADA = Caller(Role.USER, UserId(500), "ada")
ADMIN = Caller(Role.ADMIN, UserId(501), "grace")
OPERATOR = Caller(Role.OPERATOR, UserId(503), "edsger")
SUPERUSER = Caller(Role.USER, ROOT, "root")
DAEMONS = {
    Who.SCHEDULER: Caller(Role.SCHEDULER, name="scheduler"),
    Who.NODE: Caller(Role.NODE, name="n1"),
    Who.CLUSTER_MANAGER: Caller(Role.CLUSTER_MANAGER, name="cm"),
}


@pytest.mark.parametrize("caller", [ADA, ADMIN, SUPERUSER, *DAEMONS.values()])
def test_what_is_for_anyone_is_for_everyone(caller: Caller) -> None:
    check_permission(Who.ANYONE, caller, "getInstances")


@pytest.mark.parametrize("who", [Who.PERSON, Who.OWNER, Who.KEEPER])
def test_what_people_do_is_not_for_daemons(who: Who) -> None:
    for caller in (ADA, OPERATOR, ADMIN, SUPERUSER):
        check_permission(who, caller, "createVm")
    for daemon in DAEMONS.values():
        with pytest.raises(NotPermitted, match="createVm is for people; you are"):
            check_permission(who, daemon, "createVm")


@pytest.mark.parametrize("who", set(Who) - {Who.STRANGER})
def test_who_shows_nothing_where_proof_is_asked_for_may_do_nothing_but_log_in(who: Who) -> None:
    stranger = Caller(Role.USER, name="somebody", proven=Proven.NOTHING)

    check_permission(Who.STRANGER, stranger, "logIn")

    with pytest.raises(
        NotLoggedIn, match=r"getHosts is for those who show who they are: .* \(logIn\)"
    ):
        check_permission(who, stranger, "getHosts")


@pytest.mark.parametrize("caller", [OPERATOR, ADMIN, SUPERUSER])
def test_what_is_for_operators_is_for_them_and_administrators(caller: Caller) -> None:
    check_permission(Who.OPERATOR, caller, "drainHost")


@pytest.mark.parametrize("caller", [ADA, *DAEMONS.values()])
def test_what_is_for_operators_is_for_nobody_else(caller: Caller) -> None:
    with pytest.raises(NotPermitted, match="drain is for operators; you are"):
        check_permission(Who.OPERATOR, caller, "drainHost")


def test_an_operator_moves_what_belongs_to_others_and_does_not_end_it() -> None:
    check_keeper(UserId(500), OPERATOR, "Instance 7")
    check_keeper(UserId(500), ADA, "Instance 7")

    with pytest.raises(NotPermitted, match="belongs to user 500"):
        check_owner(UserId(500), OPERATOR, "Instance 7")
    with pytest.raises(NotPermitted, match="belongs to user 501"):
        check_keeper(UserId(501), ADA, "Instance 7")


def test_a_node_that_is_bound_to_a_host_speaks_for_no_other() -> None:
    node = Caller(Role.NODE, name="nodemanager h1", host="h1")

    check_speaks_for("h1", node)
    check_speaks_for("h2", DAEMONS[Who.NODE])

    with pytest.raises(NotPermitted) as refused:
        check_speaks_for("h2", node)
    assert refused.value.message == "nodemanager h1 speaks for h1 only, not for h2."


@pytest.mark.parametrize("caller", [ADMIN, SUPERUSER])
def test_what_is_for_administrators_is_for_them(caller: Caller) -> None:
    check_permission(Who.ADMIN, caller, "addHost")


@pytest.mark.parametrize("caller", [ADA, OPERATOR, *DAEMONS.values()])
def test_what_is_for_administrators_is_for_nobody_else(caller: Caller) -> None:
    with pytest.raises(NotPermitted) as refused:
        check_permission(Who.ADMIN, caller, "addHost")

    assert refused.value.message == f"addHost is for administrators; you are {caller.name}."


@pytest.mark.parametrize("who", DAEMONS)
def test_what_is_for_a_daemon_is_for_that_daemon_only(who: Who) -> None:
    check_permission(who, DAEMONS[who], "reportNode")

    for caller in {ADA, ADMIN, SUPERUSER, *DAEMONS.values()} - {DAEMONS[who]}:
        with pytest.raises(NotPermitted, match=r"reportNode is for the [a-z ]+ only\."):
            check_permission(who, caller, "reportNode")


@pytest.mark.parametrize("caller", [ADA, ADMIN, SUPERUSER])
def test_an_owner_and_an_administrator_may_command_an_instance(caller: Caller) -> None:
    check_owner(UserId(500), caller, "Instance 7")


def test_nobody_commands_the_instance_of_another() -> None:
    with pytest.raises(NotPermitted) as refused:
        check_owner(UserId(502), ADA, "Instance 7")

    assert refused.value.message == "Instance 7 belongs to user 502; you are ada."
