"""The cluster as its user sees it: things that have names, for calls that take ids.

An id is sent as it was typed, without asking who has it: the cluster manager knows. A name costs
one question. Names that belong to nobody, or to several, are refused here in the words of the
cluster manager's own errors.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from tashi.client.syntax import MOST_DIGITS, NicWish
from tashi.domain.errors import (
    NoSuchHost,
    NoSuchInstance,
    NoSuchNetwork,
    NoSuchUser,
    Refused,
    TashiError,
)
from tashi.wire.calls import Calls
from tashi.wire.forms import (
    EventsForm,
    HostForm,
    InstanceForm,
    NetworkForm,
    NicForm,
    SnapshotForm,
    UserForm,
)

Instances = tuple[InstanceForm, ...]
Users = tuple[UserForm, ...]


class _Named(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and who asks it; `me` says whom it takes us for."""

    calls: Calls
    me: Callable[[], int]

    def instances(self, *, stats: bool = False) -> Instances:
        """Every instance that is not over; with `stats`, also what their guests use."""
        return self.calls.call("getInstances", Instances, stats=stats)

    def my_instances(self, *, stats: bool = False) -> Instances:
        """Likewise those of whomever the cluster manager takes us for."""
        return self.calls.call("getInstances", Instances, stats=stats, mine=True)

    def instances_of_series(self, basename: str) -> Instances:
        """The instances that createMany made of a basename, or could have; NoSuchInstance."""
        series = tuple(one for one in self.instances() if _is_in_series(one.name, basename))
        if not series:
            raise NoSuchInstance(f"There is no instance {basename}-0, nor any further one.")
        return series

    def hosts(self) -> tuple[HostForm, ...]:
        """Every host."""
        return self.calls.call("getHosts", tuple[HostForm, ...])

    def users(self) -> Users:
        """Every user."""
        return self.calls.call("getUsers", Users)

    def owners(self, keys: Iterable[int]) -> Users:
        """The users with those ids, as far as anybody can say now who they are."""
        found: Users = ()
        with suppress(TashiError):
            for key in sorted(set(keys)):
                found += self.calls.call("getUsers", Users, user_id=key)
        return found

    def networks(self) -> tuple[NetworkForm, ...]:
        """Every network."""
        return self.calls.call("getNetworks", tuple[NetworkForm, ...])

    def snapshot(self) -> SnapshotForm:
        """Every record, and the number of the event to follow from."""
        return self.calls.call("getSnapshot", SnapshotForm)

    def next_event(self) -> int:
        """The number of the event that comes next, to follow from."""
        return self.calls.call("watch", EventsForm).next

    def instance_id(self, typed: str) -> int:
        """The id of the instance that `typed` is the id or name of; NoSuchInstance."""
        if (number := _number(typed)) is not None:
            return number
        called_so = self.calls.call("getInstances", Instances, name=typed)
        return _named(called_so, typed, NoSuchInstance)

    def host_id(self, typed: str) -> int:
        """The id of the host that `typed` is the id or name of; NoSuchHost."""
        number = _number(typed)
        return _named(self.hosts(), typed, NoSuchHost) if number is None else number

    def user_id(self, typed: str) -> int:
        """The id of the user whom `typed` is the id or name of; NoSuchUser."""
        if (number := _number(typed)) is not None:
            return number
        return _named(self.calls.call("getUsers", Users, name=typed), typed, NoSuchUser)

    def network_id(self, typed: str) -> int:
        """The id of the network that `typed` is the id or name of; NoSuchNetwork."""
        number = _number(typed)
        return _named(self.networks(), typed, NoSuchNetwork) if number is None else number

    def nic(self, wish: NicWish) -> NicForm:
        """The network card that was wished for, on the default network if none was named."""
        network = self.network_id(wish.network) if wish.network else self._default_network()
        return NicForm(network, wish.mac, wish.ip)

    def _default_network(self) -> int:
        for network in self.networks():
            if network.default:
                return network.id
        raise NoSuchNetwork("There is no default network: name one, as in --nics 1.")


def _number(typed: str) -> int | None:
    """The number that was typed, if one of that length can be an id."""
    is_number = typed.isascii() and typed.isdecimal() and len(typed) <= MOST_DIGITS
    return int(typed) if is_number else None


def _named(things: Iterable[_Named], name: str, missing: type[Refused]) -> int:
    ids = [thing.id for thing in things if thing.name == name]
    if not ids:
        what = missing.__name__.removeprefix("NoSuch").lower()
        raise missing(
            f"There is no {what} {name!r}: get{what.capitalize()}s lists those there are."
        )
    if len(ids) > 1:
        several = ", ".join(map(str, sorted(ids)))
        raise Refused(f"Several are called {name!r}: say which by its id, one of {several}.")
    return ids[0]


def _is_in_series(name: str, basename: str) -> bool:
    number = name.removeprefix(f"{basename}-")
    return number != name and number.isascii() and number.isdecimal()
