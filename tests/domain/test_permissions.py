"""Who may call what."""

import pytest

from tashi.domain.errors import NotPermitted
from tashi.domain.identity import UserId
from tashi.domain.permissions import ROOT, Caller, Role, Who, check_owner, check_permission

ADA = Caller(Role.USER, UserId(500), "ada")
ADMIN = Caller(Role.ADMIN, UserId(501), "grace")
SUPERUSER = Caller(Role.USER, ROOT, "root")
DAEMONS = {
    Who.SCHEDULER: Caller(Role.SCHEDULER, name="scheduler"),
    Who.NODE: Caller(Role.NODE, name="n1"),
    Who.CLUSTER_MANAGER: Caller(Role.CLUSTER_MANAGER, name="cm"),
}


@pytest.mark.parametrize("caller", [ADA, ADMIN, SUPERUSER, *DAEMONS.values()])
@pytest.mark.parametrize("who", [Who.ANYONE, Who.OWNER])
def test_what_is_for_anyone_is_for_everyone(who: Who, caller: Caller) -> None:
    check_permission(who, caller, "getInstances")


@pytest.mark.parametrize("caller", [ADMIN, SUPERUSER])
def test_what_is_for_administrators_is_for_them(caller: Caller) -> None:
    check_permission(Who.ADMIN, caller, "addHost")


@pytest.mark.parametrize("caller", [ADA, *DAEMONS.values()])
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
