"""What daemons measure, and who is shown or told it."""

from tashi.settings import kinds
from tashi.settings.declare import section, setting

_PORT_WORDS = "The port of its page of metrics (http://HOST:PORT/metrics); not set, it has none."


@section("Metrics")
class MetricsSettings:
    """Pages of metrics in Prometheus's format, one for each daemon."""

    host: str = setting(
        "host",
        kinds.hostname,
        default="127.0.0.1",
        words="""The address that pages are shown at. They ask nobody for a name, and say which
        instances there are and what they use: whoever reaches the address reads them.""",
    )
    cluster_manager_port: int | None = setting(
        "clusterManagerPort", kinds.listening_port, default=None, words=_PORT_WORDS
    )
    node_manager_port: int | None = setting(
        "nodeManagerPort", kinds.listening_port, default=None, words=_PORT_WORDS
    )
    scheduler_port: int | None = setting(
        "schedulerPort", kinds.listening_port, default=None, words=_PORT_WORDS
    )
    accounting_port: int | None = setting(
        "accountingPort", kinds.listening_port, default=None, words=_PORT_WORDS
    )
    interval: float = setting(
        "interval",
        kinds.seconds,
        default=15.0,
        words="""Seconds between two looks at what there is: a page that is read more often shows
        what was found last, and Ganglia is told so often.""",
    )


@section("GangliaPublisher")
class GangliaSettings:
    """How metrics are handed to Ganglia's gmond."""

    host: str = setting(
        "host", kinds.hostname, default="127.0.0.1", words="The machine that gmond runs on."
    )
    port: int = setting("port", kinds.port, default=8649, words="The UDP port that it listens on.")
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
