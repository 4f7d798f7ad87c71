"""What QEMU says of itself, asked once and kept."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu import engine as room
from tashi.adapters.hypervisor.qemu.engine import known_engine, read_cpuinfo
from tashi.domain.errors import CommandFailed, Misconfigured
from tashi.ports.commands import NO_DESCRIPTORS, Descriptors, Leash

QEMU = "sh"
"""Any program that is there; the fake runs none."""
MACHINES = [
    {"name": "pc-q35-7.2", "alias": "q35"},
    {"name": "pc-q35-4.0.1"},
    {"name": "pc-i440fx-7.2", "alias": "pc"},
    {"name": "none"},
]
MODELS = [
    {"name": "Nehalem", "unavailable-features": []},
    {"name": "EPYC", "unavailable-features": ["sse4a"]},
    {"name": "odd"},
]
CPUINFO = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R)  Xeon(R) 6230
flags\t\t: sse avx

processor\t: 1
vendor_id\t: Other
"""


class Talker:
    """Commands that answer what is asked over QMP."""

    def __init__(self, *answers: object) -> None:
        self.answers = answers or (
            {"qemu": {"major": 7, "minor": 2, "micro": 22}},
            MACHINES,
            MODELS,
        )
        self.asked: list[str] = []

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_seconds: float,
        folder: str | None = None,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        assert descriptors.source is not None
        self.asked.append(os.read(descriptors.source, 4096).decode())
        said = [{"QMP": {}}, {"return": {}}, *({"return": one} for one in self.answers)]
        return "\n".join(map(json.dumps, [*said, {"event": "SHUTDOWN"}, {"return": {}}]))

    def follow(
        self,
        arguments: Sequence[str],
        *,
        hear: Callable[[str], None],
        leash: Leash,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        raise AssertionError(f"nothing is followed: {arguments} {hear} {leash}")

    def spawn(self, arguments: Sequence[str], *, log: str, inherited: Sequence[int] = ()) -> int:
        raise CommandFailed("Nothing is spawned to find out.")


def test_the_newest_machine_type_and_all_of_its_family_are_known(tmp_path: Path) -> None:
    known = known_engine(QEMU, "tcg", tmp_path, Talker())

    assert known.newest == "pc-q35-7.2"
    assert known.engine.qemu == "7.2.22"
    assert known.engine.machines == ("pc-q35-4.0.1", "pc-q35-7.2")
    assert (known.engine.processor, known.engine.features, known.engine.models) == ("", (), ())


def test_under_kvm_the_processor_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    monkeypatch.setattr(room, "_CPUINFO", tmp_path / "cpuinfo")

    engine = known_engine(QEMU, "kvm", tmp_path, Talker()).engine

    assert engine.processor.startswith("GenuineIntel Intel(R) Xeon(R) 6230 ")
    assert (engine.features, engine.models) == (("avx", "sse"), ("Nehalem",))


def test_a_processor_that_can_do_less_is_another(tmp_path: Path) -> None:
    name, _ = read_cpuinfo(CPUINFO)
    poorer, _ = read_cpuinfo(CPUINFO.replace(" avx", ""))

    assert name != poorer
    assert name.rpartition(" ")[0] == poorer.rpartition(" ")[0]


def test_what_is_known_is_not_asked_again_unless_for_another_accelerator(tmp_path: Path) -> None:
    first, again, other = Talker(), Talker(), Talker()

    known = known_engine(QEMU, "tcg", tmp_path, first)

    assert known_engine(QEMU, "tcg", tmp_path, again) == known
    assert known_engine(QEMU, "kvm", tmp_path, other).engine.accel == "kvm"
    assert (len(first.asked), again.asked, len(other.asked)) == (1, [], 1)


@pytest.mark.parametrize("answers", [({},), ({}, [], []), ({"qemu": 7}, MACHINES, MODELS)])
def test_a_qemu_that_says_nothing_of_use_is_a_mistake(
    tmp_path: Path, answers: tuple[object, ...]
) -> None:
    with pytest.raises(Misconfigured, match="does not say what it can do"):
        known_engine(QEMU, "tcg", tmp_path, Talker(*answers))
