"""What the files say, held against what is declared: values on one side, mistakes on the other.

Every mistake is found, none stops the search. Two laws keep secrets out of messages: a value of a
hidden kind is masked, and the value of a key that is not known is never shown, because it may be
a mistyped secret.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tashi.settings import sections
from tashi.settings.declare import Family, Section, Setting
from tashi.settings.kinds import Kind, Unsuitable
from tashi.settings.layers import MASK, Given, Layers, Mistake, Origin
from tashi.settings.syntax import BEFORE_SECTIONS

K = TypeVar("K")
S = TypeVar("S")

_FAMILY_MARK: Final = "<N>"
_BY_LIBVIRT: Final = "tashi.nodemanager.vmcontrol.Libvirt"
_NOT_BY_LIBVIRT: Final = ("suspend_handler", "resume_handler")


@dataclass(slots=True)
class Findings:
    """What there is to say about a configuration: what must be mended, and what may be."""

    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What the files and the environment say, before it is judged."""

    layers: Layers
    environment: Mapping[str, str]

    def about(self, setting: Setting, section: str) -> Given | None:
        """What counts for a setting: its variable, else what was read last under any spelling."""
        if value := self.environment.get(setting.variable):
            return Given(setting.key, value, Origin(setting.variable), order=0)
        keys = self.layers.get(section, {})
        spellings = [each.lower() for each in (setting.key, *setting.formerly)]
        given = [keys[each] for each in spellings if each in keys]
        return max(given, key=lambda one: one.order, default=None)

    def members(self, family: Family, section: str) -> dict[int, Given]:
        """What was said of a family, by number, ascending."""
        members = {
            int(given.key[len(family.key) :]): given
            for given in self.layers.get(section, {}).values()
            if is_spelt(given.key, family.key + _FAMILY_MARK)
        }
        return dict(sorted(members.items()))


def is_spelt(key: str, declared: str) -> bool:
    """Whether a key is the declared one, or one of its family when that ends in <N>."""
    prefix = declared.removesuffix(_FAMILY_MARK)
    if prefix == declared:
        return key.lower() == declared.lower()
    return re.fullmatch(re.escape(prefix) + "[0-9]{1,9}", key, re.IGNORECASE) is not None


def read_section(section: Section[S], said: Said, found: Findings) -> S:
    """Make a section's record; what cannot be read is noted and its default taken instead."""
    values: dict[str, object] = {}
    for attribute, setting in section.settings.items():
        given = said.about(setting, section.name)
        if given is not None and not given.value and setting.default is None:
            values[attribute] = None
        elif given is not None:
            values |= _readable({attribute: given}, setting.kind, section.name, found)
    for attribute, family in section.families.items():
        members = said.members(family, section.name)
        values[attribute] = _readable(members, family.kind, section.name, found)
    for given in said.layers.get(section.name, {}).values():
        _judge_key(given, section, found)
    return section.make(**values)


def judge_strangers(layers: Layers, found: Findings) -> None:
    """Note what stands under no declared section: an obsolete one, a misspelt one or none."""
    for name, keys in layers.items():
        if name in sections.OBSOLETE:
            origin = min(keys.values(), key=lambda given: given.order).origin
            found.warnings.append(f"{origin}: [{name}] is ignored: {sections.OBSOLETE[name]}")
        elif name == BEFORE_SECTIONS:
            found.mistakes.extend(_homeless(given) for given in keys.values())
        elif name not in sections.CATALOGUE and not sections.is_logging(name):
            found.mistakes.append(_unknown_section(name, keys.values()))


def judge_what_libvirt_has_its_own_way_with(said: Said, found: Findings) -> None:
    """Warn of what stands under [Qemu] in vain, because libvirt runs the guests."""
    vmm = said.about(sections.named("NodeManager").settings["vmm"], "NodeManager")
    if vmm is None or vmm.value != _BY_LIBVIRT:
        return
    settings = sections.named("Qemu").settings
    for given in (said.about(settings[attribute], "Qemu") for attribute in _NOT_BY_LIBVIRT):
        if given is not None:
            found.warnings.append(
                f"{given.origin}: [Qemu] {given.key} has no part under libvirt, which squeezes the "
                "memory of suspended guests as save_image_format in its own qemu.conf says"
            )


def nearest(name: str, known: Iterable[str]) -> str:
    """Ask whether the known name that looks most like this one was meant; else an empty text."""
    import difflib  # noqa: PLC0415  only a mistake needs it

    by_case = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_case, n=1)
    return f"; did you mean {by_case[close[0]]}?" if close else ""


def _readable(
    given: Mapping[K, Given], kind: Kind[object], section: str, found: Findings
) -> dict[K, object]:
    values: dict[K, object] = {}
    for name, one in given.items():
        try:
            values[name] = kind.read(one.value)
        except Unsuitable as wrong:
            mistake = Mistake(
                origin=one.origin,
                section=section,
                key=one.key,
                value=MASK if kind.hidden else one.value,
                wrong=f"{wrong}; write {kind.expects}",
            )
            found.mistakes.append(mistake)
    return values


def _judge_key(given: Given, section: Section[S], found: Findings) -> None:
    if any(is_spelt(given.key, declared) for declared in _declared(section)):
        return
    place = f"{given.origin}: [{section.name}] {given.key}"
    for declared, instead in _outdated(section).items():
        if is_spelt(given.key, declared):
            found.warnings.append(f"{place} {instead}")
            return
    wrong = f"is not known{_home_of(given.key) or nearest(given.key, _declared(section))}"
    found.mistakes.append(
        Mistake(origin=given.origin, section=section.name, key=given.key, wrong=wrong)
    )


def _declared(section: Section[S]) -> list[str]:
    families = [family.key + _FAMILY_MARK for family in section.families.values()]
    return [setting.key for setting in section.settings.values()] + families


def _outdated(section: Section[S]) -> dict[str, str]:
    renamed = {
        old: f"is now called {setting.key}"
        for setting in section.settings.values()
        for old in setting.formerly
    }
    return renamed | {old: f"is ignored: {why}" for old, why in section.obsolete.items()}


def _home_of(key: str) -> str:
    homes = [
        f"[{name}]"
        for name in sections.CATALOGUE
        if any(is_spelt(key, declared) for declared in _declared(sections.named(name)))
    ]
    return f"; it belongs under {' or '.join(homes)}" if homes else ""


def _homeless(given: Given) -> Mistake:
    wrong = "stands above the first [section]"
    return Mistake(origin=given.origin, key=given.key, wrong=wrong + _home_of(given.key))


def _unknown_section(name: str, keys: Iterable[Given]) -> Mistake:
    origin = min(keys, key=lambda given: given.order).origin
    known = [f"[{each}]" for each in (*sections.CATALOGUE, *sections.LOGGING_LISTS)]
    wrong = f"is no section{nearest(f'[{name}]', known)}"
    return Mistake(origin=origin, section=name, wrong=wrong)
