"""A real Prometheus and a real gmond watch a cluster and find every metric that is documented."""

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from ports import free_port
from system.books import Place
from system.sites import PATIENCE_SECONDS, QEMU, Shape, Site
from tashi.domain.metrics import CERTIFICATE, METRICS, Kind, Metric

MONITORING = Path(__file__).parents[2] / "etc/monitoring"
GMOND = """\
globals { daemonize = no setuid = no mute = no deaf = no host_dmax = 0 cleanup_threshold = 300
  send_metadata_interval = 30 }
cluster { name = "tashi" owner = "tashi" }
host { location = "here" }
udp_recv_channel { port = %(port)d bind = 127.0.0.1 family = inet4 }
tcp_accept_channel { port = %(port)d bind = 127.0.0.1 family = inet4 }
"""
PROMETHEUS = """\
global: { scrape_interval: 500ms }
scrape_configs:
  - job_name: tashi
    static_configs: [ { targets: [%s] } ]
"""
GANGLIA = "tashi.messaging.GangliaPublisher"


class Watched(Site):
    """A cluster that shows its metrics, and tells a gmond of them."""

    def __init__(self, folder: Path, books: Place) -> None:
        self.pages = dict(zip(METRICS, (free_port() for _ in METRICS), strict=True))
        self.gmond = free_port()
        publisher: dict[str, object] = {"publisher": GANGLIA}
        extra: dict[str, dict[str, object]] = {
            "Metrics": {
                "clusterManagerPort": self.pages["clustermanager"],
                "nodeManagerPort": self.pages["nodemanager"],
                "schedulerPort": self.pages["scheduler"],
                "accountingPort": self.pages["accounting"],
                "interval": 0.2,
            },
            "GangliaPublisher": {"port": self.gmond, "retry": 0.5},
            "ClusterManager": publisher,
            "NodeManager": publisher,
            "Agent": publisher,
            "Accounting": publisher,
            "NodeManagerService": {"statsInterval": 0.5},
            "handlers": {"keys": "consoleHandler,publisherHandler"},
            "logger_root": {"level": "INFO", "handlers": "consoleHandler,publisherHandler"},
        }
        super().__init__(folder, Shape(vmm=QEMU, books=books, extra=extra))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, books: Place) -> Iterator[Watched]:
    """One host with one guest that stays in its firmware, and one instance that fits nowhere."""
    made = Watched(tmp_path_factory.mktemp("w"), books)
    made.add_image("empty.qcow2")
    made.start()
    made.accounting.start()
    for words in (("web", "64", "--wait"), ("big", "4096")):
        name, memory, *rest = words
        run = ("createVm", "--name", name, "--disks", "empty.qcow2", "--memory", memory, *rest)
        done = made.run("client", *run)
        assert done.returncode == 0, done.stderr
    yield made
    made.end()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Starts a server; ends it afterwards."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*command: object) -> None:
        with (tmp_path / "server.log").open("ab") as log:
            running.append(
                subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
            )

    yield start
    for process in running:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def until(holds: Callable[[], object], what: str) -> None:
    """Look until something holds: scrapes and packets come when they come."""
    deadline = monotonic() + PATIENCE_SECONDS
    missing: object = what
    while monotonic() < deadline:
        missing = holds()
        if not missing:
            return
        sleep(0.1)
    raise AssertionError(f"{what}: {missing}")


def ask(port: int, query: str) -> list[Any]:
    """What Prometheus answers to a query; nothing while it does not listen yet."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': query})}") as page:
            found: list[Any] = json.load(page)["data"]["result"]
            return found
    except OSError:
        return []


def series(metric: Metric) -> str:
    return f"{metric.name}_count" if metric.kind is Kind.DURATION else metric.name


def test_prometheus_finds_every_metric_and_each_query_of_the_dashboard_has_data(
    site: Watched, tmp_path: Path, started: Callable[..., None]
) -> None:
    port = free_port()
    targets = ", ".join(f"'127.0.0.1:{page}'" for page in site.pages.values())
    (tmp_path / "p.yml").write_text(PROMETHEUS % targets)
    started(
        "prometheus",
        f"--config.file={tmp_path}/p.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    )

    def missing() -> list[str]:
        return [
            f"{daemon}: {metric.name}"
            for daemon, rows in METRICS.items()
            for metric in rows
            if metric is not CERTIFICATE  # there are none here: see test_renewal
            and not ask(port, f'{series(metric)}{{instance="127.0.0.1:{site.pages[daemon]}"}}')
        ]

    def without_data() -> list[str]:
        return [query for query in queries() if not ask(port, query)]

    until(missing, "These metrics are not there")
    until(without_data, "These queries have no data")


def queries() -> list[str]:
    """Every query of the dashboard, as Grafana would send it."""
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert found
    return [query.replace("$__rate_interval", "5s") for query in found]


@pytest.mark.parametrize(("check", "file"), [("config", "prometheus.yml"), ("rules", "alerts.yml")])
def test_promtool_finds_nothing_wrong_with_what_we_give(check: str, file: str) -> None:
    checked = subprocess.run(
        ["promtool", "check", check, str(MONITORING / file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "SUCCESS" in checked.stdout


def test_alerts_and_dashboard_ask_for_nothing_that_is_not_measured() -> None:
    text = "".join(file.read_text() for file in MONITORING.iterdir())
    known = {metric.name for rows in METRICS.values() for metric in rows}

    asked = {
        re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\btashi_[a-z_]+\b", text)
    }

    assert asked <= known
    assert asked


def test_gmond_shows_the_gauges_and_counters_of_all_daemons(
    site: Watched, tmp_path: Path, started: Callable[..., None]
) -> None:
    (tmp_path / "gmond.conf").write_text(GMOND % {"port": site.gmond})
    started("gmond", "-f", "-c", tmp_path / "gmond.conf")

    def missing() -> list[str]:
        shown = gmond_says(site.gmond)
        return [name for name in expected if f'METRIC NAME="{name}' not in shown]

    # Ganglia hears of a counter once something was counted, and no commit has failed here.
    told = (
        metric
        for rows in METRICS.values()
        for metric in rows
        if metric.kind is not Kind.DURATION and metric is not CERTIFICATE
    )
    expected = sorted({metric.name for metric in told} - {"tashi_failed_commits_total"})

    until(missing, "gmond does not know these")
    assert re.search('NAME="tashi_instances_Running" VAL="1" TYPE="double"', gmond_says(site.gmond))


def gmond_says(port: int) -> str:
    """All that gmond knows, as XML; nothing while it does not listen yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as line:
            return b"".join(iter(lambda: line.recv(65536), b"")).decode()
    except OSError:
        return ""
