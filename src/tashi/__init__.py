"""Tashi: a cluster manager for virtual machines.

From the bottom up: `domain` holds the words and rules, `wire`, `ports` and `settings` the shared
floor, one room per daemon beside the `adapters` that touch the world, and `programs` on top, which
choose adapters and start daemons. Imports point down only.
"""

__version__ = "0.1.0"
