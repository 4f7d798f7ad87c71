"""nmd, the keeper of daemons: keeps a node manager, or any other Tashi daemon, alive.

Composition only: reads the command line and [Supervisor] of the daemon's own files, takes the pid
file and the log while the caller still listens, then keeps the daemon in the background or, with
-f, right here. Everything relative is resolved before the background's folder becomes `/`; the
daemon itself is started in the folder that nmd was called from, because configuration is looked
for in `./etc/` there.
"""

import argparse
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from tashi import __version__
from tashi.domain.errors import Failed, Misconfigured, Refused, TashiError
from tashi.programs.printing import print_out, take_any_text
from tashi.settings import show
from tashi.settings.load import load
from tashi.settings.search import Program
from tashi.settings.sections.supervisor import SupervisorSettings
from tashi.supervisor.background import FAILED, Verdict, fill_standard_descriptors, in_background
from tashi.supervisor.keeper import Daemon, Keeper
from tashi.supervisor.logbook import LogBook
from tashi.supervisor.oom import OomShield
from tashi.supervisor.pidfile import PidFile, stop_keeper
from tashi.supervisor.policy import DONE, KeepPolicy

DEFAULT_PROGRAM = "nodemanager"
# Whose files are read for a daemon; a node manager's for a program that is none of ours.
FILES_OF = {
    "clustermanager": Program.CLUSTER_MANAGER,
    "scheduler": Program.AGENT,
    "primitive": Program.AGENT,
    "accounting": Program.ACCOUNTING,
}
LOG_FOLDER = Path("/var/log")
RUN_FOLDER = Path("/run")
# How long nmd waits, before it returns, for a daemon that gives up at once.
FIRST_MOMENTS_SECONDS = 1.0
# What a stop may take beyond the daemon's own time of grace.
STOP_MARGIN_SECONDS = 5.0
EXIT_CODES: dict[type[TashiError], int] = {Refused: 1, Misconfigured: 2, Failed: 3}


def main(argv: Sequence[str] | None = None, policy: KeepPolicy | None = None) -> int:
    """Run nmd and return its exit code: 0 done, 1 refused, 2 misused or misconfigured, 3 failed."""
    take_any_text()
    asked = _parser().parse_args(argv)
    try:
        if asked.stop:  # whatever the files say: a daemon must be stoppable while they are wrong
            stop_keeper(_pid_file(asked), KeepPolicy().grace_seconds + STOP_MARGIN_SECONDS)
            return DONE
        settings = load(FILES_OF.get(_name(asked), Program.NODE_MANAGER), os.environ)
        if asked.show_settings:
            form = show.as_json if asked.output == "json" else show.as_text
            print_out(form(settings, only="Supervisor"))
            return DONE
        ours = settings.of(SupervisorSettings)
        return _keep(asked, policy or _policy(ours), ours.log_file)
    except TashiError as error:
        print(f"nmd: {error.message}", file=sys.stderr)
        return next(code for family, code in EXIT_CODES.items() if isinstance(error, family))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nmd",
        usage="%(prog)s [-h] [-f] [--log FILE] [--pid-file FILE] [--stop] [PROGRAM [ARGS...]]\n"
        "       %(prog)s --show-settings [--output text|json] [PROGRAM]",
        description="Keep a node manager, or another Tashi daemon, alive.",
        epilog="Settings come from [Supervisor] in the files that PROGRAM reads. "
        "Exit codes: 0 done, 1 refused, 2 misused or misconfigured, 3 failed.",
    )
    add = parser.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("--show-settings", action="store_true", help="print nmd's own settings and end")
    add("--output", choices=("text", "json"), default="text", help="the form of --show-settings")
    add("-f", "--foreground", action="store_true", help="stay here and log to standard error")
    add(
        "--log",
        type=Path,
        metavar="FILE",
        help="the log (default: logFile in [Supervisor], else /var/log/PROGRAM.log)",
    )
    add(
        "--pid-file", type=Path, metavar="FILE", help="the pid file (default: /run/nmd-PROGRAM.pid)"
    )
    add("--stop", action="store_true", help="stop the nmd that holds the pid file, and its daemon")
    add(
        "command",
        nargs=argparse.REMAINDER,
        metavar="PROGRAM [ARGS...]",
        help=f"what to keep alive (default: {DEFAULT_PROGRAM}, the one installed beside nmd)",
    )
    return parser


def _policy(ours: SupervisorSettings) -> KeepPolicy:
    return KeepPolicy(ours.first_delay, ours.longest_delay)


def _keep(asked: argparse.Namespace, policy: KeepPolicy, log_file: Path | None) -> int:
    fill_standard_descriptors()
    folder = _folder()
    daemon = Daemon(_name(asked), _resolved(_command(asked)), folder)
    log = LogBook(_log(asked, log_file))
    pid_file = PidFile(_pid_file(asked))

    def work() -> Verdict:
        pid_file.sign()
        try:
            return Keeper(daemon, policy, log, OomShield()).run()
        except Exception:  # noqa: BLE001 - the last chance to say what went wrong
            left_alone = f"nmd itself failed and leaves {daemon.name} alone.\n"
            log.say(left_alone + traceback.format_exc(), "ERROR")
            return Verdict(FAILED)
        finally:
            pid_file.remove()
            log.close()

    verdict = work() if asked.foreground else in_background(work, FIRST_MOMENTS_SECONDS)
    if not (asked.foreground and log.path is None):
        print(verdict.words, end="", file=sys.stderr)
    return verdict.exit_code


def _command(asked: argparse.Namespace) -> list[str]:
    command: list[str] = asked.command
    return (command[1:] if command[:1] == ["--"] else command) or [DEFAULT_PROGRAM]


def _name(asked: argparse.Namespace) -> str:
    return Path(_command(asked)[0]).name.removesuffix(".py")


def _resolved(command: list[str]) -> tuple[str, ...]:
    """Return the command line with the program's full path: beside nmd first, then on PATH."""
    program, *arguments = command
    beside = [str(Path(place).absolute().parent) for place in (sys.argv[0], sys.executable)]
    places = os.pathsep.join([*beside, os.environ.get("PATH", os.defpath)])
    found = shutil.which(program, path=places)
    if found is None:
        raise Misconfigured(f"There is no program '{program}' that can be run.")
    return (str(Path(found).absolute()), *arguments)


def _folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise Misconfigured(
            "The folder that nmd is called from does not exist any more."
        ) from error


def _log(asked: argparse.Namespace, log_file: Path | None) -> Path | None:
    given: Path | None = asked.log
    if given is None and not asked.foreground:
        given = log_file or LOG_FOLDER / f"{_name(asked)}.log"
    return None if given is None else given.absolute()


def _pid_file(asked: argparse.Namespace) -> Path:
    given: Path | None = asked.pid_file
    if given is not None:
        return given.absolute()
    own = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(own) if own and os.geteuid() else RUN_FOLDER
    return folder / f"nmd-{_name(asked)}.pid"


if __name__ == "__main__":
    sys.exit(main())
