"""Where configuration files are looked for, and in which order.

    ./etc/  /usr/share/tashi/  /etc/tashi/  ~/.tashi/

and in each of them TashiDefaults.cfg, Tashi.cfg, <Program>Defaults.cfg and <Program>.cfg. What
comes later goes before what came earlier. `TASHI_CONFIG_DIRS`, folders separated by colons,
replaces the list of folders: for tests, and for a second cluster on the same machine.

This module names files; it opens none.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

FOLDERS_VARIABLE: Final = "TASHI_CONFIG_DIRS"
FOLDERS: Final = ("./etc", "/usr/share/tashi", "/etc/tashi", "~/.tashi")


class Program(StrEnum):
    """A program that has configuration files of its own; the value begins their names."""

    CLUSTER_MANAGER = "ClusterManager"
    NODE_MANAGER = "NodeManager"
    CLIENT = "Client"
    AGENT = "Agent"
    ACCOUNTING = "Accounting"


def folders(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Name the folders to search, the least important first; they need not exist."""
    chosen = environment.get(FOLDERS_VARIABLE, "").split(":")
    names = [name for name in chosen if name] or FOLDERS
    found = (_at_home(name, environment) for name in names)
    return tuple(folder for folder in found if folder is not None)


def files(program: Program, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Name the files a program reads, the least important first; they need not exist."""
    names = ("TashiDefaults.cfg", "Tashi.cfg", f"{program}Defaults.cfg", f"{program}.cfg")
    return tuple(folder / name for folder in folders(environment) for name in names)


def _at_home(name: str, environment: Mapping[str, str]) -> Path | None:
    home = environment.get("HOME")
    if home and (name == "~" or name.startswith("~/")):
        return Path(home, name[2:])
    try:
        return Path(name).expanduser()
    except RuntimeError:  # whoever has no home has no files there either
        return None
