"""The words and rules of a cluster, as plain data and pure functions.

Here are the records (instances, hosts, networks, users), the table of states, and the rules of
admission, placement, liveness and reconciliation. Nothing in this package reads a clock, a file or
a socket: time, randomness and the world arrive as arguments.
"""
