"""No form and no call changes unnoticed."""

from tashi.wire.versions import CLUSTER_MANAGER, NODE_MANAGER, Version
from wire import fingerprints

REMEDY = (
    "The shape on the wire has changed. Programs of other versions must still understand it: give "
    "the interface in src/tashi/wire/versions.py a new line of history (a call or an optional "
    "field more: a minor version; anything else: a major one), unless that version is not released "
    "yet. Say it in changes/ if stored data is concerned, too. Then run `make docs` and "
    "`PYTHONPATH=src:tests python -m wire.fingerprints`, and commit what they wrote."
)


def test_every_form_and_call_is_as_it_was() -> None:
    present, kept = fingerprints.present(), fingerprints.read()

    changed = {name for name in {*present, *kept} if present.get(name) != kept.get(name)}

    assert not changed, f"{sorted(changed)}: {REMEDY}"


def test_no_form_or_call_is_newer_than_its_interface() -> None:
    newest = max(CLUSTER_MANAGER.version, NODE_MANAGER.version)

    stamps = fingerprints.read().values()

    assert all(Version.read(stamp.partition("-")[0]) <= newest for stamp in stamps)
