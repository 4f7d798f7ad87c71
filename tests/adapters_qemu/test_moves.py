"""For how long a guest that moves may stand still."""

import pytest

from tashi.adapters.hypervisor.qemu.moves import may_stand


@pytest.mark.parametrize(("passes", "allowed"), [(0, 10), (3, 10), (4, 20), (6, 80), (99, 300)])
def test_a_guest_under_kvm_stands_briefly_and_for_longer_when_it_must(
    passes: int, allowed: int
) -> None:
    assert may_stand("kvm", passes) == allowed


@pytest.mark.parametrize(("passes", "allowed"), [(0, 0), (1, 0), (2, 300), (99, 300)])
def test_an_emulated_guest_is_not_gone_through_more_often_than_it_must(
    passes: int, allowed: int
) -> None:
    assert may_stand("tcg", passes) == allowed
