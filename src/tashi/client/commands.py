"""The functions of tashi-client, one row each: what anyone may do with instances and ask about.

A new function is a row here, with its words and examples; nothing else needs to know of it. What
the rows run stands in `doing` (commands that change instances) and `asking` (questions).
"""

from typing import Final

from tashi.client import altering, asking, doing, draining, imaging, jobs, logging_in, sheets
from tashi.client import arguments as a
from tashi.client.command import Command, Session
from tashi.client.waiting import Goal
from tashi.domain.states import InstanceState as State

_SIZE: Final = (a.CORES, a.MEMORY)
_WAITING: Final = (a.WAIT, a.TIMEOUT)
_WISHES: Final = (
    a.DISKS,
    *_SIZE,
    a.NICS,
    a.HINTS,
    a.OWNER,
    a.GROUP,
    a.ON_EXIT,
    a.ON_LOSS,
    *_WAITING,
)
_RUNNING: Final = frozenset({State.RUNNING})
_GONE: Final = frozenset({State.EXITED})
_DOWN: Final = frozenset({State.EXITED, State.STOPPED, State.RUNNING})


def _change(name: str, goal: Goal, said: str, words: str) -> Command:
    return Command(
        name=name,
        run=doing.change(name, goal, said),
        takes=(a.INSTANCE, *_WAITING),
        help=words,
        examples=("--instance web", "--instance 17 --wait"),
    )


def _attach_console(session: Session, given: a.Given) -> None:
    from tashi.client import attaching  # noqa: PLC0415  nobody else waits for it

    attaching.attach(session, given)


