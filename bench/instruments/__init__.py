"""What the benchmarks measure with: callers, servers, daemons, and how figures are shown.

Nothing here is measured by itself, and nothing here decides what a figure means; that is said by
the program that prints it. Importing this package makes `tashi` the one of this checkout, whatever
else may be installed; the private servers of its tests can be imported too.
"""

import sys
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = CHECKOUT / "src"

sys.path[:0] = [str(SOURCE), str(CHECKOUT / "tests")]
