"""A model of a whole cluster, to look for ways in which the rules of the domain could fail.

The books use the real table, orders and reconciliation; nodes are models that keep the contract a
node manager must keep; between them is a network that delays, repeats and loses. `world` lets
chance choose what happens next, always the same for the same seed, and looks after every event
whether an instance runs twice or vanished, whether saved memory that is of use was thrown away, and
in the end whether anybody waits for disks that are lost, or is left on a host that should be empty.
By hand, for as long as one likes:

    PYTHONPATH=src:tests python -m simulator --runs 100000

What is not modelled here: placement by resources (every host has room), time (whatever patience
allows may happen at any moment), and the insides of QEMU.
"""
