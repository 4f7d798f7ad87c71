"""Webhooks: what is posted and how it is signed, and receivers of every sort."""

import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import Office
from fakes.clock import HandTurnedClock
from receivers import Mood, Receiver, answering, hang, ramble, slam, trickle
from tashi.adapters.accounting import webhook
from tashi.adapters.accounting.bookmark import Bookmark
from tashi.adapters.accounting.webhook import Webhook
from tashi.adapters.pki import authority
from tashi.adapters.system.clock import SystemClock
from tashi.domain.errors import DeliveryFailed
from tashi.domain.identity import EventNumber
from tashi.ports.outlets import BEGINNING, Place

SECRET = "a secret of sixteen letters"
EVENT = b'{"number":%d,"at":1.5,"line":"CM VM UPDATE","name":"\xc3\xa4"}\n'


class Hooked:
    """A receiver and a webhook to it."""

    def __init__(self, folder: Path, path: str = "/hook?token=hush", seconds: float = 30.0) -> None:
        self.receiver = Receiver()
        self.folder = folder
        url = f"http://127.0.0.1:{self.receiver.port}{path}"
        self.hook = Webhook(
            webhook.Receiver(url, SECRET, seconds),
            Bookmark(folder / "hook.json"),
            HandTurnedClock(wall=1_764_428_290.4),
        )
        self.hook.place(lambda: BEGINNING)

    def take(self, *numbers: int) -> None:
        self.hook.take(1, [EVENT % number for number in numbers])

    def stop(self) -> None:
        self.hook.close()
        self.receiver.stop()


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Hooked]:
    made = Hooked(tmp_path)
    yield made
    made.stop()


def test_an_event_is_posted_as_it_is_with_its_number_as_the_key(hooked: Hooked) -> None:
    hooked.take(4711)

    [post] = hooked.receiver.posts
    assert post.body == (EVENT % 4711).rstrip()
    assert post.target == "/hook?token=hush"
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["Idempotency-Key"] == '"4711"'
    assert post.headers["Host"] == f"127.0.0.1:{hooked.receiver.port}"
    assert post.headers["User-Agent"].startswith("tashi/")


def test_timestamp_and_body_are_signed(hooked: Hooked) -> None:
    hooked.take(1)

    [post] = hooked.receiver.posts
    signed = post.headers["Tashi-Timestamp"].encode() + b"." + post.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert post.headers["Tashi-Timestamp"] == "1764428290"
    assert post.headers["Tashi-Signature"] == f"sha256={expected}"


def test_one_connection_carries_many_events(hooked: Hooked) -> None:
    hooked.take(1, 2, 3)
    hooked.take(4)

    assert len(hooked.receiver.posts) == 4
    assert len(hooked.receiver.connections) == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(hooked: Hooked) -> None:
    hooked.take(1)
    hooked.receiver.hang_up()

    hooked.take(2)

    assert [post.headers["Idempotency-Key"] for post in hooked.receiver.posts] == ['"1"', '"2"']


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        (answering(500), "the answer was 500, and not one from 200 to 299"),
        (answering(404), "the answer was 404"),
        (answering(302, Location="http://127.0.0.1:1/elsewhere"), "the answer was 302"),
        (slam, "."),
    ],
)
def test_whatever_is_no_acknowledgement_is_told_and_the_event_comes_again(
    hooked: Hooked, mood: Mood, why: str
) -> None:
    hooked.receiver.moods = [answering(204), mood, mood]

    with pytest.raises(DeliveryFailed, match="Event 2 is not acknowledged: ") as failed:
        hooked.take(1, 2, 3)
    hooked.receiver.moods = []
    place = hooked.hook.place(lambda: BEGINNING)
    hooked.take(2, 3)

    assert why in failed.value.message
    assert "hush" not in failed.value.message + hooked.hook.name
    assert place == Place(1, EventNumber(1))
    assert [post.headers["Idempotency-Key"] for post in hooked.receiver.posts][-2:] == [
        '"2"',
        '"3"',
    ]


@pytest.mark.parametrize("mood", [hang, trickle])
def test_a_receiver_has_so_long_and_no_longer(tmp_path: Path, mood: Mood) -> None:
    hooked = Hooked(tmp_path, seconds=0.3)
    hooked.receiver.moods = [mood]

    with pytest.raises(DeliveryFailed, match=r"that took longer than 0\.3 s"):
        hooked.take(1)
    hooked.stop()


