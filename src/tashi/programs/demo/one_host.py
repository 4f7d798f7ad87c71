"""`make demo`: this machine is the cluster's only host, and runs one guest."""

from contextlib import closing
from typing import Final

from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import TashiError
from tashi.programs.demo.cluster import Cluster, is_listening
from tashi.programs.demo.daemons import DAEMONS, Daemons, program
from tashi.programs.demo.place import IMAGE, Place
from tashi.programs.demo.saying import aside, show, step
from tashi.settings.search import FOLDERS_VARIABLE
from tashi.wire.forms import DiskForm, NewInstanceForm

NAME: Final = "demo"
_TABLES: Final = (("getHosts",), ("getInstances", "--show-nics"))
_NEXT: Final = f"""\
Try next:
    bin/tashi-client createVm --name web --disks {IMAGE} --wait
    bin/tashi-client getConsole --instance {NAME} --follow
    bin/tashi-client why --instance {NAME}
    bin/tashi-client getInstances --output json
    bin/tashi-client --examples
    make demo-down
"""


def up(place: Place) -> None:
    """Make the cluster, boot the guest, and show both."""
    commands = SystemCommands()
    with step("Preparing the folder .demo"):
        place.prepare()
    with step(f"Starting {', '.join(DAEMONS)}, each kept alive by nmd"):
        Daemons(place, commands).start()
    with closing(Cluster(place.manager_address())) as cluster:
        with step("Waiting for the host to register"):
            cluster.wait_for_hosts()
        with step(f"Starting the instance '{NAME}'"):
            instance = cluster.start_instance(NewInstanceForm(NAME, (DiskForm(IMAGE),)))
        with step("Waiting for its guest to boot (about ten seconds where it is emulated)"):
            lines = cluster.boot_lines(instance)
        with step("Asking it over HTTP"):
            address, answer = cluster.web_page(NAME)
    show("The guest's console", lines)
    show(f"{address} answers", answer.splitlines())
    for table in _TABLES:
        print(commands.run([program("tashi-client"), *table], timeout_seconds=30.0))
    say_where_clients_look(place)
    print(_NEXT)


def down(place: Place) -> None:
    """End every guest and daemon, and remove the folder."""
    place.check_owner()
    destroy_instances(place)
    with step("Stopping the daemons"):
        for trouble in Daemons(place, SystemCommands()).stop():
            aside(trouble)
    place.remove()
    print("Nothing of the demo is left.")


def destroy_instances(place: Place) -> None:
    """Destroy every instance, if there is a cluster manager to ask."""
    if not place.config.exists() or not is_listening(place.manager_address()):
        return
    with step("Destroying the demo's instances"):
        try:
            with closing(Cluster(place.manager_address())) as cluster:
                cluster.destroy_all()
        except TashiError as error:  # what is not ended in peace is killed with the daemons
            aside(error.message)


def say_where_clients_look(place: Place) -> None:
    """Say how to reach the demo when the checkout's clients do not find it by themselves."""
    if not place.is_found_by_clients():
        print("etc/Tashi.cfg was there already and is left alone. To talk to the demo:")
        print(f"    export {FOLDERS_VARIABLE}={place.config.parent}\n")
