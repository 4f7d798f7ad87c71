"""Which rules keep an instance off a host, and by how much.

One rule is one small function; it says nothing, or refuses with words and numbers. Whoever wants to
know whether an instance may go to a host asks here and nowhere else: the scheduler before it
proposes, the cluster manager before it books, and `why` for people.

The instance that is asked about is expected not to occupy the host yet.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import floor
from typing import Final, NamedTuple

from tashi.domain.books import Books
from tashi.domain.engine import (
    Engine,
    Hardware,
    accel_trouble,
    backend_trouble,
    cpu_trouble,
    machine_trouble,
    qemu_trouble,
)
from tashi.domain.hints import flag, peers
from tashi.domain.host import Host
from tashi.domain.identity import HostId, InstanceId, NetworkId, UserId
from tashi.domain.instance import Instance
from tashi.domain.placement.affinity import in_words, is_one_of, leads
from tashi.domain.states import HostState, Phase, facts

_VERSION: Final = re.compile(r"(\d+)\.(\d+)(\D|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the site decided about placement.

    The overcommit factors say how many cores, and how much memory, may be promised for each that a
    host has. `version` is the cluster manager's own.
    """

    version: str
    cpu_overcommit: float = 1.0
    memory_overcommit: float = 1.0
    dense_pack: bool = False
    allow_mismatched_versions: bool = False

    def cores_of(self, host: Host) -> int:
        """How many cores may be promised on that host."""
        return _share(host.cores, self.cpu_overcommit)

    def memory_of(self, host: Host) -> int:
        """How many MiB of memory may be promised on that host."""
        return _share(host.memory, self.memory_overcommit)


