"""The scheduler: finds hosts for the instances that wait.

It follows the cluster manager's events, plans with the rules of `domain.placement`, and proposes;
the cluster manager checks every proposal again and may refuse it. The scheduler keeps nothing on
disk: one that is killed and started again reads a snapshot and goes on.
"""
