"""The clients as processes: real arguments, real sockets, real exit codes."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fakes.clusters import FakeClusterManager, entry
from fakes.records import WEB
from tashi.adapters.rpyc.listening import listen

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SLOW_TO_LOAD = {
    "asyncio",
    "concurrent.futures",
    "configparser",
    "cryptography",
    "email",
    "json",
    "logging",
    "multiprocessing",
    "rpyc",
    "shtab",
    "sqlalchemy",
    "ssl",
    "subprocess",
    "tempfile",
}
"""What Python or a command needs for other things, and takes longer to load than to list."""


@pytest.fixture
def manager() -> FakeClusterManager:
    return FakeClusterManager()


@pytest.fixture
def surroundings(
    manager: FakeClusterManager, tmp_path: Path, checkout: Path
) -> Iterator[Mapping[str, str]]:
    """An environment in which the clients find the fake cluster manager."""
    server = listen(manager.link().answer, ("127.0.0.1", 0), section="ClusterManagerService")
    server.serve()
    yield {
        "PATH": os.defpath,
        "PYTHONPATH": str(checkout / "src"),
        "TASHI_CONFIG_DIRS": str(tmp_path),
        "TASHI_CM_HOST": "127.0.0.1",
        "TASHI_CM_PORT": str(server.address[1]),
    }
    server.stop()


def command(*words: str, program: str = "client") -> list[str]:
    return [sys.executable, "-m", f"tashi.programs.{program}", *words]


def ended(
    environment: Mapping[str, str], *words: str, program: str = "client"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words, program=program),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_client_asks_over_a_real_connection(surroundings: Mapping[str, str]) -> None:
    client = ended(surroundings, "getInstances", "--hide-all", "--show-name")

    assert (client.returncode, client.stdout, client.stderr) == (0, "name\ndb\nweb\n", "")


def test_what_the_cluster_manager_refuses_ends_with_its_code(
    surroundings: Mapping[str, str],
) -> None:
    client = ended(surroundings, "pauseVm", "--instance", "99")

    assert client.returncode == 1
    assert client.stderr == "tashi-client: There is no instance 99.\n"


def test_nobody_listening_is_said_at_once(surroundings: Mapping[str, str]) -> None:
    nowhere = {**surroundings, "TASHI_CM_PORT": "1"}

    client = ended(nowhere, "getHosts")

    assert client.returncode == 3
    assert "No cluster manager answers. 127.0.0.1:1 cannot be reached" in client.stderr
    assert "Connection refused" in client.stderr
    assert client.stderr.count("\n") == 1


def test_a_port_that_is_none_names_where_it_was_said(surroundings: Mapping[str, str]) -> None:
    client = ended({**surroundings, "TASHI_CM_PORT": "many"}, "getHosts")

    assert client.returncode == 2
    assert "TASHI_CM_PORT" in client.stderr


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_client_ends_quietly(
    manager: FakeClusterManager, surroundings: Mapping[str, str]
) -> None:
    manager.coming = [(entry(100, WEB),)]
    with subprocess.Popen(
        command("watch", "--since", "100"),
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as client:
        assert client.stdout is not None
        client.stdout.readline()
        client.send_signal(signal.SIGINT)
        try:
            _, err = client.communicate(timeout=30)
        finally:
            client.kill()

    assert (client.returncode, err) == (130, b"")


def test_a_reader_that_leaves_early_is_no_error(surroundings: Mapping[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        client = subprocess.run(
            command("--help"),
            env=surroundings,
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    finally:
        os.close(write)

    assert (client.returncode, client.stderr) == (141, b"")


@pytest.mark.parametrize("words", [("getInstances",), ("--help",), ("watch", "--since", "100")])
def test_an_output_that_is_full_is_said_in_a_sentence(
    manager: FakeClusterManager, surroundings: Mapping[str, str], words: tuple[str, ...]
) -> None:
    manager.coming = [(entry(100, WEB),)]
    with Path("/dev/full").open("w") as full:
        client = subprocess.run(
            command(*words),
            env=surroundings,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert client.stderr == (
        "tashi-client: The output cannot be written: No space left on device.\n"
    )
    assert client.returncode == 3


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_a_stream_that_is_closed_or_full_keeps_nobody_from_what_can_be_done(
    manager: FakeClusterManager, surroundings: Mapping[str, str], streams: str
) -> None:
    words = " ".join(command("pauseVm", "--instance", "3"))

    client = subprocess.run(
        ["/bin/sh", "-c", f"{words} {streams}"],
        env=surroundings,
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert (client.returncode, client.stderr) == (0, b"")
    assert ("pauseVm", {"instance_id": 3}) in manager.done()


def test_a_complaint_that_nobody_can_read_leaves_its_exit_code(
    surroundings: Mapping[str, str],
) -> None:
    words = " ".join(command("pauseVm", "--instance", "99"))

    codes = [
        subprocess.run(
            ["/bin/sh", "-c", f"{words} {streams}"], env=surroundings, check=False, timeout=60
        ).returncode
        for streams in ("2>&-", "2>/dev/full")
    ]

    assert codes == [1, 1]


@pytest.mark.parametrize("program", ["nodemanager", "nmd"])
def test_settings_for_an_output_that_is_full_are_a_sentence(
    surroundings: Mapping[str, str], program: str
) -> None:
    with Path("/dev/full").open("w") as full:
        daemon = subprocess.run(
            command("--show-settings", program=program),
            env=surroundings,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert daemon.stderr == f"{program}: The output cannot be written: No space left on device.\n"
    assert daemon.returncode == 3


def test_people_get_a_table_that_fits_and_a_bold_header(surroundings: Mapping[str, str]) -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            command("getHosts", "--hide-all", "--show-name"),
            env=surroundings,
            stdout=theirs,
            check=True,
            timeout=60,
        )
        seen = os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)

    assert seen == b"\x1b[1mname\x1b[0m\r\nrack1\r\nrack2\r\n"


def test_output_that_the_terminal_cannot_spell_is_written_otherwise(
    surroundings: Mapping[str, str],
) -> None:
    ascii_only = {**surroundings, "PYTHONIOENCODING": "ascii"}

    client = ended(ascii_only, "getInstances", "--show-nics")

    assert client.returncode == 0
    assert "80\\u2192127.0.0.1:40123" in client.stdout


def test_settings_and_their_mistakes_are_shown(surroundings: Mapping[str, str]) -> None:
    folder = Path(surroundings["TASHI_CONFIG_DIRS"])
    (folder / "Tashi.cfg").write_text("[Client]\nclusterManagerHots = rack1\n")

    checked = ended(surroundings, "checkConfig", program="admin")
    shown = ended(surroundings, "--show-settings", program="admin")

    assert checked.returncode == 2
    assert "Tashi.cfg:2" in checked.stderr
    assert "clusterManagerHost" in checked.stderr
    assert shown.returncode == 2


def test_completion_is_understood_by_bash(surroundings: Mapping[str, str], tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(ended(surroundings, "--print-completion", "bash").stdout)

    both = ["bash", "-c", f"source {script}; complete -p tashi-client tashi"]
    subprocess.run(both, check=True)


STUB = """\
#!/bin/bash
read -r || true
case "$*" in
"getInstances --hide-all --show-name") printf '%s\\n' name web web-2 db ;;
"getHosts --hide-all --show-name") printf '%s\\n' name rack1 ;;
"getImages --hide-all --show-imageName")
    printf '%s\\n' imageName web.qcow2 'w$(touch pwned)' 'w`touch pwned`' ;;
