"""What a client says beside the result, to whoever has called the cluster manager."""

import json

from fakes.clients import Shell
from fakes.clusters import FakeClusterManager

WORDS = "The certificate in ~/.tashi/pki expires in 20 days."


def test_it_is_said_behind_the_result_and_to_scripts_as_well() -> None:
    shell = Shell(FakeClusterManager(), caution=WORDS)

    plain = shell.type("getHosts")
    as_json = shell.type("getHosts", "--output", "json")

    assert plain.err == f"{WORDS}\n"
    assert json.loads(as_json.err) == {"warning": WORDS}
    assert json.loads(as_json.out)
    assert (plain.code, as_json.code) == (0, 0)


def test_nothing_is_said_where_nobody_is_called() -> None:
    shell = Shell(FakeClusterManager(), caution=WORDS)

    assert shell.type("--version").err == ""
    assert shell.type("getHosts", "--help").err == ""
