"""What is allowed to break a rule of the house for now. These lists may only shrink.

An entry that is no longer needed fails `test_exceptions_are_needed`, so that it goes away with its
reason. Nothing is added here to make a new change pass.
"""

from typing import Final

LONG_FILES: Final[dict[str, int]] = {
    "tests/supervisor/test_nmd.py": 445,
}
"""File: the number of lines it has."""

LONG_FUNCTIONS: Final[dict[str, int]] = {}
"""`file:function`: the number of lines it has."""

MANY_PARAMETERS: Final[dict[str, int]] = {}
"""`file:function`: the number of parameters it has."""

PORTS_WITHOUT_CONTRACT: Final[set[str]] = set()
"""Ports whose suite in tests/contracts is still to be written."""