COMMANDS: Final = (
    Command(
        name="createVm",
        run=doing.create_one,
        takes=(a.NAME, *_WISHES),
        help="Create an instance.",
        examples=(
            "--name web --disks web.qcow2",
            "--name db --disks system.qcow2,data.qcow2:True --cores 4 --memory 2048 --wait",
            "--name web --disks web.qcow2 --nics 1:192.0.2.17,2::52:54:00:12:34:56",
            "--name web --disks web.qcow2 --hints targetHost=rack1,allowElsewhere=True",
            "--name db-2 --disks db.qcow2 --group db --hints away=group:db",
        ),
        sheet=sheets.INSTANCES,
    ),
    Command(
        name="createMany",
        run=doing.create_many,
        takes=(a.BASENAME, a.COUNT, *_WISHES),
        help="Create several instances of one kind, numbered from 0.",
        examples=("--basename worker --count 20 --disks worker.qcow2 --onLoss restart",),
        sheet=sheets.INSTANCES,
    ),
    _change("shutdownVm", _DOWN, "is asked to power off", "Ask a guest to power off."),
    _change("destroyVm", _GONE, "is being destroyed", "Kill an instance and forget it."),
    _change(
        "stopVm",
        frozenset({State.STOPPED}),
        "is asked to power off, and will be kept",
        "Ask a guest to power off, and keep its record and disks.",
    ),
    _change("startVm", _RUNNING, "is queued for a host", "Start a stopped instance again."),
    _change(
        "pauseVm",
        frozenset({State.PAUSED}),
        "is pausing",
        "Freeze a running instance in its host's memory.",
    ),
    _change("unpauseVm", _RUNNING, "is unpausing", "Let a paused instance run again."),
    _change(
        "suspendVm",
        frozenset({State.SUSPENDED}),
        "is suspending",
        "Write an instance's memory to the image store and free its host.",
    ),
    _change("resumeVm", _RUNNING, "is resuming", "Let a suspended instance run again."),
    Command(
        name="migrateVm",
        run=doing.migrate,
        takes=(a.INSTANCE, a.DESTINATION, *_WAITING),
        help="Move a running instance to another host without stopping it.",
        examples=("--instance web --dst rack2", "--instance 17 --dst 3 --wait"),
    ),
    _change(
        "cancelMigration",
        _RUNNING,
        "is told to stay where it is",
        "Leave a migrating instance where it is, if it has not left yet.",
    ),
    Command(
        name="resetVm",
        run=doing.reset,
        takes=(a.INSTANCE,),
        help="Press a running guest's reset button.",
        examples=("--instance web",),
    ),
    Command(
        name="vmmSpecificCall",
        run=altering.vmm_call,
        takes=(a.INSTANCE, a.VMM_CALL),
        help="Do to a guest what only some hypervisors can.",
        examples=("--instance web --arg list", "--instance web --arg changeCdrom:tools.iso"),
    ),
    Command(
        name="renameVm",
        run=altering.rename,
        takes=(a.INSTANCE, a.NEW_NAME, *_WAITING),
        help="Call an instance something else; its guest hears of it when it starts next.",
        examples=("--instance web --name web-old",),
    ),
    Command(
        name="resizeVm",
        run=altering.resize,
        takes=(a.INSTANCE, a.NEW_CORES, a.NEW_MEMORY, *_WAITING),
        help="Give an instance that is stopped or waits other cores or memory.",
        examples=("--instance web --memory 2048", "--instance web --cores 4 --memory 4096"),
    ),
    Command(
        name="attachDisk",
        run=altering.attach_disk,
        takes=(a.INSTANCE, a.DISK, *_WAITING),
        help="Plug a disk into a running or stopped instance.",
        examples=("--instance web --disk data.qcow2:True --wait", "--instance web --disk new.raw"),
    ),
    Command(
        name="detachDisk",
        run=altering.detach_disk,
        takes=(a.INSTANCE, a.DISK, *_WAITING),
        help="Plug a disk out again; what was written to it is lost unless it is persistent.",
        examples=("--instance web --disk data.qcow2 --wait",),
    ),
    Command(
        name="attachNic",
        run=altering.attach_nic,
        takes=(a.INSTANCE, a.NIC, *_WAITING),
        help="Plug a network card into a running or stopped instance.",
        examples=("--instance web --nic 999 --wait", "--instance web"),
    ),
    Command(
        name="detachNic",
        run=altering.detach_nic,
        takes=(a.INSTANCE, a.MAC, *_WAITING),
        help="Plug a network card out again.",
        examples=("--instance web --mac 52:54:00:12:34:56 --wait",),
    ),
    Command(
        name="changeCdrom",
        run=altering.change_cdrom,
        takes=(a.INSTANCE, a.MEDIUM, *_WAITING),
        help="Put an image into an instance's CD drive, or take out what is there.",
        examples=("--instance web --image tools.iso", "--instance web"),
    ),
    Command(
        name="startVnc",
        run=altering.start_vnc,
        takes=(a.INSTANCE, a.PASSWORD, a.SOCKET),
        help="Show a guest's display over VNC, and say where and with which password.",
        examples=("--instance web", "--instance web --socket"),
    ),
    Command(
        name="stopVnc",
        run=altering.stop_vnc,
        takes=(a.INSTANCE,),
        help="Let nobody new see a guest's display.",
        examples=("--instance web",),
    ),
    Command(
        name="attachConsole",
        run=_attach_console,
        takes=(a.INSTANCE,),
        help="Join this terminal to a guest's serial console; Ctrl-] ends it.",
        examples=("--instance web",),
    ),
    Command(
        name="shutdownMany",
        run=doing.change_many("shutdownVm", _DOWN, "asked to power off"),
        takes=(a.BASENAME, *_WAITING),
        help="Ask the guests that createMany made to power off.",
        examples=("--basename worker",),
    ),
    Command(
        name="destroyMany",
        run=doing.change_many("destroyVm", _GONE, "being destroyed"),
        takes=(a.BASENAME, *_WAITING),
        help="Kill the instances that createMany made and forget them.",
        examples=("--basename worker --wait",),
    ),
    Command(
        name="getSlots",
        run=asking.slots,
        takes=_SIZE,
        help="How many instances of a size would fit now.",
        examples=("--cores 2 --memory 1024",),
    ),
    Command(
        name="getInstances",
        run=asking.instances,
        help="List all instances.",
        examples=(
            "",
            "--show-nics --hide-disk",
            "--show-stats --hide-disk",
            "--hide-all --show-name",
        ),
        sheet=sheets.INSTANCES,
    ),
    Command(
        name="getMyInstances",
        run=asking.my_instances,
        help="List your own instances.",
        examples=("", "--show-all"),
        sheet=sheets.INSTANCES,
    ),
    Command(
        name="getVmLayout",
        run=asking.layout,
        help="List the instances on each host, and what they take of it.",
        examples=("",),
        sheet=sheets.LAYOUT,
    ),
    Command(
        name="getHosts",
        run=asking.hosts,
        help="List all hosts.",
        examples=("", "--hide-notes --show-address"),
        sheet=sheets.HOSTS,
    ),
    *draining.COMMANDS,
    Command(
        name="getUsers",
        run=asking.users,
        help="List all users.",
        examples=("",),
        sheet=sheets.USERS,
    ),
    Command(
        name="getNetworks",
        run=asking.networks,
        help="List all networks.",
        examples=("",),
        sheet=sheets.NETWORKS,
    ),
    *imaging.COMMANDS,
    *jobs.COMMANDS,
    Command(
        name="why",
        run=asking.why,
        takes=(a.INSTANCE,),
        help="Say why an instance is where it is, and what keeps it off each host.",
        examples=("--instance web",),
        sheet=sheets.REASONS,
    ),
    Command(
        name="watch",
        run=asking.watch,
        takes=(a.ONE_INSTANCE, a.SINCE),
        help="Show what happens in the cluster as it happens, until interrupted.",
        examples=("", "--instance web", "--since 1 --output json"),
    ),
    Command(
        name="getConsole",
        run=asking.console,
        takes=(a.INSTANCE, a.FOLLOW),
        help="Show the last lines of a guest's serial console.",
        examples=("--instance web", "--instance web --follow"),
    ),
    *logging_in.PEOPLES,
)
