"""Every kind reads what it promises and says in words what is wrong with the rest."""

from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tashi.settings import addresses, kinds
from tashi.settings.addresses import Address, AddressRange
from tashi.settings.kinds import Kind, Place, Unsuitable

IMPLEMENTATION = kinds.implementation("tashi.dfs.Vfs")
ACCEL = kinds.choice("auto", "kvm", "tcg")


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (kinds.seconds, "30.0", 30.0),
        (kinds.seconds, "30", 30.0),
        (kinds.seconds, ".5", 0.5),
        (kinds.seconds_or_never, "0", 0.0),
        (kinds.ratio, "1.5", 1.5),
        (kinds.mebibytes, "8192", 8192),
        (kinds.mebibytes_or_none, "0", 0),
        (kinds.cores, "8", 8),
        (kinds.port, "9882", 9882),
        (kinds.listening_port, "0", 0),
        (kinds.flag, "True", True),
        (kinds.flag, "off", False),
        (kinds.flag, "1", True),
        (kinds.text, "", ""),
        (kinds.text, "a b", "a b"),
        (kinds.word, "sAMAccountName", "sAMAccountName"),
        (kinds.path, "/srv/tashi/", Path("/srv/tashi")),
        (kinds.program, "qemu-system-x86_64", "qemu-system-x86_64"),
        (kinds.program, "/usr/bin/kvm", "/usr/bin/kvm"),
        (kinds.command, "zstd -1 'a b'", ("zstd", "-1", "a b")),
        (kinds.hostname, "merkabah", "merkabah"),
        (kinds.hostname, "node-1.example.test.", "node-1.example.test."),
        (kinds.hostname, "127.0.0.1", "127.0.0.1"),
        (kinds.hostname, "::1", "::1"),
        (kinds.places, "merkabah", (Place("merkabah"),)),
        (kinds.places, "cm1, cm2:9990", (Place("cm1"), Place("cm2", 9990))),
        (kinds.places, "10.0.0.1:1, fd00::1", (Place("10.0.0.1", 1), Place("fd00::1"))),
        (kinds.places, "[fd00::1]:9882,[fd00::2]", (Place("fd00::1", 9882), Place("fd00::2"))),
        (kinds.networks, "", ()),
        (
            kinds.networks,
            "10.0.0.0/8, fd00::/8",
            (ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
        ),
        (kinds.several(kinds.port), "80, 443,", (80, 443)),
        (addresses.address(53), "10.0.0.1", Address("10.0.0.1", 53)),
        (addresses.address(53), "ns.example.test 5353", Address("ns.example.test", 5353)),
        (addresses.address_range, "10.0.0.1 - 10.0.0.9", AddressRange("10.0.0.1", "10.0.0.9")),
        (addresses.address_range, "fd00::1-fd00::1", AddressRange("fd00::1", "fd00::1")),
        (IMPLEMENTATION, "tashi.dfs.Vfs", "tashi.dfs.Vfs"),
        (ACCEL, "KVM", "kvm"),
    ],
)
def test_a_good_text_becomes_its_value(kind: Kind[object], written: str, value: object) -> None:
    read = kind.read(written)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "written", "wrong"),
    [
        (kinds.places, "", "is empty"),
        (kinds.places, "cm1:", "is no whole number"),
        (kinds.places, "cm1:0", "is outside 1 to 65535"),
        (kinds.places, "cm1 cm2", "is neither a host's name nor an IP address"),
        (kinds.places, "[fd00::1]9882", "is no IP address"),
        (kinds.seconds, "soon", "is no decimal number"),
        (kinds.seconds, "nan", "is no decimal number"),
        (kinds.seconds, "1_0", "is no decimal number"),
        (kinds.seconds, "-1", "is below 0"),
        (kinds.seconds, "0", "must be more than 0"),
        (kinds.seconds, "99999999999", "is more than 1e+09"),
        (kinds.mebibytes, "0", "is outside 1 to"),
        (kinds.mebibytes, "1.5", "is no whole number"),
        (kinds.mebibytes, "٣", "is no whole number"),
        (kinds.mebibytes, "9" * 5000, "is outside"),
        (kinds.port, "65536", "is outside 1 to 65535"),
        (kinds.port, "", "is no whole number"),
        (kinds.flag, "maybe", "is neither true nor false"),
        (kinds.text, "two\nlines", "holds a line break"),
        (kinds.secret, "\x1b[2J", "holds a line break or another character"),
        (kinds.word, "", "is not one word"),
        (kinds.word, "two words", "is not one word"),
        (kinds.path, "", "is empty"),
        (kinds.path, "/a\0b", "holds a line break or another"),
        (kinds.path, "~nobody-of-this-name/x", "that user has no home folder"),
        (kinds.program, "qemu -S", "is not one word"),
        (kinds.command, "zstd '-1", "never closed"),
        (kinds.command, "", "names no program"),
        (kinds.command, "gzip -c > /tmp/x", "a line for a shell"),
        (kinds.command, "gzip 2>&1 | tee x", "a line for a shell"),
        (kinds.command, "nice && gzip", "a line for a shell"),
        (kinds.hostname, "", "is neither a host's name"),
        (kinds.hostname, "merk abah", "is neither a host's name"),
        (kinds.hostname, "-x", "is neither a host's name"),
        (kinds.hostname, "a" * 64, "is neither a host's name"),
        (kinds.hostname, ".".join(["a" * 60] * 5), "is neither a host's name"),
        (kinds.hostname, "10.0.0.256", "is no IP address"),
        (kinds.hostname, "53", "is no IP address"),
        (kinds.hostname, "a:b", "is no IP address"),
        (kinds.url, "https://a..b/hook", "is neither a host's name"),
        (kinds.url, f"https://{'a' * 64}/hook", "is neither a host's name"),
        (kinds.networks, "10.0.0.1/8", "has a part that is no network"),
        (kinds.several(kinds.port), "80, x", "is no whole number"),
        (addresses.address(53), "", "is not a host followed by a port"),
        (addresses.address(53), "a 1 2", "is not a host followed by a port"),
        (addresses.address(53), "a 0", "is outside 1 to 65535"),
        (addresses.address_range, "10.0.0.1", "is not two IP addresses"),
        (addresses.address_range, "10.0.0.9-10.0.0.1", "ends before it begins"),
        (addresses.address_range, "10.0.0.9-fd00::1", "mixes IPv4 and IPv6"),
        (IMPLEMENTATION, "os.system", "names nothing that this Tashi has"),
        (ACCEL, "xen", "is not one of the choices"),
    ],
)
def test_a_bad_text_is_refused_in_words(kind: Kind[object], written: str, wrong: str) -> None:
    with pytest.raises(Unsuitable) as refusal:
        kind.read(written)

    assert wrong in str(refusal.value)


@pytest.mark.parametrize("kind", [kinds.path, kinds.program])
def test_a_tilde_stands_for_the_home_folder(
    kind: Kind[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/srv/alice")

    read = kind.read("~/tashi")

    assert str(read) == "/srv/alice/tashi"


@given(st.text())
@example("0\n[")
def test_no_text_makes_a_kind_fail_otherwise_than_in_words(written: str) -> None:
    every = [kind for kind in vars(kinds).values() if isinstance(kind, Kind)]
    every += [addresses.address(53), addresses.address_range, kinds.several(kinds.path)]

    for kind in every:
        with suppress(Unsuitable):
            kind.read(written)


@given(st.lists(st.integers(1, 65535)))
def test_several_values_are_written_as_they_are_read(values: list[int]) -> None:
    kind = kinds.several(kinds.port)

    assert kind.read(kind.write(tuple(values))) == tuple(values)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (kinds.networks, "10.0.0.0/8, fd00::/8"),
        (addresses.address(53), "10.0.0.1 53"),
        (addresses.address_range, "10.0.0.1-10.0.0.9"),
    ],
)
def test_networks_and_servers_are_written_as_they_are_read(
    kind: Kind[object], written: str
) -> None:
    assert kind.write(kind.read(written)) == written
