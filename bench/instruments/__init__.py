"""What the benchmarks measure with: callers, servers, daemons, and how figures are shown.

Nothing here is measured by itself, and nothing here decides what a figure means; that is said by
the program that prints it. Importing this package makes `tashi` the one of this checkout, whatever
else may be installed.
"""

import sys
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).resolve().parents[2] / "src"

sys.path.insert(0, str(SOURCE))
