"""What a daemon says of its certificate before it expires, and after."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from certificates import Office
from fakes.clock import HandTurnedClock
from fakes.workers import HandWorkers
from tashi.adapters.pki import authority
from tashi.domain.errors import NotPermitted, PeerSilent, Refused
from tashi.programs import proving
from tashi.settings.load import Settings, load
from tashi.settings.search import Program


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def lasting(office: Office, days: int) -> Path:
    folder = office.issued("nodemanager", "rack1")
    authority.renew(office.folder, folder, days, datetime.now(UTC))
    return folder


def test_nothing_is_said_of_a_certificate_that_lasts(office: Office) -> None:
    assert proving.warning(lasting(office, 31)) is None


def test_a_month_ahead_it_names_the_folder_the_days_and_the_remedy(office: Office) -> None:
    folder = lasting(office, 29)

    words = proving.warning(folder)

    assert words is not None
    assert words.startswith(f"The certificate in {folder} expires in 29 days, on ")
    assert "renew it with tashi-admin renewCertificate" in words


def test_an_expired_one_is_called_so(office: Office) -> None:
    words = proving.warning(office.expired("nodemanager", "rack1"))

    assert words is not None
    assert " has expired, on " in words


def test_where_there_is_none_nothing_is_said(tmp_path: Path) -> None:
    assert proving.warning(tmp_path) is None


# ---- renewal by itself --------------------------------------------------------------------------


def settings(folder: Path, pki: Path) -> Settings:
    """Those of a machine whose certificates are in that folder."""
    (folder / "Tashi.cfg").write_text(f"[Security]\nauthAndEncrypt = True\npkiDir = {pki}\n")
    return load(Program.NODE_MANAGER, {"TASHI_CONFIG_DIRS": str(folder)})


def away(office: Office, folder: Path, days: int) -> Path:
    """A node's machine, where the authority's key is not; its certificate lasts so long."""
    own = folder / "rack1/nodemanager"
    own.parent.mkdir()
    lasting(office, days).rename(own)
    return own


def left(folder: Path) -> float:
    lasts = authority.look(folder)
    assert lasts is not None
    return lasts.days(datetime.now(UTC))


def watched(expiry: proving.Expiry, workers: HandWorkers) -> None:
    expiry.tick()
    workers.run_all()


@pytest.fixture
def workers() -> HandWorkers:
    return HandWorkers(HandTurnedClock())


def test_where_the_authoritys_key_is_a_daemon_renews_its_own(
    office: Office, tmp_path: Path, workers: HandWorkers
) -> None:
    own = office.folder / "nodemanager"
    lasting(office, 20).rename(own)

    watched(proving.Expiry(settings(tmp_path, office.folder), "nodemanager", workers), workers)

    assert left(own) > 360


def test_elsewhere_the_cluster_manager_renews_it(
    office: Office, tmp_path: Path, workers: HandWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    own = away(office, tmp_path, 20)
    sign = proving.renewal(settings(tmp_path, office.folder))
    assert sign is not None
    expiry = proving.Expiry(
        settings(tmp_path, own.parent),
        "nodemanager",
        workers,
        lambda held: sign(held, "nodemanager rack1"),
    )

    watched(expiry, workers)

    assert left(own) > 360
    assert caplog.messages[0] == "The certificate of the nodemanager rack1 is renewed."
    assert caplog.messages[1].startswith(f"The certificate in {own} is renewed, until ")


def test_one_that_lasts_is_left_alone(office: Office, tmp_path: Path, workers: HandWorkers) -> None:
    own = away(office, tmp_path, 40)

    def ask(_: str) -> str:
        raise AssertionError

    watched(proving.Expiry(settings(tmp_path, own.parent), "nodemanager", workers, ask), workers)

    assert 38 < left(own) < 41


def test_why_it_is_not_renewed_is_said_with_the_remedy(
    office: Office, tmp_path: Path, workers: HandWorkers, caplog: pytest.LogCaptureFixture
) -> None:
    own = away(office, tmp_path, 20)

    def ask(_: str) -> str:
        raise PeerSilent("Nobody answers.")

    watched(proving.Expiry(settings(tmp_path, own.parent), "nodemanager", workers, ask), workers)

    (words,) = caplog.messages
    assert f"The certificate in {own} expires in 20 days" in words
    assert words.endswith("It was not renewed by itself: Nobody answers.")


@pytest.mark.parametrize(
    ("days", "whose", "error", "words"),
    [
        (20, "nodemanager rack2", NotPermitted, "is the certificate of nodemanager rack1, not"),
        (20, "user root", NotPermitted, "is the certificate of nodemanager rack1, not"),
        (40, "nodemanager rack1", Refused, "it is too early"),
    ],
)
def test_a_certificate_is_renewed_for_its_holder_when_it_ends_soon(
    office: Office, tmp_path: Path, days: int, whose: str, error: type[Exception], words: str
) -> None:
    sign = proving.renewal(settings(tmp_path, office.folder))
    assert sign is not None
    held = authority.held_in(lasting(office, days)).decode()

    with pytest.raises(error, match=words):
        sign(held, whose)


def test_what_is_no_certificate_of_ours_is_not_renewed(office: Office, tmp_path: Path) -> None:
    sign = proving.renewal(settings(tmp_path, office.folder))
    assert sign is not None
    (tmp_path / "other").mkdir()
    other = Office(tmp_path / "other")
    held = authority.held_in(lasting(other, 20)).decode()

    with pytest.raises(Refused, match="another authority"):
        sign(held, "nodemanager rack1")
    with pytest.raises(Refused, match="That is no certificate"):
        sign("nonsense", "nodemanager rack1")


def test_when_it_ends_is_measured(office: Office, tmp_path: Path, workers: HandWorkers) -> None:
    own = away(office, tmp_path, 20)

    (reading,) = proving.Expiry(settings(tmp_path, own.parent), "nodemanager", workers).readings()

    lasts = authority.look(own)
    assert lasts is not None
    assert reading.value == lasts.until.timestamp()


def test_what_ends_soon_on_this_machine_is_listed(office: Office, tmp_path: Path) -> None:
    own = away(office, tmp_path, 20)

    (words,) = proving.warnings(settings(tmp_path, own.parent))

    assert words.startswith(f"The certificate in {own} expires in 20 days")


def test_one_s_own_certificate_that_ends_soon_is_listed_too(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    own = tmp_path / ".tashi/pki"
    own.parent.mkdir()
    lasting(office, 20).rename(own)

    (words,) = proving.warnings(settings(tmp_path, tmp_path / "nothing"))

    assert words.startswith(f"The certificate in {own} expires in 20 days")


def test_who_has_no_home_has_no_certificate_there(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    folder = office.issued("user", "ada")
    asked = settings(tmp_path, folder)

    assert proving.persons(asked) is not None
    assert proving.warnings(asked) == []
    assert proving.warning_to_person() is None
