"""What a demo says while it goes on: each step with the time it took, and texts with a heading."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def step(words: str) -> Iterator[None]:
    """Say what is done now, and afterwards how long it took."""
    print(f"  {words} ... ", end="", flush=True)
    begun = time.monotonic()
    yield
    print(f"done ({time.monotonic() - begun:.1f} s)", flush=True)


def aside(words: str) -> None:
    """Say something that went otherwise than it should, in the midst of a step."""
    print(f"\n    {words}", end=" ")


def show(heading: str, lines: Sequence[str]) -> None:
    """Show lines that somebody else said."""
    print(f"\n{heading}:")
    print("".join(f"    {line}\n" for line in lines), end="")