def test_an_acknowledgement_counts_whatever_is_said_after_it(tmp_path: Path) -> None:
    hooked = Hooked(tmp_path)
    hooked.receiver.moods = [ramble]

    hooked.take(1, 2)

    assert len(hooked.receiver.posts) == 2
    assert len(hooked.receiver.connections) == 2
    hooked.stop()


def test_nobody_there_is_told(tmp_path: Path) -> None:
    hooked = Hooked(tmp_path)
    hooked.receiver.stop()

    with pytest.raises(DeliveryFailed, match="Connection refused"):
        hooked.take(1)
    hooked.stop()


def test_the_past_is_not_told_to_who_comes_new(tmp_path: Path) -> None:
    hooked = Hooked(tmp_path)
    (tmp_path / "hook.json").unlink()

    first = hooked.hook.place(lambda: Place(3, EventNumber(77)))
    later = hooked.hook.place(lambda: Place(4, EventNumber(99)))

    assert first == later == Place(3, EventNumber(77))
    hooked.stop()


@pytest.mark.parametrize(("path", "target"), [("", "/"), ("?a=b", "/?a=b"), ("/x#y", "/x")])
def test_an_address_may_have_any_path(tmp_path: Path, path: str, target: str) -> None:
    hooked = Hooked(tmp_path, path)

    hooked.take(1)

    assert hooked.receiver.posts[0].target == target
    hooked.stop()


@pytest.fixture
def certified(tmp_path: Path) -> tuple[Path, Path]:
    """A server's certificate with its key in one file, and the authority's certificate."""
    office = Office(tmp_path)
    folder = office.issued("clustermanager", "localhost", "localhost")
    both = tmp_path / "both.pem"
    names = (authority.CERTIFICATE, authority.KEY)
    both.write_text("".join((folder / name).read_text() for name in names))
    return both, office.folder / authority.AUTHORITY


def test_a_receiver_under_tls_must_prove_its_name(
    tmp_path: Path, certified: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, believed = certified
    receiver = Receiver(certificate)
    bookmark = Bookmark(tmp_path / "hook.json")
    url = f"https://localhost:{receiver.port}/hook"
    hook = Webhook(webhook.Receiver(url, SECRET), bookmark, HandTurnedClock())

    with pytest.raises(DeliveryFailed, match="certificate verify failed"):
        hook.take(1, [EVENT % 1])
    monkeypatch.setenv("SSL_CERT_FILE", str(believed))
    hook.take(1, [EVENT % 1])
    hook.take(1, [EVENT % 2])

    assert len(receiver.posts) == 2
    hook.close()
    receiver.stop()


def test_a_receiver_that_hangs_in_its_handshake_is_given_up(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.moods = [hang]
    url = f"https://127.0.0.1:{receiver.port}/hook"
    hook = Webhook(
        webhook.Receiver(url, SECRET, 0.3), Bookmark(tmp_path / "hook.json"), HandTurnedClock()
    )

    with pytest.raises(DeliveryFailed, match="Event 1 is not acknowledged"):
        hook.take(1, [EVENT % 1])
    hook.close()
    receiver.stop()


def test_the_receivers_check_in_the_manual_takes_what_is_genuine(
    tmp_path: Path, checkout: Path
) -> None:
    manual = (checkout / "doc/operations.md").read_text(encoding="utf-8")
    [code] = [one for one in manual.split("```") if "def is_genuine" in one]
    program = tmp_path / "check.py"
    program.write_text(
        code.removeprefix("python\n")
        + "import json, sys\n"
        + "secret, headers, body = json.load(sys.stdin)\n"
        + "sys.exit(not is_genuine(secret, headers, body.encode()))\n"
    )
    now = f"{SystemClock().wall():.0f}"
    body = (EVENT % 1).strip().decode()

    def is_taken(secret: str, timestamp: str, said: str) -> bool:
        headers = {
            "Tashi-Timestamp": timestamp,
            "Tashi-Signature": webhook.signature(SECRET, timestamp, said.encode()),
        }
        told = json.dumps([secret, headers, body])
        ended = subprocess.run([sys.executable, program], input=told, text=True, check=False)
        return ended.returncode == 0

    assert is_taken(SECRET, now, body)
    assert not is_taken(SECRET, now, body + " ")
    assert not is_taken("another secret", now, body)
    assert not is_taken(SECRET, str(int(now) - 1000), body)
