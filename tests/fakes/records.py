"""The records of the cluster manager that tests of its clients ask."""

from tashi.domain.jobs import JobState
from tashi.domain.states import HostState, InstanceState
from tashi.wire import forms as f
from tashi.wire import glimpses as g
from tashi.wire.images import JobForm

ADA = f.UserForm(1000, "ada")
OFFICE = f.NetworkForm(1, "office", default=True)
PUBLIC = f.NetworkForm(999, "public")
WEB = f.InstanceForm(
    id=3,
    name="web",
    user_id=1000,
    cores=1,
    memory=128,
    disks=(f.DiskForm("web.qcow2"),),
    nics=(
        f.NicForm(1, "52:54:00:00:00:03", "10.0.2.15", forwards=(f.ForwardForm(80, 40123),)),
        f.NicForm(999, "52:54:00:00:00:04"),
    ),
    hints={"targetHost": "rack1"},
    state=InstanceState.RUNNING,
    host_id=1,
    vm_id=4711,
    attempt=1,
    operation=12,
    stats=g.StatsForm(
        seconds=15.0,
        cpu_load=0.126,
        rss=187_654_144,
        vsize=1_400_000_000,
        balloon=134_217_728,
        disks=(g.DiskRatesForm("disk0", 1.5, 0.0, 6144.0, 0.0),),
        nics=(
            g.NicRatesForm("52:54:00:00:00:03", 10.0, 8.0, 2_000_000.0, 512.5),
            g.NicRatesForm("52:54:00:00:00:04", 0.0, 0.0, 97_152.0, 0.0),
        ),
    ),
)
DB = f.InstanceForm(
    id=12,
    name="db",
    user_id=0,
    cores=4,
    memory=2048,
    disks=(f.DiskForm("system.qcow2"), f.DiskForm("data.qcow2", persistent=True)),
    state=InstanceState.HELD,
    tries=2,
    reason="The disk is not there.",
    decayed=True,
)
RACK1 = f.HostForm(
    id=1,
    name="rack1",
    up=True,
    memory=3900,
    cores=8,
    version="0.1.0",
    notes="new fans\x1b[2J",
    reserved=(1000,),
    address="127.0.0.1",
    port=9883,
)
RACK2 = f.HostForm(id=2, name="rack2", state=HostState.DRAINED, memory=16000, cores=32)


MADE = JobForm(30001, "copying web.qcow2 to mine.qcow2", JobState.DONE, 1000, 4096, 4096, change=3)
