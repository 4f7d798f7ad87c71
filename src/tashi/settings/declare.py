"""How a section of the configuration is declared, once, for the reader, the pages and mypy.

    @section("Vfs")
    class VfsSettings:
        \"\"\"Where the images are.\"\"\"

        prefix: Path = setting("prefix", path, default=Path("/srv"), words="The folder that …")

makes a frozen, slotted dataclass: `VfsSettings()` holds the defaults, tests write
`VfsSettings(prefix=tmp_path)`, and `describe(VfsSettings)` says what may stand under `[Vfs]`.

Laws: a key is declared in one place; every setting has a default, so that an empty configuration
is complete; a default of None means "not set", and an empty value in a file means the same. A
section's record has no `repr`, because it may hold secrets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Generic, TypeVar, cast, dataclass_transform, overload

from tashi.settings.kinds import Kind

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Setting:
    """One key: how it is spelt in files, read, explained, and what holds when no file gives it.

    `formerly` are older spellings, accepted with a warning. `variable` is an environment variable
    that goes before every file.
    """

    key: str
    kind: Kind[object]
    default: object
    words: str
    formerly: tuple[str, ...] = ()
    variable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Family:
    """Keys that are one word and a number, such as ipRange999."""

    key: str
    kind: Kind[object]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Section(Generic[S]):
    """What may stand under one [name], and the dataclass that its values become.

    `settings` and `families` map the dataclass's attributes to their declarations; `obsolete` maps
    keys that are accepted without effect to what replaced them (`name<N>` stands for a family).
    """

    name: str
    make: type[S]
    settings: Mapping[str, Setting]
    families: Mapping[str, Family]
    obsolete: Mapping[str, str]

    @property
    def words(self) -> str:
        """What the section is about."""
        return self.make.__doc__ or ""


_ROLE: Final = "setting"
_DECLARED: Final[dict[type, Section[object]]] = {}


@overload
def setting(
    key: str,
    kind: Kind[T],
    *,
    default: None,
    words: str,
    formerly: tuple[str, ...] = (),
    variable: str = "",
) -> T | None: ...
@overload
def setting(
    key: str,
    kind: Kind[T],
    *,
    default: T,
    words: str,
    formerly: tuple[str, ...] = (),
    variable: str = "",
) -> T: ...
def setting(
    key: str,
    kind: Kind[T],
    *,
    default: T | None,
    words: str,
    formerly: tuple[str, ...] = (),
    variable: str = "",
) -> T | None:
    """Declare one key of a section; to mypy it is a dataclass field with that default."""
    declared = Setting(
        key=key,
        kind=cast("Kind[object]", kind),
        default=default,
        words=words,
        formerly=formerly,
        variable=variable,
    )
    return field(default=default, metadata={_ROLE: declared})


def family(key: str, kind: Kind[T], *, default: Mapping[int, T], words: str) -> Mapping[int, T]:
    """Declare the keys `key1`, `key2` …; the values are found under their numbers, ascending."""
    declared = Family(key=key, kind=cast("Kind[object]", kind), words=words)
    return field(default_factory=lambda: dict(default), metadata={_ROLE: declared})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting, family))
def section(
    name: str, *, obsolete: Mapping[str, str] | None = None
) -> Callable[[type[S]], type[S]]:
    """Make a class of declared keys the section `[name]`."""

    def build(plain: type[S]) -> type[S]:
        made = dataclass(frozen=True, slots=True, kw_only=True, repr=False)(plain)
        roles = {each.name: each.metadata[_ROLE] for each in fields(made)}  # type: ignore[arg-type]
        _DECLARED[made] = Section(
            name=name,
            make=made,
            settings={
                attribute: role for attribute, role in roles.items() if isinstance(role, Setting)
            },
            families={
                attribute: role for attribute, role in roles.items() if isinstance(role, Family)
            },
            obsolete=obsolete or {},
        )
        return made

    return build


def describe(declared: type[S]) -> Section[S]:
    """Say what was declared for a class that `section` made."""
    return cast("Section[S]", _DECLARED[declared])
