"""The machine itself: its clocks, its programs, and what it says of its own size.

The one package, beside the supervisor, that may start other programs, and the one that reads the
date.
"""
