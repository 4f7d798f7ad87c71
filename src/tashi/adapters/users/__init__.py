"""Directories of users that somebody else keeps: the machine's own, and none at all.

A directory only lists; how long a list is good, and what holds when the directory is away, the
cluster manager decides.
"""