"getUsers --hide-all --show-name") printf '%s\\n' name ada ;;
"getNetworks --hide-all --show-name") printf '%s\\n' name public ;;
esac
"""
"""A client that reads what there is to read, as one does that asks for a password."""


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("client pauseVm --instance we", "web web-2"),
        ("client migrateVm --instance web --dst r", "rack1"),
        ("client createVm --disks w", "web.qcow2"),
        ("client rebaseImage --src web.qcow2 --backing w", "web.qcow2"),
        ("client createVm --userId a", "ada"),
        ("client createVm --onExit f", "forget"),
        ("client --show", "--show-settings"),
        ("client --print-completion z", "zsh"),
        ("admin drain --host r", "rack1"),
        ("admin addReservation --host rack1 --user a", "ada"),
        ("admin delNetwork --network p", "public"),
        ("admin setHostState --host rack1 --state d", "drained"),
        ("admin addHost --host r", ""),
        ("admin backup --file /etc/debian_v", "/etc/debian_version"),
    ],
)
def test_completion_finds_what_may_follow(
    typed: str, found: str, surroundings: Mapping[str, str], tmp_path: Path
) -> None:
    program, *words = typed.split()
    client = tmp_path / "tashi-client"
    client.write_text(STUB)
    client.chmod(0o755)
    script = tmp_path / "completion"
    script.write_text(ended(surroundings, "--print-completion", "bash", program=program).stdout)
    ask = (
        f"source {script}; COMP_WORDS=({tmp_path}/tashi-{typed}); COMP_CWORD={len(words)}; "
        f"_shtab_tashi_{program}; echo ${{COMPREPLY[@]}}"
    )

    pipe = subprocess.PIPE  # nothing comes in, and it is not at its end
    with subprocess.Popen(
        ["bash", "-c", ask], stdin=pipe, stdout=pipe, text=True, cwd=tmp_path
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.read().strip() == found
    assert not (tmp_path / "pwned").exists(), "The name of an image was carried out."


def test_listing_the_instances_loads_nothing_that_takes_long_to_load(
    surroundings: Mapping[str, str],
) -> None:
    told = subprocess.run(
        [sys.executable, "-X", "importtime", *command("getInstances")[1:]],
        env=surroundings,
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "tashi.client.cluster" in loaded
    assert loaded.isdisjoint(SLOW_TO_LOAD)
