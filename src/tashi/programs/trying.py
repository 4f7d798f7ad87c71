"""What keeps a daemon from starting though each of its settings is right by itself.

Daemons are tried as far as they can be without asking anybody. Keys and secrets are in files of the
machine where they are needed: what this machine has none of is not tried here.
"""

from collections.abc import Iterator, Mapping

from tashi.adapters.system.commands import SystemCommands
from tashi.domain.errors import Misconfigured
from tashi.programs.outlets import chosen_outlets
from tashi.programs.site import chosen_hooks, chosen_servers, chosen_site
from tashi.settings.load import Settings, load
from tashi.settings.search import Program
from tashi.settings.sections.accounting import WebhookSettings
from tashi.settings.sections.dhcpdns import DhcpDnsSettings


def mistakes(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each daemon that would not start; raises Misconfigured as `load` does."""
    tries = (
        ("The scheduler", Program.AGENT, _scheduler),
        ("The accounting daemon", Program.ACCOUNTING, _accounting),
    )
    for daemon, program, begin in tries:
        settings = load(program, environment)
        try:
            begin(settings)
        except Misconfigured as wrong:
            yield f"{daemon} does not start with these files: {wrong.message}"


def _scheduler(settings: Settings) -> None:
    if settings.of(DhcpDnsSettings) != DhcpDnsSettings():
        chosen_site(settings)
        chosen_servers(settings)
        chosen_hooks(settings, SystemCommands())


def _accounting(settings: Settings) -> None:
    if settings.of(WebhookSettings).secrets:
        chosen_outlets(settings)
