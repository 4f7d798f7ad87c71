"""What every handler works with, and the small steps that they share."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import msgspec

from tashi.clustermanager.board import Board
from tashi.clustermanager.claims import Claims
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.images import Images, Undertaking, check_may_be_written
from tashi.clustermanager.imports import Imports
from tashi.clustermanager.instances import Rules
from tashi.clustermanager.jobs import Jobs
from tashi.clustermanager.ledger import Ledger
from tashi.clustermanager.logins import LogIns
from tashi.clustermanager.monitor import Monitor
from tashi.clustermanager.people import People
from tashi.clustermanager.persons import Persons
from tashi.clustermanager.service.aside import Looks, Readers, elsewhere
from tashi.domain.catalogue import User
from tashi.domain.errors import ImagesFailed, NoSuchImage, PeerSilent
from tashi.domain.host import Host
from tashi.domain.identity import HostId, UserId
from tashi.domain.images import check_is_disk
from tashi.domain.instance import Disk, Instance
from tashi.domain.permissions import Caller
from tashi.ports.clock import Clock
from tashi.ports.images import ImageStore
from tashi.ports.nodes import Nodes
from tashi.ports.workers import Workers
from tashi.wire.chaining import then
from tashi.wire.forms import HostForm, InstanceForm, to_form
from tashi.wire.glimpses import ProgressForm, StatsForm
from tashi.wire.shape import Form

F = TypeVar("F", bound=Form)
Handler = Callable[..., Any]
Renew = Callable[[str, str], str]
"""A fresh certificate (PEM) for one that a holder of that name has; may raise a TashiError."""

_INQUIRIES = "inquiries after users"


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """The rooms and ports behind the calls.

    `version` is ``None`` when nodes may have any, `renew` where there are no certificates.
    """

    ledger: Ledger
    monitor: Monitor
    board: Board
    people: People
    persons: Persons
    logins: LogIns
    nodes: Nodes
    workers: Workers
    images: ImageStore
    claims: Claims
    jobs: Jobs
    making: Images
    undertaking: Undertaking
    imports: Imports
    looks: Looks
    readers: Readers
    clock: Clock
    rules: Rules
    draws: Random
    version: str | None
    renew: Renew | None

    def change(self, request: str, act: Callable[[Draft], object], gives: type[F]) -> Future[F]:
        """Have the ledger do it; the future holds the outcome in its wire shape."""
        return self.ledger.ask(lambda draft: to_form(act(draft), gives), request, gives)

    def with_people(
        self, key: UserId, act: Callable[[Mapping[UserId, User]], Future[Any]]
    ) -> Future[Any]:
        """Act on the directory's users, asked for this one unless Tashi's own list has him.

        Where the directory has to be waited for, a thread does so that serves nobody else.
        """
        people = self.people
        if key in self.ledger.books.users:
            return act(people.now().users)
        if not people.hears_more_of(key):
            return act(people.including(key))
        heard = elsewhere(self.workers, _INQUIRIES, lambda: act(people.including(key)))
        return then(heard, lambda begun: begun)

    def with_existing(
        self, disks: Iterable[Disk], caller: Caller, act: Callable[[set[str]], Future[Any]]
    ) -> Future[Any]:
        """Act on which images of these disks are there, or raise like `existing`."""
        return self.looks.then(caller.user_id, lambda: self.existing(disks, caller), act)

    def existing(self, disks: Iterable[Disk], caller: Caller) -> set[str]:
        """The images of these disks that are there.

        Raises Refused for a file that is no disk, and for one to write to that is not the caller's.
        Costs the same however many images there are.
        """
        found = set()
        for disk in disks:
            try:
                if not self.images.has(disk.uri):
                    check_is_disk(disk.uri, self.images.image(disk.uri).format)
                    continue
                found.add(disk.uri)
                if disk.persistent:
                    check_may_be_written(self.images.image(disk.uri), caller)
            except NoSuchImage:  # it went away between two looks
                found.discard(disk.uri)
            except ImagesFailed:
                # The node will find out; an unreadable store is no reason to refuse a queued wish.
                found.add(disk.uri)
        return found

    def speaking_host(self, key: HostId, instance: Instance) -> Host:
        """The host where an instance is; raises PeerSilent while nothing is heard of it."""
        host = self.ledger.books.host(key)
        if not host.up or self.monitor.is_decayed(key):
            raise PeerSilent(f"{host.name}, where {instance} is, is silent: wait until it is back.")
        return host

    def instance_form(self, instance: Instance, *, stats: bool = False) -> InstanceForm:
        """An instance in its wire shape, marked as decayed when what is known of it is old.

        With what stands on the board about it: its progress, and if asked for its `stats`.
        """
        shape = to_form(instance, InstanceForm)
        if instance.host_id is None:
            return shape
        if self.monitor.is_decayed(instance.host_id):
            return msgspec.structs.replace(shape, decayed=True)
        used = self.board.stats(instance, self.clock.monotonic()) if stats else None
        progress = self.board.progress(instance)
        if used is None and progress is None:
            return shape
        return msgspec.structs.replace(
            shape,
            stats=None if used is None else to_form(used, StatsForm),
            progress=None if progress is None else to_form(progress, ProgressForm),
        )

    def host_form(self, host: Host) -> HostForm:
        """A host in its wire shape, marked as decayed when it has been silent."""
        return msgspec.structs.replace(
            to_form(host, HostForm),
            decayed=host.up and self.monitor.is_decayed(host.id),
            certificate_days=self.monitor.certificate_days(host.id),
        )
