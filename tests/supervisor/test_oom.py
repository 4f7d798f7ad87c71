"""The keeper is the last to be killed when memory runs out, its daemon takes its turn."""

from pathlib import Path

import pytest

from tashi.supervisor.oom import OomShield


@pytest.fixture
def score(tmp_path: Path) -> Path:
    path = tmp_path / "oom_score_adj"
    path.write_text("0")
    return path


def test_the_keeper_protects_itself(score: Path) -> None:
    shield = OomShield(score)

    warning = shield.put_up()

    assert (warning, score.read_text()) == ("", "-1000")


def test_what_is_started_under_a_lowered_shield_is_ordinary(score: Path) -> None:
    shield = OomShield(score)
    shield.put_up()

    with shield.lowered():
        inherited = score.read_text()

    assert (inherited, score.read_text()) == ("0", "-1000")


def test_the_shield_is_up_again_after_a_start_that_failed(score: Path) -> None:
    shield = OomShield(score)
    shield.put_up()

    with pytest.raises(FileNotFoundError), shield.lowered():
        raise FileNotFoundError

    assert score.read_text() == "-1000"


def test_without_the_right_to_it_there_is_one_warning_and_nothing_changes(tmp_path: Path) -> None:
    shield = OomShield(tmp_path / "nowhere" / "oom_score_adj")

    warning = shield.put_up()
    with shield.lowered():
        pass

    assert warning == (
        "The kernel may kill nmd when memory runs out (No such file or directory):"
        " to protect itself it needs root's CAP_SYS_RESOURCE."
    )
