"""A thread that ends before its first step ends the program.

Where memory is short, a new thread can fail before any code of ours runs in it. Whoever started it
then waits for ever for that first step (`threading.Thread.start`, until CPython 3.14: gh-140746),
with the locks that it holds: the loop of a daemon would stand still, and the daemon seem to live.
All that is heard of it is what the interpreter says of errors that nobody can catch. There is no
memory for code in that thread, so a function in C passes it on to one that has been waiting here.
"""

import logging
import os
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_log = logging.getLogger("tashi")

_OF_A_THREAD = "in thread started by"


def watch_over(name: str, exit_code: int) -> None:
    """End this process, the program of that name, once a thread fails to take its first step."""
    told: SimpleQueue[UnraisableHookArgs] = SimpleQueue()
    sys.unraisablehook = told.put
    arguments = told, name, exit_code
    threading.Thread(target=_listen, args=arguments, name="first steps", daemon=True).start()


def _listen(told: "SimpleQueue[UnraisableHookArgs]", name: str, exit_code: int) -> None:
    while True:
        said = told.get()
        if _OF_A_THREAD not in (said.err_msg or ""):
            sys.__unraisablehook__(said)
            continue
        try:
            _log.critical("%s ends: a thread did not begin (%s).", name, said.exc_type.__name__)
        finally:
            os._exit(exit_code)
