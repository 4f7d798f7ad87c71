"""checkConfig finds what keeps a daemon from starting though each setting is right by itself."""

from pathlib import Path

import pytest

from tashi.programs import trying

HOOK = "[Primitive]\nhook1 = tashi.agents.DhcpDns\n"
DNS = "[DhcpDns]\ndnsServer = 127.0.0.1\ndnsDomain = a.test\ndhcpEnabled = False\n"
URL = "[Webhooks]\nurl1 = http://127.0.0.1/a\n"


def mistakes(folder: Path, **files: str) -> list[str]:
    for name, content in files.items():
        (folder / f"{name}.cfg").write_text(content)
    return list(trying.mistakes({"TASHI_CONFIG_DIRS": str(folder)}))


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("ipNetwork4 = 10.0.0.1/24\n", "but no ipRange4: give the addresses"),
        ("dnsKeyName = tashi\n", "dnsKeyName and dnsSecretKey belong together"),
        ("[Primitive]\nhook2 = billing.Notes\n", "say in hookPath which folder has the module"),
    ],
)
def test_a_scheduler_that_would_not_start_is_named(tmp_path: Path, agent: str, words: str) -> None:
    [mistake] = mistakes(tmp_path, Tashi=HOOK, Agent=DNS + agent)

    assert mistake.startswith("The scheduler does not start with these files: [")
    assert words in mistake


def test_an_accounting_daemon_that_would_not_start_is_named(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, Accounting=f"{URL}secret1 = short\n")

    assert mistake.startswith("The accounting daemon does not start with these files: [Webhooks]")


def test_what_is_kept_on_another_machine_is_not_missed_here(tmp_path: Path) -> None:
    assert mistakes(tmp_path, Tashi=HOOK + URL) == []


def test_nothing_is_said_of_what_would_start(tmp_path: Path) -> None:
    accounting = f"{URL}secret1 = a secret of sixteen letters\n"

    assert mistakes(tmp_path, Tashi=HOOK, Agent=DNS, Accounting=accounting) == []
