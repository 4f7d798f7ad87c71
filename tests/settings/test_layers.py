"""Files lie over each other in order, and what makes one unreadable is said with its place."""

import os
from pathlib import Path

from tashi.settings.layers import Mistake, Origin, read


def test_the_last_file_counts_and_says_where_it_gave_the_value(tmp_path: Path) -> None:
    first, second = tmp_path / "1.cfg", tmp_path / "2.cfg"
    first.write_text("[Vfs]\nprefix = /a\n[Client]\nclusterManagerPort = 1\n")
    second.write_text("# mine\n[Vfs]\nPREFIX = /b\n")

    reading = read([first, second, tmp_path / "missing.cfg"])

    given = reading.layers["Vfs"]["prefix"]
    assert (given.value, given.origin) == ("/b", Origin(str(second), 3))
    assert reading.layers["Client"]["clustermanagerport"].value == "1"
    assert reading.files == [first, second]
    assert reading.mistakes == []


def test_a_key_given_twice_in_a_file_is_a_mistake_that_names_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "T.cfg"
    path.write_text("[Vfs]\nprefix = /a\n[Client]\n[Vfs]\nPrefix = /b\n")

    (mistake,) = read([path]).mistakes

    assert str(mistake) == (
        f"{path}:5: [Vfs] Prefix: is given in line 2 of this file already; keep one of them"
    )


def test_a_line_that_says_nothing_is_a_mistake_whose_words_are_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "T.cfg"
    path.write_text("[DhcpDns]\ndhcpSecretKey hunter2\n")

    (mistake,) = read([path]).mistakes

    assert str(mistake) == f"{path}:2: is neither [section] nor key = value nor a comment"


def test_what_cannot_be_read_is_a_mistake_with_its_reason(tmp_path: Path) -> None:
    pipe, binary, dangling = tmp_path / "pipe", tmp_path / "binary", tmp_path / "dangling"
    os.mkfifo(pipe)
    binary.write_bytes(b"\xff\xfe\x00")
    dangling.symlink_to("nowhere")

    mistakes = read([pipe, binary, dangling, tmp_path / "missing" / "T.cfg"]).mistakes

    assert [str(mistake) for mistake in mistakes] == [
        f"{pipe}: cannot be read (it is no ordinary file); mend or remove it",
        f"{binary}: is no UTF-8 text",
        f"{dangling}: cannot be read (No such file or directory); mend or remove it",
    ]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "T.cfg"
    path.write_bytes(b"\xef\xbb\xbf[Vfs]\r\nprefix = /a\r\n")

    assert read([path]).layers["Vfs"]["prefix"].value == "/a"


def test_a_value_is_shown_on_one_line_without_control_characters_and_not_too_long() -> None:
    mistake = Mistake(
        origin=Origin("f", 1), section="s", key="k", value="a\nb\x1b[2J" + "c" * 500, wrong="no"
    )

    shown = str(mistake)

    assert shown.startswith("f:1: [s] k = a\\nb\\x1b[2Jccc")
    assert shown.endswith("c…: no")
    assert len(shown) < 160
