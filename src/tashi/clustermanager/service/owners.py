"""The calls by which owners create and command their instances."""

from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from tashi.clustermanager import instances
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.instances import Request
from tashi.clustermanager.service.aside import elsewhere
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain import events as e
from tashi.domain.admission import Wish, image_path
from tashi.domain.catalogue import User
from tashi.domain.errors import NoSuchVm, TashiError
from tashi.domain.identity import HostId, InstanceId, Mib, NetworkId, UserId
from tashi.domain.instance import Disk, Instance, Nic
from tashi.domain.permissions import Caller, check_owner
from tashi.wire.chaining import then
from tashi.wire.forms import ConsoleForm, InstanceForm, NewInstanceForm, NicForm

_MOST_CONSOLE_SECONDS = 30.0
_MOST_CONSOLE_BYTES = 64 * 1024

_COMMANDS: dict[str, type[e.Command]] = {
    "destroyVm": e.Destroy,
    "shutdownVm": e.ShutDown,
    "stopVm": e.Stop,
    "startVm": e.Start,
    "pauseVm": e.Pause,
    "unpauseVm": e.Unpause,
    "suspendVm": e.Suspend,
    "resumeVm": e.Resume,
    "cancelMigration": e.CancelMigrate,
}


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = OwnersCalls(office)
    commands = {name: calls.command(kind) for name, kind in _COMMANDS.items()}
    return {
        **commands,
        "createVm": calls.create,
        "migrateVm": calls.migrate,
        "resetVm": calls.reset,
        "getConsole": calls.console,
    }


class OwnersCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def create(self, caller: Caller, request: str, instance: NewInstanceForm) -> Future[Any]:
        """Accept an instance and queue it for a host."""
        office = self._office
        wanted = _wanted(instance, office.rules.default_network)
        disks = wanted.disks
        since = office.claims.turn
        owner = None if instance.user_id is None else UserId(instance.user_id)

        def create(users: Mapping[UserId, User], images: set[str]) -> Future[Any]:
            asked = Request(
                wanted=wanted,
                caller=caller,
                owner=owner,
                users=users,
                images=images,
                draws=office.draws,
            )

            def take_on(draft: Draft) -> Instance:
                office.claims.check_disks(disks, since)
                return instances.create(draft, asked, office.rules)

            return office.change(request, take_on, InstanceForm)

        def for_users(users: Mapping[UserId, User]) -> Future[Any]:
            return office.with_existing(disks, caller, partial(create, users))

        # Only an administrator's word about somebody else is worth a look at who there is.
        if owner is None or not caller.is_admin or owner == caller.user_id:
            return for_users({})
        return office.with_people(owner, for_users)

    def migrate(self, caller: Caller, request: str, instance_id: int, host_id: int) -> Future[Any]:
        """Move a running instance to another host."""
        key, target, policy = InstanceId(instance_id), HostId(host_id), self._office.rules.policy
        return self._office.change(
            request,
            lambda draft: instances.migrate(draft, key, target, caller, policy),
            InstanceForm,
        )

    def command(self, kind: type[e.Command]) -> Handler:
        """The handler that gives one kind of command to an instance."""

        def handle(caller: Caller, request: str, instance_id: int) -> Future[Any]:
            key = InstanceId(instance_id)
            return self._office.change(
                request, lambda draft: instances.command(draft, key, kind, caller), InstanceForm
            )

        return handle

    def reset(self, caller: Caller, request: str, instance_id: int) -> Future[Any]:
        """Press a running guest's reset button; the answer comes once its node has done it."""
        office, key = self._office, InstanceId(instance_id)

        def press(shape: InstanceForm) -> Future[Any]:
            return elsewhere(office.workers, f"reset {key}", lambda: self._press(key, shape))

        booked = office.change(
            request, lambda draft: instances.command(draft, key, e.Reset, caller), InstanceForm
        )
        return then(booked, press)

    def console(
        self, caller: Caller, _: str, instance_id: int, offset: int, timeout: float
    ) -> Future[Any]:
        """Read a guest's serial console, also of one that is at rest."""
        office = self._office
        instance = office.ledger.books.instance(InstanceId(instance_id))
        check_owner(instance.user_id, caller, str(instance).capitalize())
        where = instance.disks_on if instance.host_id is None else instance.host_id
        wait = min(max(timeout, 0.0), _MOST_CONSOLE_SECONDS)
        if where is None:
            return self._console_at_rest(instance, offset, wait)
        host = office.speaking_host(where, instance)

        def read() -> ConsoleForm:
            return ConsoleForm(*office.nodes.console(host, instance.id, offset, wait))

        return office.readers.read(host, read)

    def _console_at_rest(self, instance: Instance, offset: int, wait: float) -> Future[Any]:
        """What is in the image store; when there is nothing to read, the answer takes its time."""
        if instance.stored is None:
            raise NoSuchVm(f"{instance} has no console: it is {instance.state.title}.")
        stored, office, answer = instance.stored, self._office, Future[Any]()
        lane = f"console {instance.id} {id(answer)}"

        def look(left: float) -> None:
            try:
                said, end = office.images.console(stored, offset, _MOST_CONSOLE_BYTES)
            except TashiError as error:
                answer.set_exception(error)
                return
            if said or left == 0.0:
                answer.set_result(ConsoleForm(said.decode("utf-8", "replace"), end))
            else:
                office.workers.after(left, lane, partial(look, 0.0))

        office.workers.run(lane, partial(look, wait))
        return answer

    def _press(self, key: InstanceId, shape: InstanceForm) -> InstanceForm:
        instance = self._office.ledger.books.instance(key)
        if instance.host_id is None:
            raise NoSuchVm(f"{instance} is {instance.state.title} and has no guest any more.")
        host = self._office.ledger.books.host(instance.host_id)
        self._office.nodes.reset(host, key, instance.attempt)
        return shape


def _wanted(form: NewInstanceForm, default_network: NetworkId) -> Wish:
    cards = (NicForm(default_network),) if form.nics is None else form.nics
    return Wish(
        name=form.name,
        cores=form.cores,
        memory=Mib(form.memory),
        disks=tuple(Disk(image_path(disk.uri), disk.persistent) for disk in form.disks),
        nics=tuple(Nic(NetworkId(nic.network), nic.mac, nic.ip) for nic in cards),
        hints=form.hints,
        group_name=form.group_name,
        on_exit=form.on_exit,
        on_loss=form.on_loss,
    )
