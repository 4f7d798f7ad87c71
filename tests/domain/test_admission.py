"""What may become an instance, and the sentence that whatever may not is refused with."""

import string
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tashi.domain.admission import (
    MOST_DISKS,
    MOST_HINT_LETTERS,
    MOST_NICS,
    MOST_TEXT_BYTES,
    Limits,
    Surroundings,
    Wish,
    admit,
    check_name,
    image_path,
)
from tashi.domain.errors import InvalidInstance, NoSuchImage, NoSuchNetwork
from tashi.domain.identity import InstanceId, Mib, NetworkId, UserId
from tashi.domain.instance import Devices, Disk, Instance, Listing, Nic, OnExit, OnLoss
from tashi.domain.making import with_cd, with_disk
from tashi.domain.states import InstanceState

LIMITS = Limits(max_memory=4096, max_cores=4)
AROUND = Surroundings(
    names={"taken": InstanceId(7)},
    macs={"52:54:00:00:00:07": InstanceId(7)},
    networks={NetworkId(1)},
    images={"web.qcow2", "lib/db.qcow2"},
)
NIC = Nic(NetworkId(1), "52:54:00:00:00:01")
WISH = Wish(name="web", cores=1, memory=Mib(512), disks=(Disk("web.qcow2"),), nics=(NIC,))


def admitted_by(limits: Limits, around: Surroundings, **changes: object) -> Instance:
    wish = replace(WISH, **changes)  # type: ignore[arg-type]
    return admit(wish, limits, around, key=InstanceId(1), owner=UserId(1000), at=5.0)


def admitted(**changes: object) -> Instance:
    return admitted_by(LIMITS, AROUND, **changes)


def refusal(**changes: object) -> str:
    with pytest.raises((InvalidInstance, NoSuchImage, NoSuchNetwork)) as refused:
        admitted(**changes)
    return refused.value.message


def test_what_passes_is_a_fresh_pending_record() -> None:
    assert admitted() == Instance(
        id=InstanceId(1),
        name="web",
        user_id=UserId(1000),
        cores=1,
        memory=Mib(512),
        disks=WISH.disks,
        nics=WISH.nics,
        state=InstanceState.PENDING,
        changed_at=5.0,
    )


def test_an_address_that_is_asked_for_is_listed() -> None:
    asked = replace(NIC, ip="192.0.2.17")

    assert admitted(nics=(asked,)).listings == (Listing(NIC.mac, NIC.network, "192.0.2.17"),)


def test_what_a_user_may_choose_is_kept() -> None:
    chosen = admitted(on_exit=OnExit.STOP, on_loss=OnLoss.FORGET, group_name="web", memory=Mib(9))

    assert (chosen.on_exit, chosen.on_loss, chosen.group_name) == ("stop", "forget", "web")
    assert chosen.memory == 9


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cores": 0}, "0 cores is too little: an instance has at least 1 core."),
        ({"cores": -1}, "-1 cores is too little: an instance has at least 1 core."),
        ({"cores": 5}, "5 cores is too much: this cluster gives at most 4."),
        ({"memory": 0}, "0 MiB of memory is too little: an instance has at least 1 MiB of memory."),
        ({"memory": 4097}, "4097 MiB of memory is too much: this cluster gives at most 4096."),
        ({"name": "taken"}, "The name 'taken' is taken by instance 7: choose another."),
        (
            {"name": "42"},
            "'42' is no name for an instance: it would be taken for an id. Add a letter.",
        ),
        (
            {"group_name": "a b"},
            "Group 'a b' is no group name: use letters, digits, dots and hyphens.",
        ),
        ({"disks": ()}, "An instance needs a disk: name an image, as in --disks web.qcow2."),
        ({"disks": (Disk("web.qcow2"),) * (MOST_DISKS + 1)}, "17 disks are too many: at most 16."),
        (
            {"disks": (Disk("nix.qcow2"),)},
            "There is no disk image 'nix.qcow2': getImages lists those there are.",
        ),
        (
            {"disks": (Disk("web.qcow2", True), Disk("/web.qcow2", True))},
            "One image cannot be two persistent disks of the same instance.",
        ),
        ({"nics": (NIC,) * (MOST_NICS + 1)}, "9 network cards are too many: at most 8."),
        (
            {"nics": (NIC, NIC)},
            "Two network cards of one instance cannot have the same MAC address.",
        ),
        (
            {"nics": (replace(NIC, network=NetworkId(2)),)},
            "There is no network 2: getNetworks lists those there are.",
        ),
        (
            {"nics": (replace(NIC, mac="52:54:00:00:00:07"),)},
            "The MAC address 52:54:00:00:00:07 is taken by instance 7.",
        ),
        (
            {"nics": (replace(NIC, ip="192.0.2.256"),)},
            "'192.0.2.256' is no IP address: write one as in 192.0.2.17.",
        ),
        ({"hints": {"cpumodle": "host"}}, "There is no hint 'cpumodle': did you mean cpumodel?"),
    ],
    ids=str,
)
def test_each_rule_refuses_with_its_sentence(changes: dict[str, object], sentence: str) -> None:
    assert refusal(**changes) == sentence


AT_ITS_LIMIT = "group:" + "a" * (MOST_HINT_LETTERS - len("group:"))


def test_a_hint_has_an_end() -> None:
    assert admitted(hints={"near": AT_ITS_LIMIT}).hints["near"] == AT_ITS_LIMIT
    assert (
        refusal(hints={"near": f"{AT_ITS_LIMIT}a"}) == "Hint 'near' has 4097 letters: at most 4096."
    )


