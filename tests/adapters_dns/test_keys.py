"""Keys as administrators have them: old pairs and today's clauses; what holds none is said to."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from tashi.adapters.dns.keys import Key, made_key, read_key
from tashi.domain.errors import Misconfigured

SECRET = "lmHjV+7k6e+GvAS+Yks8UQ=="
RAW = bytes.fromhex("9661e357eee4e9ef86bc04be624b3c51")
PRIVATE = f"""Private-key-format: v1.3
Algorithm: 157 (HMAC_MD5)
Key: {SECRET}
Bits: AAA=
Created: 20160413014957
"""
CLAUSE = f"""
# made by tsig-keygen
key "merkabah" {{  // the cluster's
    algorithm HMAC-SHA256; /* secret "bm90IHRoaXM="; */
    secret "{SECRET}";
}};
"""


LONG = f"key m{{algorithm HMAC-MD5.SIG-ALG.REG.INT;secret {SECRET};}};"


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("file", "content", "key"),
    [
        ("Kmerkabah.+157+36480.private", PRIVATE, Key("merkabah", "hmac-md5", RAW)),
        ("Kmerkabah.lan.+163+00001.private", PRIVATE, Key("merkabah.lan", "hmac-sha256", RAW)),
        ("K{merkabah}.+165+1.private", PRIVATE, Key("{merkabah}", "hmac-sha512", RAW)),
        ("tashi.key", CLAUSE, Key("merkabah", "hmac-sha256", RAW)),
        ("k", LONG, Key("m", "hmac-md5", RAW)),
    ],
)  # fmt: skip
def test_a_key_is_read_from_either_kind_of_file(
    tmp_path: Path, file: str, content: str, key: Key
) -> None:
    read = read_key(written(tmp_path, file, content))

    assert read == key
    assert SECRET not in repr(read)


@pytest.mark.parametrize("secret", ['"ab//cdef"', '"//abcdef"', '"ab/+cd//"', "ab//cdef"])
def test_slashes_in_a_secret_begin_no_comment(tmp_path: Path, secret: str) -> None:
    content = (
        "# secret x;\nkey tashi {// one\n  algorithm hmac-sha256;/* secret y; */\n"
        f"  secret {secret};# secret z;\n}};\n"
    )

    key = read_key(written(tmp_path, "dns.key", content))

    assert base64.b64encode(key.secret).decode() == secret.strip('"')


@pytest.mark.system
@pytest.mark.parametrize("algorithm", ["hmac-md5", "hmac-sha1", "hmac-sha256", "hmac-sha512"])
def test_what_tsig_keygen_prints_is_a_key(tmp_path: Path, algorithm: str) -> None:
    program = shutil.which("tsig-keygen", path="/usr/sbin:/usr/bin")
    assert program, "tsig-keygen is not installed: see tools/debian-packages.txt"
    made = subprocess.run(
        [program, "-a", algorithm, "tashi"], capture_output=True, text=True, check=True
    )

    key = read_key(written(tmp_path, "dns.key", made.stdout))

    assert (key.name, key.algorithm) == ("tashi", algorithm)
    assert base64.b64encode(key.secret).decode() in made.stdout


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("tashi.key", "", "holds no key"),
        ("renamed.private", PRIVATE, "holds no key: give a file K<name>"),
        ("Kx.+157+1.private", PRIVATE.replace(SECRET, "?"), "not written in base64"),
        ("Kx.+157+1.private", PRIVATE.replace(SECRET, "é"), "not written in base64"),
        ("Kx.+003+1.private", PRIVATE, "'number 3' is no algorithm"),
        ("key", CLAUSE.replace("SHA256", "SHA3"), "is no algorithm for keys; there are hmac-md5"),
        ("key", CLAUSE.replace('secret "lm', 'secret "~'), "not written in base64"),
    ],
)
def test_what_holds_no_key_is_said_to(tmp_path: Path, file: str, content: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        read_key(written(tmp_path, file, content))


def test_a_file_that_cannot_be_read_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_key(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_key(tmp_path / "binary")


def test_a_key_with_a_name_that_dns_does_not_know_is_refused() -> None:
    with pytest.raises(Misconfigured, match="no name for a key"):
        made_key("a..b", "hmac-md5", SECRET).for_signing()
