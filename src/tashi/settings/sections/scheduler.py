"""The scheduler: how it chooses hosts, how it tries again, and whom it tells."""

from collections.abc import Mapping
from pathlib import Path

from tashi.settings import kinds
from tashi.settings.declare import family, section, setting
from tashi.settings.sections.parts import DHCP_DNS, PUBLISHER


@section("Agent")
class AgentParts:
    """What every agent of the cluster has."""

    publisher: str | None = setting(
        "publisher", kinds.implementation(PUBLISHER), default=None, words="Where metrics are sent."
    )


@section("Primitive", obsolete={"scheduleDelay": "what changes is followed at once"})
class PrimitiveSettings:
    """How the scheduler places instances."""

    dense_pack: bool = setting(
        "densePack",
        kinds.flag,
        default=False,
        words="Whether hosts are filled one after the other; else instances are spread.",
    )
    held_first_pause: float = setting(
        "heldFirstPause",
        kinds.seconds,
        default=5.0,
        words="""Seconds before an instance whose start failed is tried again; doubled each time
        it fails.""",
    )
    held_longest_pause: float = setting(
        "heldLongestPause",
        kinds.seconds,
        default=300.0,
        words="Seconds that this pause never exceeds.",
    )
    drain_parallel: int = setting(
        "drainParallel",
        kinds.count,
        default=2,
        words="""How many instances of a host that is being emptied are moved at once. A move that
        failed is tried again after heldFirstPause, then after growing pauses.""",
    )
    hooks: Mapping[int, str] = family(
        "hook",
        kinds.dotted,
        default={},
        words=f"""What is told before an instance starts and after it is gone: {DHCP_DNS}, or a
        class of your own as MODULE.CLASS, with its module in the folder hookPath.""",
    )
    hook_path: Path | None = setting(
        "hookPath",
        kinds.path,
        default=None,
        words="The folder with the modules of your own hooks; no other code is ever loaded.",
    )
    hook_folder: Path | None = setting(
        "hookFolder",
        kinds.path,
        default=None,
        words="A folder of programs that are told the same, as JSON on their standard input.",
    )
    hook_timeout: float = setting(
        "hookTimeout",
        kinds.seconds,
        default=30.0,
        words="Seconds after which a hook of your own that has not ended is killed.",
    )
