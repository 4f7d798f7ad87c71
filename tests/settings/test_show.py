"""--show-settings shows every setting with its origin, can be read back, and hides secrets."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tashi.settings import show
from tashi.settings.load import load
from tashi.settings.search import Program
from tashi.settings.sections.clustermanager import ClusterManagerSettings
from tashi.settings.syntax import parse

Configure = Callable[..., Mapping[str, str]]

TEXT = """\
[ClusterManagerService]
expireHostTime = 12
[LdapOverride]
ldapCommand = ldapsearch -x -w hunter2
[FromConfig]
host1 = Host(name='node1',
    memory=1024, cores=4)
user1 = User(name='alice', passwd='hunter2')
[SQL]
password =
"""


def test_a_client_shows_its_own_sections(configure: Configure, tmp_path: Path) -> None:
    environment = {**configure("[Client]\nclusterManagerHost = merkabah\n"), "TASHI_CM_PORT": "99"}

    shown = show.as_text(load(Program.CLIENT, environment))

    assert shown == (
        "[Security]\n"
        "# default\nauthAndEncrypt = False\n"
        "# default\ntrustedNetworks =\n"
        "# default\n# localSocket =\n"
        "# default\npasswordTable = /var/lib/tashi/passwords\n"
        "# default\nticketTime = 43200.0\n"
        "# default\npkiDir = /etc/tashi/pki\n"
        "\n[AccessClusterManager]\n"
        "# default\n# username =\n"
        "# default\n# password =\n"
        "# default\n# passwordFile =\n"
        "\n[Client]\n"
        f"# {tmp_path}/Tashi.cfg:2\nclusterManagerHost = merkabah\n"
        "# TASHI_CM_PORT\nclusterManagerPort = 99\n"
        "# default\nclusterManagerTimeout = 10.0\n"
    )


@pytest.mark.parametrize("show_it", [show.as_text, show.as_json])
def test_secrets_are_masked(configure: Configure, show_it: Callable[..., str]) -> None:
    shown = show_it(load(Program.CLUSTER_MANAGER, configure(TEXT)))

    assert "hunter2" not in shown
    assert "********" in shown


def test_what_is_shown_is_a_configuration_again(configure: Configure) -> None:
    settings = load(Program.CLUSTER_MANAGER, configure(TEXT))

    shown = parse(show.as_text(settings))

    values = {(entry.section, entry.key): entry.value for entry in shown.entries}
    assert shown.unclear == []
    assert values["ClusterManagerService", "expireHostTime"] == "12"
    assert values["FromConfig", "host1"] == "Host(name='node1',\nmemory=1024, cores=4)"
    assert values["SQL", "password"] == ""
    assert values["handlers", "keys"] == "consoleHandler"
    again = load(Program.CLUSTER_MANAGER, configure(show.as_text(settings)))
    assert again.of(ClusterManagerSettings) == settings.of(ClusterManagerSettings)


def test_the_json_form_gives_value_and_origin(configure: Configure, tmp_path: Path) -> None:
    shown = json.loads(show.as_json(load(Program.CLUSTER_MANAGER, configure(TEXT))))

    assert shown["ClusterManagerService"]["expireHostTime"] == {
        "value": "12",
        "origin": f"{tmp_path}/Tashi.cfg:2",
    }
    assert shown["SQL"]["uri"] == {"value": None, "origin": "default"}
