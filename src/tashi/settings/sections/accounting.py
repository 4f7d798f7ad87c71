"""The accounting daemon, and metrics for Ganglia."""

from collections.abc import Mapping

from tashi.settings import kinds
from tashi.settings.declare import family, section, setting
from tashi.settings.sections.parts import DHCP_DNS, ONE_SERVICE, PUBLISHER


@section("Accounting", obsolete={"service": ONE_SERVICE})
class AccountingParts:
    """Which parts make up the accounting daemon."""

    publisher: str | None = setting(
        "publisher", kinds.implementation(PUBLISHER), default=None, words="Where metrics are sent."
    )
    hooks: Mapping[int, str] = family(
        "hook",
        kinds.implementation(DHCP_DNS),
        default={},
        words="What is told of every instance's end.",
    )


@section("AccountingService")
class AccountingSettings:
    """How the accounting daemon listens and writes."""

    host: str = setting(
        "host", kinds.hostname, default="127.0.0.1", words="The address to listen on."
    )
    port: int = setting("port", kinds.listening_port, default=2228, words="The port to listen on.")
    poll_sleep: float = setting(
        "pollSleep",
        kinds.seconds,
        default=600.0,
        words="Seconds between two lists of all instances in the accounting log.",
    )


@section("GangliaPublisher")
class GangliaSettings:
    """How metrics are handed to Ganglia's gmond."""

    dmax: float = setting(
        "dmax",
        kinds.seconds,
        default=60.0,
        words="Seconds after which gmond forgets a silent metric.",
    )
    retry: float = setting(
        "retry",
        kinds.seconds,
        default=3600.0,
        words="Seconds before a gmond that could not be reached is tried again.",
    )