class Rule(StrEnum):
    """The rules, by the names that people see."""

    UP = "up"
    STATE = "state"
    VERSION = "version"
    RESERVED = "reserved"
    NETWORKS = "networks"
    TARGET = "targetHost"
    DISKS = "disks"
    CORES = "cores"
    MEMORY = "memory"
    ATTACHED = "attached"
    NEAR = "near"
    AWAY = "away"
    UNWELCOME = "unwelcome"
    BACKEND = "backend"
    ACCEL = "accel"
    QEMU = "qemu"
    MACHINE = "machineType"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One rule that keeps an instance off a host.

    `words` read on from the host's name; `short_by` is how many cores or MiB are missing, where the
    rule counts something.
    """

    rule: Rule
    words: str
    short_by: int | None = None


class _Case(NamedTuple):
    books: Books
    host: Host
    instance: Instance
    policy: Policy


def refusals(books: Books, host: Host, instance: Instance, policy: Policy) -> tuple[Refusal, ...]:
    """Everything that keeps the instance off the host; empty when it may go there."""
    return tuple(_refusals(books, host, instance, policy))


def first_refusal(books: Books, host: Host, instance: Instance, policy: Policy) -> Refusal | None:
    """The first of `refusals`, without the work of finding the others."""
    return next(_refusals(books, host, instance, policy), None)


def _refusals(books: Books, host: Host, instance: Instance, policy: Policy) -> Iterator[Refusal]:
    for door in _DOORS:
        if (refusal := door(host, policy)) is not None:
            yield refusal
    case = _Case(books, host, instance, policy)
    for rule in _RULES:
        if (refusal := rule(case)) is not None:
            yield refusal


def is_open(host: Host, policy: Policy) -> bool:
    """Whether the host takes instances at all, whatever they ask for."""
    return closed_by(host, policy) is None


def closed_by(host: Host, policy: Policy) -> Refusal | None:
    """The first rule by which the host takes nobody, whatever is asked for, if there is one."""
    return next((found for door in _DOORS if (found := door(host, policy)) is not None), None)


def names_of(host: Host) -> tuple[str, str]:
    """What the hint ``targetHost`` may call the host."""
    return host.name, str(host.id)


def attached_elsewhere(books: Books, instance: Instance) -> tuple[str, InstanceId] | None:
    """The first of its persistent disks that another instance has, and which one; or None."""
    for uri in instance.persistent_disks:
        holder = books.attached.get(uri, instance.id)
        if holder != instance.id:
            return uri, holder
    return None


# ---- the host by itself -------------------------------------------------------------------------


def _up(host: Host, _: Policy) -> Refusal | None:
    return None if host.up else Refusal(Rule.UP, "is down")


def _state(host: Host, _: Policy) -> Refusal | None:
    if host.draining:
        return Refusal(Rule.STATE, "is being emptied and takes no new instances")
    if host.state is HostState.DRAINED:
        return Refusal(Rule.STATE, "is drained and takes no new instances")
    return None


def _version(host: Host, policy: Policy) -> Refusal | None:
    if policy.allow_mismatched_versions:
        return None
    theirs, ours = host.version, policy.version
    if host.state is not HostState.VERSION_MISMATCH and _go_together(theirs, ours):
        return None
    return Refusal(Rule.VERSION, f"runs version {theirs!r}, which does not go with {ours!r}")


# ---- the host and what is asked for -------------------------------------------------------------


def _reserved(case: _Case) -> Refusal | None:
    if not case.host.is_reserved_against(case.instance.user_id):
        return None
    users = " and ".join(_user_name(case.books, user) for user in case.host.reserved)
    return Refusal(Rule.RESERVED, f"is kept for {users}")


def _networks(case: _Case) -> Refusal | None:
    offered = case.host.networks
    if offered is None:
        return None
    missing = sorted({nic.network for nic in case.instance.nics if nic.network not in offered})
    if not missing:
        return None
    networks = " and ".join(_network_name(case.books, network) for network in missing)
    return Refusal(Rule.NETWORKS, f"does not offer network {networks}")


def _target(case: _Case) -> Refusal | None:
    hints = case.instance.hints
    target = hints.get("targetHost")
    if target is None or target in names_of(case.host) or flag(hints, "allowElsewhere"):
        return None
    return Refusal(Rule.TARGET, f"is not the host asked for, which is {target}")


def _disks(case: _Case) -> Refusal | None:
    keeper = case.instance.disks_on
    if keeper is None or keeper == case.host.id:
        return None
    return Refusal(
        Rule.DISKS, f"does not have its disks, which {_host_name(case.books, keeper)} has"
    )


def _cores(case: _Case) -> Refusal | None:
    used = case.books.used(case.host.id)
    return _short(Rule.CORES, case.instance.cores, used.cores, case.policy.cores_of(case.host))


def _memory(case: _Case) -> Refusal | None:
    used = case.books.used(case.host.id)
    return _short(Rule.MEMORY, case.instance.memory, used.memory, case.policy.memory_of(case.host))


def _attached(case: _Case) -> Refusal | None:
    taken = attached_elsewhere(case.books, case.instance)
    if taken is None:
        return None
    uri, holder = taken
    return Refusal(
        Rule.ATTACHED,
        f"cannot have disk {uri}, which is attached to {case.books.instances[holder]}",
    )


# ---- the host and what the guest was booted on --------------------------------------------------


def _backend(case: _Case) -> Refusal | None:
    return _goes_on(case, Rule.BACKEND, backend_trouble)


def _accel(case: _Case) -> Refusal | None:
    return _goes_on(case, Rule.ACCEL, accel_trouble)


def _qemu(case: _Case) -> Refusal | None:
    return _goes_on(case, Rule.QEMU, qemu_trouble)


def _machine(case: _Case) -> Refusal | None:
    return _goes_on(case, Rule.MACHINE, machine_trouble)


def _cpu(case: _Case) -> Refusal | None:
    def trouble(hardware: Hardware, engine: Engine) -> str:
        first = None if hardware.host_id is None else case.books.hosts.get(hardware.host_id)
        return cpu_trouble(hardware, engine, None if first is None else first.engine)

    return _goes_on(case, Rule.CPU, trouble)


def _goes_on(case: _Case, rule: Rule, trouble: Callable[[Hardware, Engine], str]) -> Refusal | None:
    """What troubles a guest that is not booted anew there; what nobody told us troubles nobody."""
    instance, engine = case.instance, case.host.engine
    is_booted = instance.saved is None and facts(instance.state).phase is Phase.WAITING
    if is_booted or engine is None or instance.hardware is None:
        return None
    words = trouble(instance.hardware, engine)
    return Refusal(rule, words) if words else None


# ---- the company on the host --------------------------------------------------------------------


def _near(case: _Case) -> Refusal | None:
    if "near" not in case.instance.hints:
        return None
    wanted = peers(case.instance.hints, "near")
    found = _in_company(case, lambda one: is_one_of(one, wanted))
    if found is not None or leads(case.books, case.instance, wanted):
        return None
    return Refusal(Rule.NEAR, f"has none of {in_words(wanted)}, which it must be near")


def _away(case: _Case) -> Refusal | None:
    if "away" not in case.instance.hints:
        return None
    shunned = peers(case.instance.hints, "away")
    found = _in_company(case, lambda one: is_one_of(one, shunned))
    if found is None:
        return None
    return Refusal(Rule.AWAY, f"has {found}, and it keeps away from {in_words(shunned)}")


def _unwelcome(case: _Case) -> Refusal | None:
    found = _in_company(case, lambda one: _shuns(one, case.instance))
    if found is None:
        return None
    shunned = in_words(peers(found.hints, "away"))
    return Refusal(Rule.UNWELCOME, f"has {found}, which keeps away from {shunned}")


_DOORS: Final[tuple[Callable[[Host, Policy], Refusal | None], ...]] = (_up, _state, _version)
_RULES: Final[tuple[Callable[[_Case], Refusal | None], ...]] = (
    _reserved, _networks, _target, _disks, _cores, _memory, _attached, _near, _away, _unwelcome,
    _backend, _accel, _qemu, _machine, _cpu,
)  # fmt: skip


# ---- what the rules are made of -----------------------------------------------------------------


def _share(amount: int, factor: float) -> int:
    # Rounded first: 100 times 1.15 is 114.99999999999999 to a computer, but 115 to people.
    return floor(round(amount * factor, 6))


def _go_together(theirs: str, ours: str) -> bool:
    """Versions of one major number, at most one minor number apart, understand each other."""
    if theirs == ours:
        return True
    their, our = _VERSION.match(theirs), _VERSION.match(ours)
    if their is None or our is None:
        return False
    return their[1] == our[1] and abs(int(their[2]) - int(our[2])) <= 1


def _short(rule: Rule, need: int, used: int, limit: int) -> Refusal | None:
    free = limit - used
    if need <= free:
        return None
    unit = "MiB" if rule is Rule.MEMORY else "cores"
    short = need - free
    words = f"has {free} of {limit} {unit} free; {need} are needed, {short} short"
    return Refusal(rule, words, short)


def _in_company(case: _Case, is_wanted: Callable[[Instance], bool]) -> Instance | None:
    """The first instance by id that occupies the host, or is on its way there, and is wanted."""
    books, key = case.books, case.host.id
    there = (books.instances[one] for one in books.on_host.get(key, ()))
    found = (one for one in there if is_wanted(one) and key in one.hosts)
    return min(found, key=lambda one: one.id, default=None)


def _shuns(one: Instance, other: Instance) -> bool:
    return "away" in one.hints and is_one_of(other, peers(one.hints, "away"))


def _user_name(books: Books, key: UserId) -> str:
    user = books.users.get(key)
    return f"user {key}" if user is None else user.name


def _network_name(books: Books, key: NetworkId) -> str:
    network = books.networks.get(key)
    return str(key) if network is None else f"{key} ({network.name})"


def _host_name(books: Books, key: HostId) -> str:
    host = books.hosts.get(key)
    return f"host {key}" if host is None else str(host)
