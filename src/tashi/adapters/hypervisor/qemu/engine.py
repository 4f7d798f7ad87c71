"""What this machine's QEMU is and can do, asked of QEMU itself once per boot, kernel and QEMU.

A QEMU without a machine answers a few questions over QMP and ends. Under KVM the processor matters
to guests, too, so /proc/cpuinfo is read as well; a plain emulation has the same processor
everywhere.
"""

import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from tashi.adapters.hypervisor.qemu.accelerator import circumstances, keep
from tashi.domain.engine import (
    HOST_CPU,
    KVM,
    Engine,
    Hardware,
    accel_trouble,
    backend_trouble,
    machine_trouble,
)
from tashi.domain.errors import CommandFailed, HypervisorFailed, InvalidInstance, Misconfigured
from tashi.domain.hints import check_hints
from tashi.ports.commands import Commands, Descriptors
from tashi.ports.hypervisor import GuestSpec

FAMILY: Final = "q35"
_EMULATED_CPU: Final = "qemu64"
_MACHINE: Final = re.compile(r"pc-q35-\d+(\.\d+)+\Z")
_CPUINFO: Final = Path("/proc/cpuinfo")
_SECONDS: Final = 30.0
_QUESTIONS: Final = ("query-version", "query-machines", "query-cpu-definitions")


class _Numbers(msgspec.Struct):
    major: int
    minor: int
    micro: int


class _Version(msgspec.Struct):
    qemu: _Numbers

    def __str__(self) -> str:
        return f"{self.qemu.major}.{self.qemu.minor}.{self.qemu.micro}"


class _Machine(msgspec.Struct):
    name: str
    alias: str = ""


class _Model(msgspec.Struct, rename="kebab"):
    name: str
    unavailable_features: tuple[str, ...] | None = None


class Known(msgspec.Struct, kw_only=True):
    """What is kept: `newest` is the machine type that guests are booted on, `of` says for what."""

    of: str
    newest: str
    engine: Engine

    def as_booted_here(self, spec: GuestSpec) -> Hardware:
        """What a guest gets that is booted anew."""
        usual = HOST_CPU if self.engine.accel == KVM else _EMULATED_CPU
        return Hardware(
            machine=self.newest,
            cpu=spec.hints.get("cpumodel", usual),
            accel=self.engine.accel,
            qemu=self.engine.qemu,
            processor=self.engine.processor,
            backend=self.engine.backend,
        )

    def check(self, spec: GuestSpec) -> None:
        """Raise HypervisorFailed when a guest cannot be started, or go on, here."""
        # Admission has looked at the hints; they become QEMU's options here, so look again.
        try:
            check_hints(spec.hints)
        except InvalidInstance as wrong:
            raise HypervisorFailed(str(wrong)) from wrong
        if (hardware := spec.hardware) is None:
            return
        for trouble in (backend_trouble, accel_trouble, machine_trouble):
            if words := trouble(hardware, self.engine):
                raise HypervisorFailed(
                    f"Instance {spec.instance_id} cannot go on here: it {words}."
                )


def read_version(answer: object) -> str:
    """The version in the answer to query-version."""
    return str(msgspec.convert(answer, _Version))


def read_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """The name of the first processor, which begins with its maker, and what it can do."""
    first, _, _ = text.partition("\n\n")
    facts = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in first.splitlines())
    }
    features = tuple(sorted(facts.get("flags", "").split()))
    name = " ".join(facts.get("model name", "").split())
    # Microcode and kernels take features away, so the same model is not always the same processor.
    return f"{facts.get('vendor_id', '')} {name} {crc32(' '.join(features).encode()):08x}", features


def known_engine(qemu: str, accel: str, folder: Path, commands: Commands) -> Known:
    """What QEMU here can do under that accelerator; `folder` keeps it.

    Raises Misconfigured when QEMU does not say.
    """
    kept, of = folder / "engine.json", f"{circumstances(qemu)}, {accel}"
    with suppress(OSError, msgspec.MsgspecError):
        known = msgspec.json.decode(kept.read_bytes(), type=Known)
        if known.of == of:
            return known
    known = _ask(of, qemu, accel, commands)
    keep(kept, known)
    return known


def _ask(of: str, qemu: str, accel: str, commands: Commands) -> Known:
    try:
        version, machines, models = _answers(qemu, accel, commands)
        kinds = msgspec.convert(machines, list[_Machine])
        newest = next(one.name for one in kinds if one.alias == FAMILY)
        engine = Engine(
            qemu=read_version(version),
            accel=accel,
            machines=tuple(sorted(one.name for one in kinds if _MACHINE.match(one.name))),
        )
        if accel == KVM:
            engine = _with_processor(engine, msgspec.convert(models, list[_Model]))
    except (CommandFailed, OSError, ValueError, StopIteration, msgspec.MsgspecError) as error:
        why = getattr(error, "strerror", None) or error
        raise Misconfigured(f"{qemu} does not say what it can do: {why}") from error
    return Known(of=of, newest=newest, engine=engine)


def _with_processor(engine: Engine, models: list[_Model]) -> Engine:
    processor, features = read_cpuinfo(_CPUINFO.read_text())
    whole = sorted(one.name for one in models if one.unavailable_features == ())
    return replace(engine, processor=processor, features=features, models=tuple(whole))


def _answers(qemu: str, accel: str, commands: Commands) -> list[object]:
    """What QEMU answers to the questions, in their order; raises CommandFailed or ValueError."""
    reading, writing = os.pipe()
    try:
        # Few bytes, so that the pipe holds them all.
        asked = ("qmp_capabilities", *_QUESTIONS, "quit")
        os.write(writing, b"".join(msgspec.json.encode({"execute": one}) for one in asked))
        os.close(writing)
        said = commands.run(
            _arguments(qemu, accel),
            timeout_seconds=_SECONDS,
            descriptors=Descriptors(source=reading),
        )
    finally:
        os.close(reading)
    lines = (msgspec.json.decode(line) for line in said.splitlines() if line.strip())
    _, *answers = [line["return"] for line in lines if isinstance(line, dict) and "return" in line]
    if len(answers) < len(_QUESTIONS):
        raise ValueError(f"it answered {len(answers)} questions of {len(_QUESTIONS)}.")
    return answers[: len(_QUESTIONS)]


def _arguments(qemu: str, accel: str) -> list[str]:
    # fmt: off
    return [
        qemu,
        "-machine", "none",
        "-accel", accel,
        "-nodefaults", "-no-user-config",
        "-display", "none",
        "-qmp", "stdio",
    ]
    # fmt: on
