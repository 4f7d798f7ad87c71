"""nmd, which keeps a daemon alive."""

from pathlib import Path

from tashi.settings import kinds
from tashi.settings.declare import section, setting


@section("Supervisor")
class SupervisorSettings:
    """How nmd restarts the daemon it keeps; it reads the files that the daemon reads."""

    first_delay: float = setting(
        "firstDelay",
        kinds.seconds,
        default=1.0,
        words="Seconds before a daemon that died is started again; doubled each time it dies soon.",
    )
    longest_delay: float = setting(
        "longestDelay", kinds.seconds, default=30.0, words="Seconds that the delay never exceeds."
    )
    log_file: Path | None = setting(
        "logFile",
        kinds.path,
        default=None,
        words="""
        Where the output of nmd and its daemon goes when nmd runs in the background; not set,
        /var/log/PROGRAM.log. Set for one daemon in a file of its own, such as NodeManager.cfg.""",
    )
