"""A program that logs as a daemon does that was told of one handler, and says what it has logged.

    python log_writer.py 'class = …' NAME LINES

The tests of rotation start several, and kill some.
"""

import logging
import logging.config
import sys
from typing import Final

from tashi.settings.judge import Findings
from tashi.settings.layers import Reading
from tashi.settings.logs import read_logging
from tashi.settings.syntax import parse

_AROUND: Final = "[handlers]\nkeys = h\n[logger_root]\nhandlers = h\n[handler_h]\n"


def configure(handler: str) -> None:
    """Have lines go where that handler's section says."""
    reading, found = Reading(), Findings()
    reading.lay(parse(f"{_AROUND}{handler}\n"), "Tashi.cfg")
    configuration = read_logging(reading.layers, found)
    assert found.mistakes == []
    logging.config.dictConfig(configuration)


def main(handler: str, name: str, lines: str) -> None:
    """Log so many lines, and say each once it is logged."""
    configure(handler)
    for number in range(int(lines)):
        logging.getLogger().warning("%s-%d", name, number)
        sys.stdout.write(f"{name}-{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
