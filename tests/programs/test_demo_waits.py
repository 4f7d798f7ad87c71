"""A demo waits for a cluster manager that takes its time to begin, but not for ever."""

from contextlib import closing

import pytest

from tashi.domain.errors import PeerSilent, TimedOut
from tashi.programs.demo import cluster
from tashi.programs.demo.cluster import Cluster

NOBODY = ("127.0.0.1", 9)


class SlowToBegin(Cluster):
    """One whose cluster manager answers when it has been asked often enough."""

    def __init__(self, refusals: int) -> None:
        super().__init__(NOBODY)
        self.refusals = refusals

    def _hosts_up(self) -> int:
        self.refusals -= 1
        if self.refusals >= 0:
            raise PeerSilent("Connection refused.", sent="no")
        raise TimedOut("It has answered.")


def test_a_cluster_manager_that_is_slow_to_begin_is_asked_again() -> None:
    with closing(SlowToBegin(2)) as slow, pytest.raises(TimedOut, match="It has answered"):
        slow.wait_for_hosts()


def test_one_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE_SECONDS", -1.0)

    with closing(SlowToBegin(1)) as silent, pytest.raises(PeerSilent):
        silent.wait_for_hosts()
