"""Search for a history that breaks a law: ``python -m simulator --runs N [--seed FIRST]``.

With ``--without sessions|operations|attempts|promises|doors|debts`` it shows what that protection
is for.
A broken law is printed with the story that led to it; the exit code is then 1.
"""

import argparse
import sys
import time
from dataclasses import fields

from simulator.messages import Protections
from simulator.search import first_violation


def main() -> int:
    """Run, print, and say by the exit code whether every law held."""
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    protections = [field.name for field in fields(Protections)]
    parser.add_argument("--without", choices=protections)
    asked = parser.parse_args()
    kept = Protections(**({asked.without: False} if asked.without else {}))
    began = time.monotonic()
    found = first_violation(range(asked.seed, asked.seed + asked.runs), kept)
    seconds = time.monotonic() - began
    if found is None:
        print(f"Every law held in {asked.runs} runs ({seconds:.0f} s).")
        return 0
    print(found.story)
    print(found.words)
    return 1


if __name__ == "__main__":
    sys.exit(main())
