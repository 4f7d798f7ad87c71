"""Who may talk to whom, by the versions of their interfaces."""

import pytest

from tashi.domain.errors import BadRequest, VersionMismatch
from tashi.wire import versions
from tashi.wire.versions import Interface, Line, Version

SERVED = Interface(
    "the example",
    (Line(Version(2, 0), "Everything anew."), Line(Version(2, 3), "An optional field.")),
)


@pytest.mark.parametrize("text", ["1.0", "12.34"])
def test_a_version_is_read_as_it_is_written(text: str) -> None:
    assert str(Version.read(text)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "1.0.0", "1.x", "-1.0", " 1.0", "1.0\n", "1.99999", "\u0661.\u0660"]
)
def test_what_is_no_version_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest, match=r"major\.minor"):
        Version.read(text)


@pytest.mark.parametrize(
    ("theirs", "spoken"), [((2, 2), (2, 2)), ((2, 3), (2, 3)), ((2, 4), (2, 3))]
)
def test_neighbours_speak_the_older_version(
    theirs: tuple[int, int], spoken: tuple[int, int]
) -> None:
    assert versions.agree(SERVED, Version(*theirs)) == spoken


@pytest.mark.parametrize("theirs", [(2, 1), (2, 5)])
def test_others_of_the_same_major_version_do_not_talk_unless_told_to(
    theirs: tuple[int, int],
) -> None:
    with pytest.raises(VersionMismatch) as caught:
        versions.agree(SERVED, Version(*theirs))

    assert caught.value.about == {"ours": "2.3", "theirs": str(Version(*theirs))}
    assert versions.agree(SERVED, Version(*theirs), relaxed=True) == min(theirs, (2, 3))


@pytest.mark.parametrize("relaxed", [False, True])
@pytest.mark.parametrize("theirs", [(1, 3), (3, 3)])
def test_those_of_another_major_version_never_talk_and_both_are_named(
    theirs: tuple[int, int], relaxed: bool
) -> None:
    with pytest.raises(VersionMismatch) as caught:
        versions.agree(SERVED, Version(*theirs), relaxed=relaxed)

    assert caught.value.message == (
        f"The example speaks version 2.3 of its interface, the caller version "
        f"{Version(*theirs)}: upgrade the older one."
    )


@pytest.mark.parametrize("spoken", ["2.2", "2.3"])
def test_a_request_in_a_version_served_is_admitted(spoken: str) -> None:
    assert str(versions.admit(SERVED, spoken)) == spoken


@pytest.mark.parametrize("spoken", ["2.1", "2.4"])
def test_a_request_in_another_version_is_refused_unless_told_to(spoken: str) -> None:
    with pytest.raises(VersionMismatch, match=r"2\.3"):
        versions.admit(SERVED, spoken)

    assert str(versions.admit(SERVED, spoken, relaxed=True)) == spoken


@pytest.mark.parametrize("interface", [versions.CLUSTER_MANAGER, versions.NODE_MANAGER])
def test_history_runs_from_the_oldest_line_to_the_version_served(interface: Interface) -> None:
    lines = [line.version for line in interface.history]

    assert lines == sorted(set(lines))
    assert interface.version == lines[-1]
    assert all(line.brought.endswith(".") for line in interface.history)
