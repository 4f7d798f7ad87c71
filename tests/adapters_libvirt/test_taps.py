"""TAPs that libvirtd opens by their names: they stay without us, and go with their guests."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from namespaces import Namespace
from tashi.adapters.hypervisor.libvirt import taps
from tashi.adapters.network.tap import opened_tap
from tashi.domain.errors import HypervisorFailed
from tashi.domain.identity import InstanceId
from tashi.ports.network import OwnNetwork, Tap

pytestmark = [pytest.mark.system]

SEVEN = InstanceId(7)
EIGHT = InstanceId(8)
OURS = ("tashi7.0", "tashi7.10", "tashi8.0")
THEIRS = ("tashi0-sw", "tashi8.0x", "xtashi8.0", "tashi8")


@pytest.fixture
def host() -> Iterator[Namespace]:
    made = Namespace()
    yield made
    made.close()


def keep(host: Namespace, names: Sequence[str]) -> None:
    """Make TAPs of these names in there, and have them stay."""

    def make() -> None:
        with ExitStack() as stack:
            taps.keep([Tap(stack.enter_context(opened_tap(name))) for name in names])

    host.call(make)


def test_a_tap_is_gone_with_whoever_has_it_open_unless_it_is_kept(host: Namespace) -> None:
    def make_without_keeping() -> None:
        with opened_tap("tashi7.1"):
            taps.keep([OwnNetwork()])

    host.call(make_without_keeping)
    keep(host, OURS)

    assert host.devices() == {*OURS}


def test_taps_of_guests_that_do_not_live_are_removed_and_nothing_else(host: Namespace) -> None:
    keep(host, (*OURS, *THEIRS))

    host.call(taps.remove_all_but, {SEVEN})
    after_eight = host.devices()
    host.call(taps.remove_all_but, set())

    assert after_eight == {"tashi7.0", "tashi7.10", *THEIRS}
    assert host.devices() == {*THEIRS}


def test_the_tap_of_one_card_is_removed(host: Namespace) -> None:
    keep(host, OURS)

    host.call(taps.remove, SEVEN, 10)
    host.call(taps.remove, SEVEN, 10)
    host.call(taps.remove, SEVEN, 1)

    assert host.devices() == {"tashi7.0", "tashi8.0"}


def test_taps_that_are_in_use_are_left_and_named_and_hold_up_no_others(host: Namespace) -> None:
    left: list[str] = []

    def remove_while_it_is_open() -> None:
        with opened_tap("tashi7.0") as descriptor:
            taps.keep([Tap(descriptor)])
            with pytest.raises(HypervisorFailed) as failed:
                taps.remove_all_but(set())
            left.append(str(failed.value))

    keep(host, OURS)
    host.call(remove_while_it_is_open)
    meanwhile = host.devices()
    host.call(taps.remove_all_but, set())

    assert left == ["TAPs of guests that have ended are left: tashi7.0 (Device or resource busy)."]
    assert meanwhile == {"tashi7.0"}
    assert host.devices() == set()


def test_the_tap_of_a_card_that_is_in_use_is_left_and_named(
    host: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    def remove_while_it_is_open() -> None:
        with opened_tap("tashi8.0") as descriptor:
            taps.keep([Tap(descriptor)])
            taps.remove(EIGHT, 0)

    host.call(remove_while_it_is_open)

    assert "The TAP tashi8.0 is left: Device or resource busy." in caplog.text
    assert host.devices() == {"tashi8.0"}


def test_what_is_no_tap_cannot_be_kept() -> None:
    with (
        Path("/dev/null").open("rb") as other,
        pytest.raises(HypervisorFailed, match="A TAP cannot be kept for libvirt: "),
    ):
        taps.keep([Tap(other.fileno())])
