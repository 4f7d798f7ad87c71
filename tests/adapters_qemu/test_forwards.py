"""The ports that QEMU's own network forwards, read from what its monitor says."""

from tashi.adapters.hypervisor.qemu.forwards import read_forwards
from tashi.domain.instance import Forward

ANSWER = """\
Hub -1 (net0):\r
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r
  TCP[HOST_FORWARD]  12       127.0.0.1 38927       10.0.2.15    80     0     0\r
  TCP[HOST_FORWARD]  13       127.0.0.1 40001       10.0.2.15    22     0     0\r
  TCP[ESTABLISHED]   14       127.0.0.1 38927       10.0.2.15    80     0     0\r
Hub -1 (net1):\r
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r
  TCP[HOST_FORWARD]  15       127.0.0.1 41234       10.0.2.15    80     0     0\r
"""


def test_each_card_has_its_own_forwards() -> None:
    forwards = read_forwards(ANSWER)

    assert forwards == {
        "net0": (Forward(80, 38927), Forward(22, 40001)),
        "net1": (Forward(80, 41234),),
    }


def test_other_words_are_no_forwards() -> None:
    assert read_forwards("unknown command: 'info usernet'\r\n") == {}
