"""What a program prints of itself, on a standard output that may be full, or gone."""

import io
import os
import sys

from tashi.domain.errors import Failed


def take_any_text() -> None:
    """Have standard output write what its encoding lacks as escapes, as standard error does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def print_out(text: str) -> None:
    """Print a text, whole; raises Failed where it cannot be written."""
    try:
        print(text, end="", flush=True)
    except OSError as wrong:
        let_go(sys.stdout.fileno())
        raise Failed(f"The output cannot be written: {wrong.strerror}.") from wrong


def let_go(number: int) -> None:
    """Have what is still to be written to a standard stream go nowhere.

    Python writes it at the end, and would complain of it in its own words.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)
