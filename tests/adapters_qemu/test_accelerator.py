"""KVM is believed only when a guest ran under it, and what was found out is kept for the boot."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tashi.adapters.hypervisor.qemu.accelerator import Accelerator, choose
from tashi.domain.errors import CommandFailed, Misconfigured
from tashi.ports.commands import NO_DESCRIPTORS, Descriptors, Leash

QEMU = "sh"
"""Any program that is there; the fake runs none."""


class FakeQemu:
    """Commands that run the trial guest as told: what fails is named by a word of its options."""

    def __init__(self, *fails: str) -> None:
        self.fails = fails
        self.trials: list[str] = []

    def run(
        self,
        arguments: Sequence[str],
        *,
        timeout_seconds: float,
        folder: str | None = None,
        descriptors: Descriptors = NO_DESCRIPTORS,
    ) -> str:
        accel = arguments[arguments.index("-accel") + 1]
        self.trials.append(accel)
        if accel in self.fails or ("sandbox" in self.fails and "-sandbox" in arguments):
            raise CommandFailed(f"qemu had not ended after {timeout_seconds:g} s and was killed.")
        return "TASHI"

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


@pytest.fixture
def kvm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr("tashi.adapters.hypervisor.qemu.accelerator._KVM", device)
    return device


@pytest.mark.usefixtures("kvm")
def test_kvm_is_used_where_it_runs_a_guest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = choose("auto", QEMU, tmp_path, FakeQemu())

    assert chosen == Accelerator("kvm", sandbox=True)
    assert caplog.records == []


@pytest.mark.usefixtures("kvm")
def test_kvm_that_opens_but_hangs_a_guest_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = choose("auto", QEMU, tmp_path, FakeQemu("kvm"))

    assert chosen == Accelerator("tcg", sandbox=True)
    [warning] = caplog.records
    assert warning.levelno == logging.WARNING
    assert "had not ended after 2 s" in warning.getMessage()


def test_kvm_that_cannot_be_opened_is_not_tried(tmp_path: Path, kvm: Path) -> None:
    kvm.unlink()
    qemu = FakeQemu()

    chosen = choose("auto", QEMU, tmp_path, qemu)

    assert (chosen.name, qemu.trials) == ("tcg", ["tcg"])


@pytest.mark.usefixtures("kvm")
def test_what_was_found_out_is_not_tried_again(tmp_path: Path) -> None:
    choose("auto", QEMU, tmp_path, FakeQemu("kvm"))
    again = FakeQemu()

    chosen = choose("auto", QEMU, tmp_path, again)

    assert (chosen.name, again.trials) == ("tcg", [])


@pytest.mark.usefixtures("kvm")
@pytest.mark.parametrize(
    "damage", ["", "{}", '{"of": "another boot", "kvm": true, "sandbox": true}']
)
def test_what_was_found_out_elsewhere_or_is_damaged_counts_for_nothing(
    tmp_path: Path, damage: str
) -> None:
    (tmp_path / "accelerator.json").write_text(damage)

    chosen = choose("auto", QEMU, tmp_path, FakeQemu("kvm"))

    assert chosen.name == "tcg"


@pytest.mark.usefixtures("kvm")
def test_plain_emulation_can_be_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chosen = choose("tcg", QEMU, tmp_path, FakeQemu())

    assert chosen.name == "tcg"
    assert caplog.records == []


@pytest.mark.usefixtures("kvm")
def test_kvm_that_was_asked_for_but_does_not_run_guests_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="Set accel = auto"):
        choose("kvm", QEMU, tmp_path, FakeQemu("kvm"))


@pytest.mark.usefixtures("kvm")
def test_a_qemu_without_a_sandbox_is_used_without(tmp_path: Path) -> None:
    chosen = choose("auto", QEMU, tmp_path, FakeQemu("sandbox"))

    assert chosen == Accelerator("kvm", sandbox=False)


def test_a_qemu_that_runs_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="does not run the smallest guest"):
        choose("auto", QEMU, tmp_path, FakeQemu("tcg"))


def test_a_qemu_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no-such-qemu"):
        choose("auto", "no-such-qemu", tmp_path, FakeQemu())


@pytest.mark.usefixtures("kvm")
def test_nothing_but_the_verdict_is_left(tmp_path: Path, kvm: Path) -> None:
    choose("auto", QEMU, tmp_path, FakeQemu())

    assert {path.name for path in tmp_path.iterdir()} == {kvm.name, "accelerator.json"}


def test_what_cannot_be_kept_is_found_out_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "accelerator.new").mkdir()  # cannot be written, like a file on a full disk
    qemu = FakeQemu()

    first = choose("tcg", QEMU, tmp_path, qemu)
    trials = len(qemu.trials)
    again = choose("tcg", QEMU, tmp_path, qemu)

    assert first == again
    assert len(qemu.trials) == 2 * trials
    assert "is not kept" in caplog.text


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"probe\.img cannot be written"):
        choose("tcg", QEMU, tmp_path / "nowhere", FakeQemu())
