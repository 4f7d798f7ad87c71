"""Whether guests run on the processor itself (KVM) or must be emulated (TCG), found out by trying.

A `/dev/kvm` that opens proves nothing: where this host is itself a guest, KVM may abort or hang at
the first instructions. So a guest is run for a moment (`boot_sector`), and what it shows is
believed until the machine boots again or the kernel or QEMU changes. The same guest shows whether
QEMU's sandbox can be had.
"""

import logging
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from tashi.adapters.hypervisor.qemu.boot_sector import WORD, boot_disk
from tashi.adapters.hypervisor.qemu.command_line import SANDBOX
from tashi.adapters.hypervisor.qemu.folder import PRIVATE_FILE
from tashi.domain.errors import CommandFailed, Misconfigured
from tashi.ports.commands import Commands

_LOG: Final = logging.getLogger(__name__)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_KVM: Final = Path("/dev/kvm")
_KVM_SECONDS: Final = 2.0
"""Twenty times what it takes where KVM works."""
_EMULATION_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What QEMU can do here. `of` says for which boot, kernel and QEMU that was found out."""

    of: str
    kvm: bool
    sandbox: bool
    words: str = ""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """How guests are run: `name` is kvm or tcg."""

    name: str
    sandbox: bool


def choose(wish: str, qemu: str, folder: Path, commands: Commands) -> Accelerator:
    """What to run guests with: `wish` is auto, kvm or tcg.

    `folder` keeps the verdict. Raises Misconfigured when there is no QEMU or when KVM was asked
    for and does not work.
    """
    verdict = _verdict(qemu, folder, commands)
    if wish == "kvm" and not verdict.kvm:
        raise Misconfigured(
            f"accel = kvm, but {verdict.words} Set accel = auto in [Qemu], or mend KVM."
        )
    if wish == "auto" and not verdict.kvm:
        _LOG.warning("Guests are emulated, which is slow: %s", verdict.words)
    kvm = verdict.kvm and wish != "tcg"
    return Accelerator("kvm" if kvm else "tcg", verdict.sandbox)


def _verdict(qemu: str, folder: Path, commands: Commands) -> Verdict:
    of = circumstances(qemu)
    kept = folder / "accelerator.json"
    with suppress(OSError, msgspec.MsgspecError):
        known = msgspec.json.decode(kept.read_bytes(), type=Verdict)
        if known.of == of:
            return known
    verdict = _try(of, _Probe(qemu, folder / "probe.img", commands))
    keep(kept, verdict)
    return verdict


def keep(kept: Path, found_out: msgspec.Struct | Verdict) -> None:
    """Keep what was found out for the next start, which finds it out again where it cannot be."""
    partial = kept.with_suffix(".new")
    try:
        partial.touch(PRIVATE_FILE)
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(found_out)) + b"\n")
        partial.replace(kept)
    except OSError as error:
        _LOG.warning("What was found out of QEMU is not kept in %s: %s.", kept, error.strerror)
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def circumstances(qemu: str) -> str:
    """For how long what was found out about QEMU is true; raises Misconfigured without one."""
    found = shutil.which(qemu)
    if found is None:
        raise Misconfigured(f"There is no program {qemu}: install QEMU or set qemuBin in [Qemu].")
    program = Path(found).stat()
    kernel = os.uname()
    return (
        f"boot {_BOOT_ID.read_text().strip()}, kernel {kernel.release} {kernel.version}, "
        f"{found} of {program.st_size} bytes from {program.st_mtime_ns}"
    )


def _try(of: str, probe: "_Probe") -> Verdict:
    with probe:
        refused = probe.run("tcg", sandbox=True)
        sandbox = not refused
        if refused and (broken := probe.run("tcg", sandbox=False)):
            raise Misconfigured(f"QEMU does not run the smallest guest: {broken}")
        if not os.access(_KVM, os.R_OK | os.W_OK):
            return Verdict(of=of, kvm=False, sandbox=sandbox, words=f"{_KVM} cannot be opened.")
        words = probe.run("kvm", sandbox=sandbox)
    return Verdict(of=of, kvm=not words, sandbox=sandbox, words=words)


@dataclass(frozen=True, slots=True)
class _Probe:
    """Runs the smallest guest from a disk that is there only meanwhile."""

    qemu: str
    disk: Path
    commands: Commands

    def __enter__(self) -> Self:
        try:
            self.disk.write_bytes(boot_disk())
        except OSError as error:
            raise Misconfigured(
                f"What QEMU can do cannot be tried, for {self.disk} cannot be written "
                f"({error.strerror}): make room in infoDir."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self.disk.unlink(missing_ok=True)

    def run(self, accel: str, *, sandbox: bool) -> str:
        """What went wrong, in a sentence; nothing when the guest said its word."""
        kvm = accel == "kvm"
        try:
            said = self.commands.run(
                self._arguments(accel, sandbox=sandbox),
                timeout_seconds=_KVM_SECONDS if kvm else _EMULATION_SECONDS,
            )
        except CommandFailed as failed:
            return f"a trial guest did not run under {accel}: {failed}"
        return "" if WORD in said else f"a trial guest under {accel} said nothing."

    def _arguments(self, accel: str, *, sandbox: bool) -> list[str]:
        disk = str(self.disk).replace(",", ",,")
        # fmt: off
        return [
            self.qemu,
            *(SANDBOX if sandbox else ()),
            "-machine", "q35",
            "-accel", accel,
            "-cpu", "host" if accel == "kvm" else "qemu64",
            "-m", "size=32M",
            "-nodefaults", "-no-user-config",
            "-display", "none",
            "-no-reboot",
            "-chardev", "stdio,id=serial",
            "-device", "isa-serial,chardev=serial",
            "-blockdev", f"driver=file,node-name=disk,read-only=on,filename={disk}",
            "-device", "virtio-blk-pci,drive=disk",
        ]
        # fmt: on
