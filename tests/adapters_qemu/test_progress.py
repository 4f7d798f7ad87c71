"""How far a move is, made of QEMU's answers."""

import msgspec

from tashi.adapters.hypervisor.qemu.progress import Job, Meter, Migration
from tashi.domain.guest import Progress

MIB = 1 << 20


class Watched:
    """A meter, its clock, and what it told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[Progress] = []
        self.meter = Meter(self.told.append, lambda: self.now)


def a_migration(**different: object) -> Migration:
    answer = {
        "status": "active",
        "expected-downtime": 300,
        "ram": {
            "transferred": 30 * MIB,
            "remaining": 10 * MIB,
            "total": 128 * MIB,
            "mbps": 800.0,
            "page-size": 4096,
            "dirty-pages-rate": 512,
            "dirty-sync-count": 3,
        },
        **different,
    }
    return msgspec.convert(answer, Migration)


def test_disks_are_told_with_the_rate_since_the_last_look() -> None:
    watched = Watched()

    for done in (0, 40, 60):
        watched.now += 2.0
        watched.meter.disks([Job("move-disk0", "running", "", done * MIB, 100 * MIB)])

    assert watched.told[-1] == Progress(
        done=60 * MIB, total=100 * MIB, rate=10 * MIB, words="disks"
    )
    assert watched.meter.left == "40.0 MiB of its disks were left"


def test_a_rate_is_not_made_of_a_moment() -> None:
    watched = Watched()
    for done in (50, 50):
        watched.now += 1.0
        watched.meter.disks([Job("move-disk0", "running", "", done * MIB, 100 * MIB)])
    watched.now += 0.01

    watched.meter.disks([Job("move-disk0", "running", "", 100 * MIB, 100 * MIB)])

    assert watched.told[-1].rate == 0.0


def test_memory_comes_on_top_of_the_disks_with_what_the_guest_does_to_it() -> None:
    watched = Watched()
    watched.meter.disks([Job("move-disk0", "ready", "", 60 * MIB, 60 * MIB)])

    watched.meter.memory(a_migration(**{"cpu-throttle-percentage": 40}))

    assert watched.told[-1] == Progress(
        done=90 * MIB,
        total=100 * MIB,
        rate=100e6,
        words="memory, pass 3, dirtied at 2.0 MiB/s, slowed down by 40 %, "
        "will stand still for 300 ms",
    )
    assert watched.meter.left == (
        "10.0 MiB of its memory were left, and it changes 2.0 MiB a second"
    )


def test_at_the_end_it_is_known_how_long_the_guest_stood_still() -> None:
    watched = Watched()

    watched.meter.memory(a_migration(status="completed", downtime=38))

    assert watched.told[-1].words.endswith("stood still for 38 ms")


def test_what_qemu_does_not_know_yet_is_not_told() -> None:
    watched = Watched()

    watched.meter.memory(msgspec.convert({"status": "setup"}, Migration))
    watched.meter.memory(msgspec.convert({}, Migration))

    assert watched.told == []
    assert watched.meter.left == ""
