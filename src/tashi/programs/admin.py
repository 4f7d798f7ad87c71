"""tashi-admin: what administrators do with hosts, networks, users and configuration files.

Composition only, as in `client`, for the rows of `tashi.client.admin`.
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tashi.client.admin import Findings
    from tashi.client.agreeing import Inspection
    from tashi.client.bookkeeping import Bookkeeper
    from tashi.client.certificates import Issued
    from tashi.domain.usage import Account
    from tashi.wire.calls import Calls

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run tashi-admin and return its exit code."""
    gc.disable()  # until everything is loaded: nothing of that is ever given back
    try:
        from tashi.client import admin, agreeing, bookkeeping, certificates, leaders, parser, usage
        from tashi.programs import frontdoor

        words = "Look after the hosts, networks and users of a Tashi cluster."
        rooms = (
            certificates.commands(_Authority()),
            bookkeeping.commands(_bookkeeper),
            agreeing.commands(_inspection),
            usage.commands(usage.Accounts(_account, _now)),
            leaders.commands(frontdoor.ways),
        )
        front = parser.Front("tashi-admin", words, admin.commands(_check, *rooms))
        return frontdoor.enter(front, sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED


class _Authority:
    """The cluster's authority, its library loaded only by who works with it."""

    def begin(self) -> str:
        from tashi.programs.authority import OurAuthority

        return OurAuthority().begin()

    def issue(
        self, role: str, name: str, addresses: "Sequence[str]", days: int, to: str | None
    ) -> "Issued":
        from tashi.programs.authority import OurAuthority

        return OurAuthority().issue(role, name, addresses, days, to)

    def renew(self, folder: str, days: int) -> "Issued":
        from tashi.programs.authority import OurAuthority

        return OurAuthority().renew(folder, days)


def _bookkeeper() -> "Bookkeeper":
    """Who opens the books; the stores' libraries are loaded only by who works with them."""
    from tashi.programs.bookkeeping import OurBookkeeper

    return OurBookkeeper()


def _inspection(calls: "Calls") -> "Inspection":
    from tashi.programs.inspecting import inspection

    return inspection(calls)


def _check() -> "Findings":
    from tashi.settings import load

    found = load.check(os.environ)
    mistakes = [str(mistake) for mistake in found.mistakes]
    if mistakes:
        return mistakes, found.warnings
    from tashi.programs import proving, trying
    from tashi.settings.search import Program

    settings = load.load(Program.CLUSTER_MANAGER, os.environ)
    return [*trying.mistakes(os.environ)], [*found.warnings, *proving.warnings(settings)]


def _account(begin: float, end: float) -> "Account":
    from tashi.adapters.accounting.reading import FolderReader
    from tashi.agents.usage import account
    from tashi.settings.load import load
    from tashi.settings.search import Program
    from tashi.settings.sections.accounting import AccountingSettings

    ours = load(Program.ACCOUNTING, os.environ).of(AccountingSettings)
    return account(FolderReader(ours.journal), begin, end)


def _now() -> float:
    from tashi.adapters.system.clock import SystemClock

    return SystemClock().wall()


if __name__ == "__main__":
    sys.exit(main())
