"""Hints: which there are, which values they take, and that nothing else gets through."""

import pytest

from tashi.domain.errors import InvalidInstance
from tashi.domain.hints import HINTS, MOST_HINTS, check_hints, flag, peers

GOOD = {
    "targetHost": "n1.lab",
    "allowElsewhere": "True",
    "densePack": "no",
    "near": "group:web+instance:db-1",
    "away": "instance:db",
    "preferNear": "group:web",
    "preferAway": "group:web",
    "cpumodel": "Haswell-noTSX-IBRS",
    "diskInterface": "virtio",
    "nicModel": "e1000e",
    "noAcpi": "FALSE",
    "subDomain": "Lab.example",
    "scratchSpace": "20",
    "clock": "dynticks",
    "enableDisplay": "True",
}


def refusal(name: str, value: str) -> str:
    with pytest.raises(InvalidInstance) as refused:
        check_hints({name: value})
    return refused.value.message


def test_every_hint_has_a_value_that_is_right() -> None:
    check_hints(GOOD)

    assert set(GOOD) == set(HINTS)


@pytest.mark.parametrize("name", sorted(HINTS))
@pytest.mark.parametrize(
    "value",
    [
        "", " ", "a b", "host,file=/etc/shadow", "virtio,file=/etc/shadow", "host\n", "on\n",
        "20\n", "a;b", "$(id)", "../x", "-daemonize", "a\0", "fal\u017fe", "no\u212a",
    ],
)  # fmt: skip
def test_no_value_can_add_an_option_or_a_line(name: str, value: str) -> None:
    assert refusal(name, value).startswith(f"Hint {name}={value!r} is not allowed: give ")


def test_a_number_is_made_of_plain_digits() -> None:
    assert refusal("scratchSpace", "\u0663") == (
        "Hint scratchSpace='\u0663' is not allowed: give a whole number of GiB."
    )


def test_a_name_of_tashis_own_is_refused() -> None:
    assert refusal("__resume_source", "x") == (
        "Hint '__resume_source' is reserved for Tashi: choose another name."
    )


def test_an_unknown_name_is_refused_with_the_nearest_or_with_the_way_to_have_ones_own() -> None:
    assert refusal("densepack", "x") == "There is no hint 'densepack': did you mean densePack?"
    listed = "createVm --help lists those there are, and names of your own begin with x-."
    assert refusal("rack", "x") == f"There is no hint 'rack': {listed}"
    assert refusal("x-a b", "x") == f"There is no hint 'x-a b': {listed}"


def test_a_site_may_have_hints_of_its_own() -> None:
    check_hints({"x-rack": "r7"})

    assert refusal("x-rack", "r7,file=x") == (
        "Hint x-rack='r7,file=x' is not allowed: give a plain word."
    )


def test_there_is_an_end_to_hints() -> None:
    with pytest.raises(InvalidInstance, match="65 hints are too many: at most 64"):
        check_hints({f"x-{number}": "a" for number in range(MOST_HINTS + 1)})


@pytest.mark.parametrize(
    ("value", "meant"),
    [("True", True), ("yes", True), ("ON", True), ("1", True), ("False", False), ("0", False)],
)
def test_a_flag_is_read_as_people_write_it(value: str, meant: bool) -> None:
    assert flag({"noAcpi": value}, "noAcpi") is meant


def test_a_flag_that_is_not_given_is_its_default() -> None:
    assert flag({}, "noAcpi") is False
    assert flag({}, "noAcpi", default=True) is True


def test_company_is_read_as_pairs() -> None:
    assert peers(GOOD, "near") == (("group", "web"), ("instance", "db-1"))
    assert peers({}, "near") == ()
