"""What a guest was booted on, held against what another host runs guests with."""

from dataclasses import replace

import pytest

from tashi.domain.engine import (
    Engine,
    Hardware,
    accel_trouble,
    backend_trouble,
    cpu_trouble,
    machine_trouble,
    qemu_trouble,
)
from tashi.domain.identity import HostId

OLD = Engine(
    qemu="7.2.22",
    accel="kvm",
    machines=("pc-q35-7.0", "pc-q35-7.2", "pc-q35-4.0.1"),
    processor="GenuineIntel Xeon 6230 0a",
    features=("avx", "avx2", "sse"),
    models=("Nehalem",),
)
NEW = replace(
    OLD,
    qemu="10.0.2",
    machines=("pc-q35-7.2", "pc-q35-10.0"),
    processor="GenuineIntel Xeon 8480 0b",
    features=("amx", "avx", "avx2", "sse"),
)
OTHER = replace(OLD, processor="AuthenticAMD EPYC 0c")
BOOTED = Hardware(
    machine="pc-q35-7.2",
    cpu="host",
    accel="kvm",
    qemu="7.2.22",
    processor=OLD.processor,
    host_id=HostId(1),
)


def test_a_guest_stays_with_what_has_begun_it() -> None:
    through_libvirt = replace(OLD, backend="libvirt")

    assert backend_trouble(BOOTED, OLD) == ""
    assert backend_trouble(BOOTED, through_libvirt) == (
        "runs guests by libvirt, but it was booted by QEMU alone"
    )
    assert backend_trouble(replace(BOOTED, backend="libvirt"), OLD) == (
        "runs guests by QEMU alone, but it was booted by libvirt"
    )


def test_a_guest_stays_with_its_kind_of_emulation() -> None:
    assert accel_trouble(BOOTED, OLD) == ""
    assert accel_trouble(BOOTED, replace(OLD, accel="tcg")) == (
        "runs guests under tcg, but it was booted under kvm"
    )


@pytest.mark.parametrize("version", ["7.2.22", "7.2.9", "8.0.0", "10.0.2", "unknown"])
def test_a_qemu_that_is_not_older_reads_its_memory(version: str) -> None:
    assert qemu_trouble(BOOTED, replace(OLD, qemu=version)) == ""


def test_an_older_qemu_is_named_with_both_versions() -> None:
    assert qemu_trouble(replace(BOOTED, qemu="10.0.2"), OLD) == (
        "has QEMU 7.2.22, which is older than 10.0.2, in which it runs"
    )


def test_a_machine_type_that_is_not_offered_is_named_with_the_newest_there() -> None:
    assert machine_trouble(BOOTED, NEW) == ""
    assert machine_trouble(replace(BOOTED, machine="pc-q35-9.0"), NEW) == (
        "does not offer machine type pc-q35-9.0, which it was booted on; its newest is pc-q35-10.0"
    )
    assert machine_trouble(BOOTED, replace(NEW, machines=())) == ""


def test_a_processor_that_can_do_as_much_will_do() -> None:
    assert cpu_trouble(BOOTED, OLD, OLD) == ""
    assert cpu_trouble(BOOTED, NEW, OLD) == ""


def test_the_way_back_to_the_processor_it_was_booted_on_is_always_open() -> None:
    assert cpu_trouble(replace(BOOTED, qemu="10.0.2"), OLD, None) == ""


def test_a_processor_that_lacks_something_is_refused_with_what_that_is() -> None:
    booted = replace(BOOTED, processor=NEW.processor)
    many = replace(NEW, features=("a", "b", "c", "d", *OLD.features))

    assert cpu_trouble(booted, OLD, NEW) == "has a processor without amx, which it was booted with"
    assert cpu_trouble(booted, OLD, many) == (
        "has a processor without a, b, c and 1 more, which it was booted with"
    )


def test_a_processor_of_another_maker_is_refused() -> None:
    assert "another maker than GenuineIntel Xeon 6230" in cpu_trouble(BOOTED, OTHER, OLD)


def test_where_its_first_processor_is_not_known_any_more_only_the_same_will_do() -> None:
    words = f"has the processor {NEW.processor}, and it was booted on {OLD.processor}"

    assert cpu_trouble(BOOTED, NEW, None) == words
    assert cpu_trouble(BOOTED, NEW, OTHER) == words


def test_a_model_that_the_processor_can_be_in_full_is_enough() -> None:
    assert cpu_trouble(replace(BOOTED, cpu="Nehalem"), OTHER, None) == ""
    assert cpu_trouble(replace(BOOTED, cpu="SapphireRapids"), OTHER, None) != ""


def test_an_emulated_processor_is_the_same_everywhere() -> None:
    emulated = replace(BOOTED, accel="tcg", cpu="qemu64", processor="")

    assert cpu_trouble(emulated, replace(OTHER, accel="tcg", processor=""), None) == ""
