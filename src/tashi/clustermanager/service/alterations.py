"""The calls by which owners alter instances that exist: name, size, disks, network cards, CD."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tashi.clustermanager import alterations
from tashi.clustermanager.alterations import Asker, attach_disk, change_cdrom
from tashi.clustermanager.draft import Draft
from tashi.clustermanager.service.office import Handler, Office
from tashi.domain.admission import image_path
from tashi.domain.identity import InstanceId
from tashi.domain.instance import Disk, Instance, Nic
from tashi.domain.permissions import Caller
from tashi.wire.forms import DiskForm, InstanceForm, NicForm, to_record


def handlers(office: Office) -> dict[str, Handler]:
    """The handlers of this room, by method."""
    calls = AlterationsCalls(office)
    return {
        "renameVm": calls.rename,
        "resizeVm": calls.resize,
        "attachDisk": calls.attach_disk,
        "detachDisk": calls.detach_disk,
        "attachNic": calls.attach_nic,
        "detachNic": calls.detach_nic,
        "changeCdrom": calls.change_cdrom,
    }


class AlterationsCalls:
    """Handlers around one office."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def rename(self, caller: Caller, request: str, instance_id: int, name: str) -> Future[Any]:
        """Call an instance something else."""
        asker, rules = Asker(caller, InstanceId(instance_id)), self._office.rules
        return self._change(request, lambda draft: alterations.rename(draft, asker, name, rules))

    def resize(
        self, caller: Caller, request: str, instance_id: int, cores: int | None, memory: int | None
    ) -> Future[Any]:
        """Give an instance other cores or memory."""
        asker, rules = Asker(caller, InstanceId(instance_id)), self._office.rules
        return self._change(
            request, lambda draft: alterations.resize(draft, asker, cores, memory, rules)
        )

    def attach_disk(
        self, caller: Caller, request: str, instance_id: int, disk: DiskForm
    ) -> Future[Any]:
        """Plug a disk in."""
        wanted = Disk(image_path(disk.uri), disk.persistent)
        key = InstanceId(instance_id)
        return self._with_image(
            caller, request, key, wanted, lambda draft, asker: attach_disk(draft, asker, wanted)
        )

    def detach_disk(self, caller: Caller, request: str, instance_id: int, uri: str) -> Future[Any]:
        """Plug a disk out."""
        asker = Asker(caller, InstanceId(instance_id))
        return self._change(request, lambda draft: alterations.detach_disk(draft, asker, uri))

    def attach_nic(
        self, caller: Caller, request: str, instance_id: int, nic: NicForm
    ) -> Future[Any]:
        """Plug a network card in."""
        asker, draws = Asker(caller, InstanceId(instance_id)), self._office.draws
        wanted = to_record(nic, Nic)
        return self._change(
            request, lambda draft: alterations.attach_nic(draft, asker, wanted, draws)
        )

    def detach_nic(self, caller: Caller, request: str, instance_id: int, mac: str) -> Future[Any]:
        """Plug a network card out."""
        asker = Asker(caller, InstanceId(instance_id))
        return self._change(request, lambda draft: alterations.detach_nic(draft, asker, mac))

    def change_cdrom(
        self, caller: Caller, request: str, instance_id: int, image: str
    ) -> Future[Any]:
        """Put an image into the CD drive, or take out what is there."""
        key = InstanceId(instance_id)
        if not image:
            asker = Asker(caller, key)
            return self._change(request, lambda draft: change_cdrom(draft, asker, ""))
        wanted = Disk(image_path(image))
        return self._with_image(
            caller, request, key, wanted, lambda draft, asker: change_cdrom(draft, asker, image)
        )

    def _with_image(
        self,
        caller: Caller,
        request: str,
        key: InstanceId,
        disk: Disk,
        act: Callable[[Draft, Asker], Instance],
    ) -> Future[Any]:
        """Have it done if the image is there, and is not being made or removed just now."""
        claims = self._office.claims
        since = claims.turn

        def with_images(images: set[str]) -> Future[Any]:
            asker = Asker(caller, key, images)

            def take_on(draft: Draft) -> Instance:
                asker.instance(draft)
                claims.check_disks((disk,), since)
                return act(draft, asker)

            return self._change(request, take_on)

        return self._office.with_existing((disk,), caller, with_images)

    def _change(self, request: str, act: Callable[[Draft], Instance]) -> Future[Any]:
        return self._office.change(request, act, InstanceForm)
