"""What is called back fails, also before it begins; who only ends guests leaves nothing behind."""

from tashi.adapters.hypervisor.qemu.recall import Leashes
from tashi.domain.identity import InstanceId

SEVEN = InstanceId(7)


def test_a_start_that_is_called_back_fails_whatever_is_given_up_before_it_begins() -> None:
    leashes = Leashes()
    leashes.pull(SEVEN, "7-2")
    leashes.pull(SEVEN, "")

    with leashes.held(SEVEN, "7-2") as called_back:
        assert called_back.pulled
    with leashes.held(SEVEN, "7-3") as next_one:
        assert not next_one.pulled


def test_nothing_is_remembered_of_guests_that_had_nothing_to_call_back() -> None:
    leashes = Leashes()
    with leashes.held(SEVEN) as leash:
        leashes.pull(SEVEN, "")
        assert leash.pulled

    assert leashes._called_back == {}