def test_the_texts_of_an_instance_have_an_end_together() -> None:
    hints = {"near": AT_ITS_LIMIT, "away": AT_ITS_LIMIT}

    assert refusal(hints=hints) == (
        "The hints and the names of the images have 8209 bytes together: an instance has at most "
        "8192. Leave some out, or use shorter ones."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"hints": {"x-" + "a" * MOST_TEXT_BYTES: "a"}},
        {"disks": (Disk("\u00e9" * (MOST_TEXT_BYTES // 2 + 1)),)},
        {"disks": (Disk("a" * MOST_TEXT_BYTES), Disk("\ud800"))},
    ],
)
def test_no_text_of_an_instance_is_without_a_limit(changes: dict[str, object]) -> None:
    assert len(refusal(**changes)) < 200


@pytest.mark.parametrize(
    "altered",
    [
        lambda record: with_disk(record, Disk("web.qcow2"), AROUND),
        lambda record: with_cd(record, "web.qcow2", AROUND.images),
    ],
)
def test_what_is_plugged_in_later_counts_as_well(altered: Callable[[Instance], Devices]) -> None:
    full = admitted(hints={"near": AT_ITS_LIMIT, "away": AT_ITS_LIMIT[:-24]})

    with pytest.raises(InvalidInstance, match="have 8194 bytes together"):
        altered(full)


def test_a_site_may_allow_names_twice() -> None:
    lenient = replace(LIMITS, allow_duplicate_names=True)

    assert admitted_by(lenient, AROUND, name="taken").name == "taken"


def test_an_image_store_that_cannot_be_read_is_no_reason_to_refuse() -> None:
    blind = replace(AROUND, images=None)

    assert admitted_by(LIMITS, blind, disks=(Disk("nix.qcow2"),)).disks[0].uri


def test_an_image_is_named_below_the_folder_of_images() -> None:
    assert admitted(disks=(Disk("/lib/db.qcow2/"),)).disks == (Disk("lib/db.qcow2"),)


def test_a_mac_address_is_kept_in_small_letters() -> None:
    assert admitted(nics=(replace(NIC, mac="52:54:00:AB:CD:EF"),)).nics[0].mac == (
        "52:54:00:ab:cd:ef"
    )


@pytest.mark.parametrize(
    ("given_ip", "kept"), [("192.0.2.7", "192.0.2.7"), ("2001:DB8::0:7", "2001:db8::7")]
)
def test_an_address_is_kept_in_its_usual_spelling(given_ip: str, kept: str) -> None:
    assert admitted(nics=(replace(NIC, ip=given_ip),)).nics[0].ip == kept


# ---- hostile input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "", " ", "web\n", "web;reboot", "a,file=/etc/shadow", "a b", "../../etc", "a/b", "a\\b",
        "-daemonize", "web-", ".web", "web.", "a..b", "a.-b", "a-.b", "$(id)", "`id`", "web\0",
        "w\u00e9b", "web\u2028", "w" * 64, "\uff57eb", "'web'",
    ],
)  # fmt: skip
def test_a_name_cannot_carry_anything_but_itself(name: str) -> None:
    with pytest.raises(InvalidInstance, match="is no name for an instance: use 1 to 63"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "web", "WEB-1", "web-01.lab", "1a", "w" * 63])
def test_ordinary_names_pass(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "uri",
    [
        "", "/", "..", "../web.qcow2", "lib/../../etc/shadow", "lib/./web", "lib//web", "a\nb",
        "a\0b", "web.qcow2,file=/etc/shadow", "json:{}", "nbd:unix:/tmp/x", 'a"b', "a\\b",
        "\u202eb",
    ],
)  # fmt: skip
def test_an_image_cannot_lead_elsewhere_or_add_an_option(uri: str) -> None:
    with pytest.raises(InvalidInstance, match="is no image"):
        image_path(uri)


@given(st.text(alphabet="./ab", max_size=12))
def test_whatever_passes_stays_below_the_folder_of_images(uri: str) -> None:
    try:
        path = image_path(uri)
    except InvalidInstance:
        return

    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))


@pytest.mark.parametrize(
    "mac",
    [
        "", "52:54:00:00:00", "52:54:00:00:00:0g", "52-54-00-00-00-01", "52:54:00:00:00:01\n",
        "52:54:00:00:00:01,script=/tmp/x", "53:54:00:00:00:01", "52:54:00:00:00:01 -daemonize",
        "\u06652:54:00:00:00:01",
    ],
)  # fmt: skip
def test_a_mac_address_is_one_of_a_single_card_and_nothing_else(mac: str) -> None:
    assert "is no MAC address for a network card" in refusal(nics=(replace(NIC, mac=mac),))


@pytest.mark.parametrize(
    "ip", ["", "192.0.2", "192.0.2.1\n", "192.0.2.1/24", "fe80::1%eth0,script=x", "\u066192.0.2.1"]
)
def test_an_address_is_one_and_nothing_else(ip: str) -> None:
    assert "is no IP address" in refusal(nics=(replace(NIC, ip=ip),))


@given(st.text(max_size=70))
def test_whatever_name_passes_is_safe_on_a_command_line_and_in_a_dns_message(name: str) -> None:
    try:
        check_name(name)
    except InvalidInstance:
        return

    assert set(name) <= set(string.ascii_letters + string.digits + ".-")
    assert all(0 < len(part) <= 63 for part in name.split("."))
    assert name[0] not in "-."
