"""The leak check itself: it must see what it is there to see."""

import os
import socket
import subprocess
import threading

from leaks import Belongings, left_since


def test_an_open_socket_is_named_until_it_is_closed() -> None:
    before = Belongings.now()

    with socket.socket():
        leaks = left_since(before)

    assert any("socket:" in leak for leak in leaks)
    assert left_since(before) == []


def test_a_thread_that_ends_in_time_is_no_leak() -> None:
    before = Belongings.now()
    told = threading.Event()
    thread = threading.Thread(target=told.wait, name="slow to leave")

    thread.start()
    seen = Belongings.now().gained_since(before)
    told.set()

    assert seen == [f"thread {thread.ident}: slow to leave"]
    assert left_since(before) == []


def test_a_thread_that_stays_is_named() -> None:
    before = Belongings.now()
    told = threading.Event()
    thread = threading.Thread(target=told.wait, name="never leaves")
    thread.start()
    late = iter([0.0, 10.0, 10.0, 10.0])

    leaks = left_since(before, clock=lambda: next(late))
    told.set()
    thread.join()

    assert leaks == [f"thread {thread.ident}: never leaves"]


def test_a_child_nobody_waited_for_is_named() -> None:
    before = Belongings.now()
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    leaks = left_since(before)
    child.wait()

    assert leaks == [f"child process {child.pid}: true (ended, nobody waited for it)"]
