"""Where a running instance may move, by the rules of placement and by what it was booted on."""

from dataclasses import replace

from examples import VERSION, a_host, hinting, running, waiting
from tashi.domain.books import books_of
from tashi.domain.engine import Engine, Hardware
from tashi.domain.host import Host
from tashi.domain.identity import HostId
from tashi.domain.instance import Instance
from tashi.domain.placement import filters, moving
from tashi.domain.placement.filters import Policy, Rule
from tashi.domain.states import InstanceState

POLICY = Policy(version=VERSION)
ENGINE = Engine(qemu="7.2.22", accel="tcg", machines=("pc-q35-7.2",))
BOOTED = Hardware(machine="pc-q35-7.2", cpu="qemu64", accel="tcg", qemu="7.2.22", host_id=HostId(1))


def rules(target: Host, one: Instance, *others: Instance) -> list[Rule]:
    """What keeps it from moving from host 1 to the target."""
    source = replace(a_host(1), engine=ENGINE)
    books = books_of([source, target, one, *others])
    found = moving.refusals(books, target, one, POLICY)
    first = moving.first_refusal(books, target, one, POLICY)
    assert first == (found[0] if found else None)
    return [refusal.rule for refusal in found]


def booted(one: Instance) -> Instance:
    return replace(running(one), hardware=BOOTED)


def test_a_host_like_its_own_takes_it() -> None:
    assert rules(replace(a_host(2), engine=ENGINE), booted(waiting())) == []


def test_each_thing_that_it_was_booted_on_counts() -> None:
    poor = Engine(qemu="6.2.0", accel="kvm", machines=("pc-q35-6.2",), backend="libvirt")

    assert rules(replace(a_host(2), engine=poor), booted(waiting())) == [
        Rule.BACKEND, Rule.ACCEL, Rule.QEMU, Rule.MACHINE,
    ]  # fmt: skip


def test_saved_memory_needs_what_it_was_booted_on_and_a_fresh_start_does_not() -> None:
    poor = replace(a_host(2), engine=replace(ENGINE, machines=("pc-q35-6.2",)))
    books = books_of([poor])
    fresh = replace(waiting(), hardware=BOOTED)
    saved = replace(fresh, saved="1-7")

    assert filters.refusals(books, poor, fresh, POLICY) == ()
    assert [one.rule for one in filters.refusals(books, poor, saved, POLICY)] == [Rule.MACHINE]


def test_what_nobody_said_keeps_it_off_nowhere() -> None:
    assert rules(a_host(2), booted(waiting())) == []
    assert rules(replace(a_host(2), engine=ENGINE), running(waiting())) == []


def test_the_host_that_it_once_asked_for_does_not_bind_it() -> None:
    assert rules(a_host(2), booted(hinting(waiting(), targetHost="n1"))) == []


def test_it_is_not_its_own_company() -> None:
    grouped = replace(waiting(group="db"), hints={"near": "group:db"})

    assert rules(a_host(2), booted(grouped)) == []


def test_room_and_company_count_as_for_a_newcomer() -> None:
    there = replace(running(waiting(2, memory=8000), host=2), state=InstanceState.RUNNING)

    assert rules(a_host(2), booted(waiting()), there) == [Rule.MEMORY]
    assert rules(a_host(2), booted(hinting(waiting(), away="instance:i2")), there) == [
        Rule.MEMORY, Rule.AWAY,
    ]  # fmt: skip
