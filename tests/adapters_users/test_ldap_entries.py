"""Groups as directories show them, Active Directory's ranges among them."""

from collections.abc import Mapping, Sequence

from tashi.adapters.users.ldap_entries import MEMBERS, Members, members_of

AT_ONCE = 1500


class ManyMembers:
    """The entry of a group as Active Directory shows it: at most so many members at once."""

    def __init__(self, members: Sequence[str]) -> None:
        self._members = [name.encode() for name in members]
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, attributes: Sequence[str]) -> Mapping[str, Sequence[bytes]]:
        self.asked.append(tuple(attributes))
        shown: dict[str, Sequence[bytes]] = {}
        if "member" in attributes:
            first, shown["member"] = 0, []
        else:
            (name,) = attributes
            first = int(name.removeprefix("member;range=").removesuffix("-*"))
        last = first + AT_ONCE
        end = "*" if last >= len(self._members) else str(last - 1)
        return shown | {f"member;range={first}-{end}": self._members[first:last]}


def test_members_are_seen_whatever_the_server_shows_at_once() -> None:
    everybody = [f"CN=user{number},DC=example" for number in range(2 * AT_ONCE + 7)]
    group = ManyMembers(everybody)

    members = members_of(group, str.casefold)

    assert members == Members(frozenset(map(str.casefold, everybody)), frozenset())
    assert group.asked == [MEMBERS, ("member;range=1500-*",), ("member;range=3000-*",)]


def test_a_group_that_just_fills_what_is_shown_at_once_is_asked_no_more() -> None:
    group = ManyMembers(["CN=a"] * AT_ONCE)

    assert members_of(group) == Members(frozenset({"CN=a"}), frozenset())
    assert group.asked == [MEMBERS]


def test_members_are_named_in_three_ways() -> None:
    shown = {"member": [b"uid=a"], "UniqueMember": [b"uid=b"], "memberUid": [b"c", b"\xff"]}

    members = members_of(lambda _: shown)

    assert members == Members(frozenset({"uid=a", "uid=b"}), frozenset({"c", "\ufffd"}))


def test_an_entry_that_shows_nothing_has_no_members() -> None:
    assert members_of(lambda _: {}) == Members(frozenset(), frozenset())
