"""What images are called and what their first bytes say, whatever the bytes are."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disk_images import MIB, qcow2
from tashi.domain.errors import Refused
from tashi.domain.images import (
    FORMATS,
    UNKNOWN,
    ImageFacts,
    check_is_disk,
    checked_image_name,
    complaint_about_base,
    names_another_protocol,
    new_image_name,
    read_facts,
    relative_name,
    size_in_words,
)


def facts(image: bytes) -> ImageFacts:
    return read_facts(lambda at, count: image[at : at + count], len(image))


def changed(image: bytes, at: int, what: bytes) -> bytes:
    return image[:at] + what + image[at + len(what) :]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (b"", ImageFacts()),
        (b"letter", ImageFacts()),
        (bytes(512), ImageFacts("raw", 512)),
        (qcow2(), ImageFacts("qcow2", MIB)),
        (qcow2(512, "../b", "qcow2"), ImageFacts("qcow2", 512, "../b", "qcow2")),
        (qcow2(features=1 << 2), ImageFacts("qcow2", MIB, data_elsewhere=True)),
        (qcow2(features=1 << 1), ImageFacts("qcow2", MIB)),
        (b"KDMV" + bytes(508), ImageFacts("vmdk")),
        (bytes(0x40) + b"\x7f\x10\xda\xbe" + bytes(444), ImageFacts("vdi")),
    ],
)
def test_an_image_is_what_its_first_bytes_say(image: bytes, expected: ImageFacts) -> None:
    assert facts(image) == expected


@pytest.mark.parametrize(
    "image",
    [
        qcow2()[:50],
        qcow2()[:80],
        changed(qcow2(), 36, bytes(12))[:80],  # no L1 table, and half the rest of the header
        changed(qcow2(), 4, struct.pack(">I", 1)),  # version
        changed(qcow2(), 20, struct.pack(">I", 8)),  # cluster bits
        changed(qcow2(backing="b"), 16, struct.pack(">I", 1024)),  # length of the backing's name
        changed(qcow2(), 40, struct.pack(">Q", 1 << 40)),  # place of the L1 table
        changed(qcow2(backing="b"), 8, struct.pack(">Q", 1 << 40)),  # place of the backing's name
    ],
)
def test_a_header_that_makes_no_sense_is_of_no_known_format(image: bytes) -> None:
    assert facts(image) == ImageFacts()


def test_an_older_header_is_read_and_other_extensions_are_passed_over() -> None:
    old = bytearray(qcow2(backing="base", backing_format="raw"))
    old[4:8] = struct.pack(">I", 2)
    extensions = struct.pack(">II5s3x", 0x6803F857, 5, b"other")
    extensions += struct.pack(">II3s5x", 0xE2792ACA, 3, b"raw")
    old[72 : 72 + len(extensions)] = extensions
    old[8:16] = struct.pack(">Q", 72 + len(extensions))
    old[72 + len(extensions) : 76 + len(extensions)] = b"base"

    assert facts(bytes(old)) == ImageFacts("qcow2", MIB, "base", "raw")


def test_of_several_formats_for_the_base_the_last_counts_as_for_qemu() -> None:
    image = bytearray(qcow2(backing="base"))
    first = struct.pack(">II3s5x", 0xE2792ACA, 3, b"raw")
    other = struct.pack(">II", 0x6803F857, 1 << 17) + bytes(1 << 17)
    extensions = first + other + struct.pack(">II5s3x", 0xE2792ACA, 5, b"qcow2")
    image[8:16] = struct.pack(">Q", 104 + len(extensions))
    whole = bytes(image[:104]) + extensions + b"base"

    assert facts(whole.ljust(4 * 65536, b"\0")).backing_format == "qcow2"


@pytest.mark.parametrize(
    ("said", "form", "words"),
    [
        ("raw", "raw", ""),
        ("qcow2", "raw", "as if that were qcow2, and it is raw"),
        (None, "qcow2", "without saying of what format, and it is qcow2"),
        ("", "raw", "without saying of what format"),
    ],
)
def test_an_image_must_say_of_what_format_its_base_is(
    said: str | None, form: str, words: str
) -> None:
    top = ImageFacts("qcow2", MIB, "base", said)

    assert words in complaint_about_base(top, ImageFacts(form))
    assert bool(words) == bool(complaint_about_base(top, ImageFacts(form)))
    assert complaint_about_base(ImageFacts("qcow2"), ImageFacts()) == ""


@given(st.binary(max_size=400), st.integers(0, 120))
def test_no_bytes_are_too_strange(noise: bytes, at: int) -> None:
    for image in (noise, b"QFI\xfb" + noise, changed(qcow2(backing="b"), at, noise)):
        found = facts(image)
        assert found.is_disk or found == ImageFacts(found.format)


@pytest.mark.parametrize(
    ("typed", "name"),
    [("web.qcow2", "web.qcow2"), ("/teams/a b.raw/", "teams/a b.raw"), ("ü" * 100, "ü" * 100)],
)
def test_a_name_is_a_place_below_the_folder(typed: str, name: str) -> None:
    assert checked_image_name(typed) == new_image_name(typed) == name


@pytest.mark.parametrize("check", [checked_image_name, new_image_name])
@pytest.mark.parametrize(
    "typed",
    [
        *("", "/", ".", "..", "../x", "a/../b", "a//b", "a/./b", ".hidden", "a/.b/c"),
        *("a\0b", "a\nb", "a\x1b[2Jb", "\u202egnp", "a,b", "nbd:x", 'a"b', "a\\b", "json:{}"),
    ],
)
def test_what_leads_elsewhere_or_would_be_an_option_is_no_name(
    check: Callable[[str], str], typed: str
) -> None:
    with pytest.raises(Refused):
        check(typed)


@pytest.mark.parametrize("typed", ["x" * 201, "ü" * 101, f"{'y' * 201}/x", "/".join(["x"] * 300)])
def test_a_name_that_is_too_long_is_refused(typed: str) -> None:
    with pytest.raises(Refused, match="too long"):
        new_image_name(typed)


@pytest.mark.parametrize(
    ("base", "of", "name"),
    [("b", "a", "b"), ("b", "x/a", "../b"), ("x/b", "x/a", "b"), ("x/b", "y/z/a", "../../x/b")],
)
def test_an_image_refers_to_another_from_its_own_folder(base: str, of: str, name: str) -> None:
    assert relative_name(base, of) == name


def test_a_colon_before_the_first_slash_is_another_protocol() -> None:
    named = ["nbd:x", "json:{}", "file:x", "a/b:c", "/x:y", "base"]

    assert list(filter(names_another_protocol, named)) == ["nbd:x", "json:{}", "file:x"]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 42, "4.0 TiB"),
    ],
)
def test_sizes_are_said_in_the_unit_that_fits(size: int, words: str) -> None:
    assert size_in_words(size) == words


def test_what_guests_are_not_given_is_refused_with_what_it_is() -> None:
    for form in FORMATS:
        check_is_disk("web", form)

    with pytest.raises(Refused, match="'web' cannot be used: it is no disk image, neither sound"):
        check_is_disk("web", UNKNOWN)
    with pytest.raises(Refused, match="its format is vmdk, which Tashi does not open: make it"):
        check_is_disk("web", "vmdk")
