"""What `--show-settings` prints: every setting of a program, its value, and what gave it.

The text is a configuration file again, with the origins as comments, so that it can be kept and
compared. Secrets are masked in both forms, and commented out in the text: what is read back does
not overwrite them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tashi.settings import sections
from tashi.settings.declare import Section
from tashi.settings.kinds import Kind
from tashi.settings.layers import DEFAULT, MASK, Given, Origin
from tashi.settings.load import Settings
from tashi.settings.search import Program


@dataclass(frozen=True, slots=True)
class Line:
    """One setting as it is shown; a `value` of None is not set, MASK is a secret."""

    section: str
    key: str
    value: str | None
    origin: Origin


def as_text(settings: Settings, only: str = "") -> str:
    """Show a program's settings, or one section of them, in the form of a configuration file."""
    parts: list[str] = []
    section = ""
    for line in _lines(settings, only):
        if line.section != section:
            section = line.section
            parts.append(f"\n[{section}]")
        parts.append(f"# {line.origin}\n{_as_entry(line)}")
    return "\n".join(parts).lstrip("\n") + "\n"


def as_json(settings: Settings, only: str = "") -> str:
    """Show the same as one JSON object: section, then key, then `value` and `origin`."""
    shown: dict[str, dict[str, dict[str, str | None]]] = {}
    for line in _lines(settings, only):
        keys = shown.setdefault(line.section, {})
        keys[line.key] = {"value": line.value, "origin": str(line.origin)}
    return json.dumps(shown, indent=2) + "\n"


def _as_entry(line: Line) -> str:
    if line.value is None or line.value == MASK:
        return f"# {line.key} = {line.value or ''}".rstrip()
    value = line.value.replace("\n", "\n    ")
    return f"{line.key} = {value}".rstrip()


def _lines(settings: Settings, only: str) -> Iterator[Line]:
    for name in [only] if only else sections.USED_BY[settings.program]:
        yield from _declared_lines(settings, sections.named(name))
    if not only and settings.program is not Program.CLIENT:
        yield from _logging_lines(settings)


def _declared_lines(settings: Settings, section: Section[object]) -> Iterator[Line]:
    for setting in section.settings.values():
        given = settings.said.about(setting, section.name)
        if given is None:
            default = None if setting.default is None else setting.kind.write(setting.default)
            yield Line(section.name, setting.key, default, DEFAULT)
        else:
            yield _given_line(section.name, setting.key, given, setting.kind)
    for family in section.families.values():
        for number, given in settings.said.members(family, section.name).items():
            yield _given_line(section.name, f"{family.key}{number}", given, family.kind)


def _given_line(section: str, key: str, given: Given, kind: Kind[object]) -> Line:
    value = MASK if kind.hidden and given.value else given.value
    return Line(section, key, value, given.origin)


def _logging_lines(settings: Settings) -> Iterator[Line]:
    from tashi.settings.logs import over_built_in  # noqa: PLC0415  dear, and no client needs it

    for section, keys in over_built_in(settings.said.layers).items():
        if sections.is_logging(section):
            for given in keys.values():
                yield Line(section, given.key, given.value, given.origin)
