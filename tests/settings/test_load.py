"""Loading: the last word counts, every mistake is named at once, and nothing secret leaks."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.errors import Misconfigured
from tashi.settings import sections
from tashi.settings.declare import describe, section, setting
from tashi.settings.judge import Findings, Said, judge_strangers, read_section
from tashi.settings.kinds import seconds
from tashi.settings.layers import DEFAULT, Origin, Reading
from tashi.settings.load import check, load
from tashi.settings.search import Program
from tashi.settings.sections.client import ClientSettings
from tashi.settings.sections.clustermanager import ClusterManagerSettings
from tashi.settings.sections.qemu import QemuSettings, UserNetworkSettings
from tashi.settings.sections.stores import SqlSettings
from tashi.settings.syntax import parse

Configure = Callable[..., Mapping[str, str]]


@section("Renamed", obsolete={"gone": "nothing needs it", "old<N>": "there is one now"})
class RenamedSettings:
    """A section whose keys have a past."""

    pause: float = setting("pause", seconds, default=1.0, words="A pause.", formerly=("delay",))


def mistakes(text: str, program: Program = Program.CLUSTER_MANAGER) -> list[str]:
    reading = Reading()
    reading.lay(parse(text), "T")
    said, found = Said(reading.layers, {}), Findings()
    for name in sections.CATALOGUE:
        read_section(sections.named(name), said, found)
    judge_strangers(said.layers, found)
    return [str(mistake) for mistake in found.mistakes]


def renamed(*texts: str) -> tuple[RenamedSettings, Findings]:
    reading, found = Reading(), Findings()
    for text in texts:
        reading.lay(parse(text), "T")
    record = read_section(describe(RenamedSettings), Said(reading.layers, {}), found)
    return record, found


def test_an_empty_configuration_is_all_defaults(configure: Configure) -> None:
    settings = load(Program.CLUSTER_MANAGER, configure())

    assert settings.of(ClusterManagerSettings) == ClusterManagerSettings()
    assert settings.gives("ClusterManagerService", "port") == DEFAULT
    assert settings.warnings == ()


@given(st.lists(st.one_of(st.none(), st.integers(1, 10**6)), min_size=4, max_size=4))
def test_of_all_files_the_last_that_says_something_counts(values: list[int | None]) -> None:
    reading = Reading()
    for number, value in enumerate(values):
        if value is not None:
            reading.lay(parse(f"[ClusterManagerService]\nmaxMemory = {value}"), f"file{number}")

    said = Said(reading.layers, {})
    record = read_section(describe(ClusterManagerSettings), said, Findings())

    spoken = [value for value in values if value is not None]
    assert record.max_memory == (spoken[-1] if spoken else 8192)


def test_the_programs_own_file_goes_before_the_shared_one(configure: Configure) -> None:
    environment = configure(
        "[ClusterManagerService]\nport = 1\n", ClusterManager="[ClusterManagerService]\nport = 2\n"
    )

    manager, agent = load(Program.CLUSTER_MANAGER, environment), load(Program.AGENT, environment)

    assert manager.of(ClusterManagerSettings).port == 2
    assert agent.of(ClusterManagerSettings).port == 1


def test_every_value_says_which_line_gave_it(configure: Configure, tmp_path: Path) -> None:
    settings = load(Program.CLIENT, configure("[Client]\nCLUSTERMANAGERHOST = merkabah\n"))

    origin = settings.gives("Client", "clusterManagerHost")

    assert origin == Origin(str(tmp_path / "Tashi.cfg"), 2)
    assert settings.gives("Client", "clusterManagerPort") == DEFAULT
    assert settings.gives("NoSuchSection", "key") == DEFAULT


def test_members_of_families_and_logging_say_where_they_stand(configure: Configure) -> None:
    environment = configure(
        "[Primitive]\nhook2=tashi.agents.DhcpDns\n[handlers]\nkeys=fileHandler\n[logger_root]\nhandlers=fileHandler\n"
    )

    settings = load(Program.AGENT, environment)

    assert settings.gives("Primitive", "hook2").line == 2
    assert settings.gives("handlers", "keys").line == 4


def test_a_variable_goes_before_every_file_and_is_named_as_the_origin(
    configure: Configure,
) -> None:
    environment = {**configure("[Client]\nclusterManagerPort = 1\n"), "TASHI_CM_PORT": "2"}

    settings = load(Program.CLIENT, environment)

    assert settings.of(ClientSettings).cluster_manager_port == 2
    assert settings.gives("Client", "clusterManagerPort") == Origin("TASHI_CM_PORT")


def test_a_bad_variable_is_a_mistake_that_names_it(configure: Configure) -> None:
    with pytest.raises(Misconfigured) as refusal:
        load(Program.CLIENT, {**configure(), "TASHI_CM_PORT": "x"})

    assert "TASHI_CM_PORT: [Client] clusterManagerPort = x: is no whole number" in str(
        refusal.value
    )


def test_an_empty_value_means_not_set_where_that_is_possible(configure: Configure) -> None:
    settings = load(Program.NODE_MANAGER, configure("[SQL]\nuri =\n[UserNetwork]\nforward =\n"))

    assert settings.of(SqlSettings).uri is None
    assert settings.of(UserNetworkSettings).forward == ()
    assert mistakes("[Client]\nclusterManagerPort =") != []


def test_all_mistakes_are_told_at_once_with_file_line_and_remedy(
    configure: Configure, tmp_path: Path
) -> None:
    environment = configure(
        "[ClusterManagerService]\nexpireHostTime = soon\nmaxMemry = 5\n[Qemu]\naccel = xen\n",
        ClusterManager="[Clint]\nclusterManagerHost = a\n",
    )

    with pytest.raises(Misconfigured) as refusal:
        load(Program.CLUSTER_MANAGER, environment)

    first, second = tmp_path / "Tashi.cfg", tmp_path / "ClusterManager.cfg"
    assert str(refusal.value).splitlines() == [
        "The configuration needs mending.",
        (
            f"{first}:2: [ClusterManagerService] expireHostTime = soon: is no decimal number; "
            "write seconds above 0, such as 30.0"
        ),
        f"{first}:3: [ClusterManagerService] maxMemry: is not known; did you mean maxMemory?",
        f"{first}:5: [Qemu] accel = xen: is not one of the choices; write one of auto, kvm, tcg",
        f"{second}:2: [Clint]: is no section; did you mean [Client]?",
    ]


@given(
    st.dictionaries(
        st.sampled_from(["maxMemory", "maxCores", "port", "expireHostTime", "unheardOf", "zzz"]),
        st.sampled_from(["1", "2", "wrong", "-1"]),
    )
)
def test_there_is_a_mistake_for_every_wrong_line_and_for_no_other(keys: dict[str, str]) -> None:
    text = "[ClusterManagerService]\n" + "\n".join(
        f"{key} = {value}" for key, value in keys.items()
    )

    lines = {int(mistake.split(":")[1]) for mistake in mistakes(text)}

    assert lines == {
        number
        for number, (key, value) in enumerate(keys.items(), start=2)
        if key in {"unheardOf", "zzz"} or value in {"wrong", "-1"}
    }


def test_a_key_of_another_section_is_sent_there() -> None:
    assert mistakes("[ClusterManagerService]\nqemuBin = kvm") == [
        "T:2: [ClusterManagerService] qemuBin: is not known; it belongs under [Qemu]"
    ]


def test_keys_above_all_sections_are_sent_to_theirs() -> None:
    assert mistakes("clusterManagerHost = merkabah\nipRange999 = a\nzzz = 1") == [
        (
            "T:1: clusterManagerHost: stands above the first [section]; "
            "it belongs under [Client] or [NodeManagerService]"
        ),
        "T:2: ipRange999: stands above the first [section]; it belongs under [DhcpDns]",
        "T:3: zzz: stands above the first [section]",
    ]


def test_a_name_like_none_is_not_guessed_at() -> None:
    assert mistakes("[Vfs]\nqqqqqq = 1\n[Xyzzy]\na = 1") == [
        "T:2: [Vfs] qqqqqq: is not known",
        "T:4: [Xyzzy]: is no section",
    ]


def test_a_family_takes_only_numbers() -> None:
    assert mistakes("[Primitive]\nhookDns = x\nhook1 = import os") == [
        (
            "T:3: [Primitive] hook1 = import os: is no dotted name; "
            "write a dotted name, such as tashi.agents.DhcpDns"
        ),
        "T:2: [Primitive] hookDns: is not known; did you mean hook<N>?",
    ]


@pytest.mark.parametrize(
    "text",
    ["[DhcpDns]\ndhcpSecretKey = hunter2\x07\n", "[DhcpDns]\ndhcpSecretKy = hunter2\n", "hunter2"],
)
def test_a_secret_is_in_no_message_even_when_its_key_is_misspelt(text: str) -> None:
    said = mistakes(text)

    assert "hunter2" not in " ".join(said)


def test_a_former_name_is_accepted_with_a_warning_and_the_later_line_counts() -> None:
    record, found = renamed("[Renamed]\npause = 2", "[Renamed]\ndelay = 3")

    assert record.pause == 3.0
    assert found.warnings == ["T:2: [Renamed] delay is now called pause"]
    assert renamed("[Renamed]\ndelay = 3", "[Renamed]\npause = 2")[0].pause == 2.0


def test_obsolete_keys_and_families_are_accepted_with_one_warning_each() -> None:
    _, found = renamed("[Renamed]\ngone = 1\nold7 = 2")

    assert found.mistakes == []
    assert found.warnings == [
        "T:2: [Renamed] gone is ignored: nothing needs it",
        "T:3: [Renamed] old7 is ignored: there is one now",
    ]


def test_a_client_does_not_fail_for_a_mistake_in_a_daemons_section(configure: Configure) -> None:
    environment = configure("[Qemu]\naccel = xen\n[handlers]\nkeys = none\n")

    settings = load(Program.CLIENT, environment)

    assert settings.of(ClientSettings) == ClientSettings()
    with pytest.raises(Misconfigured, match="accel = xen"):
        settings.of(QemuSettings)
    with pytest.raises(Misconfigured, match="handler_none"):
        settings.logging()


def test_a_folder_that_the_variable_names_and_that_is_missing_is_warned_of(tmp_path: Path) -> None:
    settings = load(Program.CLIENT, {"TASHI_CONFIG_DIRS": f"{tmp_path}:{tmp_path}/none"})

    assert settings.warnings == (f"TASHI_CONFIG_DIRS names {tmp_path}/none, which does not exist",)


@pytest.mark.parametrize(("vmm", "warned"), [("Libvirt", 1), ("Qemu", 0)])
def test_a_handler_of_memory_that_libvirt_does_not_use_is_warned_of(
    configure: Configure, vmm: str, warned: int
) -> None:
    environment = configure(
        f"[NodeManager]\nvmm = tashi.nodemanager.vmcontrol.{vmm}\n[Qemu]\nsuspendHandler = xz\n"
    )

    warnings = load(Program.NODE_MANAGER, environment).warnings

    assert len(warnings) == warned
    assert all(":4: [Qemu] suspendHandler has no part under libvirt" in one for one in warnings)
    assert list(warnings) == check(environment).warnings


def test_the_usual_folders_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load(Program.CLIENT, {"HOME": str(tmp_path)})

    assert settings.warnings == ()


def test_a_check_reads_the_files_of_all_programs_and_says_everything_once(
    configure: Configure,
) -> None:
    environment = configure(
        "[Vfs]\nprefx = /a\n[XenPV]\na = 1\n", Agent="[DhcpDns]\nipRange1 = x\n"
    )

    found = check(environment)

    assert [mistake.key for mistake in found.mistakes] == ["prefx", "ipRange1"]
    assert len(found.warnings) == 1
