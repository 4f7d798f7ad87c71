"""The logging sections, made into the dict that `logging.config.dictConfig` takes.

Their declarations and what is built in stand in `sections.logs`; here they are put together:
loggers, handlers and formatters find each other by name, and a handler's arguments find the
parameters of its class. Every name that leads nowhere is a mistake. Nothing is opened, no logger
is touched; programs apply the dict.
"""

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar, cast

from tashi.settings import syntax
from tashi.settings.declare import describe
from tashi.settings.judge import Findings, Said, nearest, read_section
from tashi.settings.kinds import Unsuitable
from tashi.settings.layers import DEFAULT, Layers, Mistake, Reading
from tashi.settings.sections import logs

S = TypeVar("S")


def read_logging(layers: Layers, found: Findings) -> dict[str, object]:
    """Make the dict for `logging.config.dictConfig`; mistakes are noted in `found`."""
    return _Logging(Said(over_built_in(layers), {}), found).read()


def over_built_in(layers: Layers) -> Layers:
    """Lay what files say over what holds of the logging sections without them."""
    merged = dict(_BUILT_IN)
    for section, keys in layers.items():
        merged[section] = {**merged.get(section, {}), **keys}
    return merged


def _built_in() -> Layers:
    reading = Reading()
    reading.lay(syntax.parse(logs.BUILT_IN), str(DEFAULT))
    return {
        section: {key: replace(given, origin=DEFAULT) for key, given in keys.items()}
        for section, keys in reading.layers.items()
    }


_BUILT_IN: Final = _built_in()


@dataclass(frozen=True, slots=True)
class _Logging:
    """The making of one configuration: what was said, and what is found wrong with it."""

    said: Said
    found: Findings

    def read(self) -> dict[str, object]:
        formatters = self.section("formatters", logs.FormattersList).keys
        handlers = self.section("handlers", logs.HandlersList).keys
        loggers = self.section("loggers", logs.LoggersList).keys
        self.warn_of_unlisted("formatter", formatters)
        self.warn_of_unlisted("handler", handlers)
        self.warn_of_unlisted("logger", ("root", *loggers))
        return {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {name: self.formatter(name) for name in formatters},
            "handlers": {name: self.handler(name, formatters) for name in handlers},
            "root": self.root(handlers),
            "loggers": dict(self.logger(name, handlers) for name in loggers if name != "root"),
        }

    def section(self, name: str, declared: type[S]) -> S:
        return read_section(replace(describe(declared), name=name), self.said, self.found)

    def root(self, handlers: Collection[str]) -> dict[str, object]:
        said = self.section("logger_root", logs.LoggerSettings)
        self.expect(said.handlers, handlers, "logger_root", "handlers")
        return {"level": said.level, "handlers": list(said.handlers)}

    def logger(self, name: str, handlers: Collection[str]) -> tuple[str, dict[str, object]]:
        section = self.section_of("logger", name)
        said = self.section(section, logs.LoggerSettings)
        self.expect(said.handlers, handlers, section, "handlers")
        made = {"level": said.level, "handlers": list(said.handlers), "propagate": said.propagate}
        return said.qualname or name, made

    def handler(self, name: str, formatters: Collection[str]) -> dict[str, object]:
        section = self.section_of("handler", name)
        said = self.section(section, logs.HandlerSettings)
        made: dict[str, object] = {"class": said.made_of.name, "level": said.level}
        if said.formatter is not None:
            self.expect([said.formatter], formatters, section, "formatter")
            made["formatter"] = said.formatter
        return made | self.arguments(section, said)

    def arguments(self, section: str, said: logs.HandlerSettings) -> dict[str, object]:
        try:
            return said.made_of.arguments(said.args, said.kwargs or {})
        except Unsuitable as wrong:
            self.note(section, "args" if said.args else "kwargs", str(wrong))
            return {}

    def formatter(self, name: str) -> dict[str, object]:
        section = self.section_of("formatter", name)
        said = self.section(section, logs.FormatterSettings)
        try:
            style = cast("Literal['%', '{', '$']", said.style)
            trial = logging.Formatter(said.format, said.datefmt, style)
            trial.format(logging.makeLogRecord({}))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as wrong:
            self.note(section, "format", f"is no format for log lines ({wrong})")
        place = {} if said.made_of == logs.PLAIN else {"class": logs.FORMATTERS[said.made_of]}
        return {"format": said.format, "datefmt": said.datefmt, "style": said.style, **place}

    def section_of(self, kind: str, name: str) -> str:
        """Name the section that describes what a list names; its absence is a mistake."""
        section = f"{kind}_{name}"
        if section not in self.said.layers:
            known = [each.removeprefix(f"{kind}_") for each in self.said.layers]
            wrong = f"names {name}, but there is no [{section}]{nearest(name, known)}"
            self.note(f"{kind}s", "keys", wrong)
        return section

    def expect(self, names: Iterable[str], listed: Collection[str], section: str, key: str) -> None:
        """Note the names that the list of their kind does not hold."""
        shelf = key if key.endswith("s") else f"{key}s"
        for name in names:
            if name not in listed:
                wrong = f"names {name}, which [{shelf}] keys does not{nearest(name, listed)}"
                self.note(section, key, wrong)

    def warn_of_unlisted(self, kind: str, listed: Collection[str]) -> None:
        """Say which sections in files have no effect because no list names them."""
        for section, keys in self.said.layers.items():
            name = section.removeprefix(f"{kind}_")
            if section not in _BUILT_IN and name not in {section, *listed}:
                origin = next(iter(keys.values())).origin
                warning = f"[{section}] has no effect: [{kind}s] keys does not name {name}"
                self.found.warnings.append(f"{origin}: {warning}{nearest(name, listed)}")

    def note(self, section: str, key: str, wrong: str) -> None:
        given = self.said.layers.get(section, {}).get(key)
        mistake = Mistake(
            origin=given.origin if given else DEFAULT,
            section=section,
            key=key,
            value=given.value if given else None,
            wrong=wrong,
        )
        self.found.mistakes.append(mistake)
