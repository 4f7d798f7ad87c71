"""Names for the numbers that travel through Tashi, so that no two kinds are ever confused.

Ids are given out once and never again: a number that was used stays used, also after the record
behind it is gone. That is what lets a node tell a guest of the past from one of the present.
"""

from typing import NewType

InstanceId = NewType("InstanceId", int)
HostId = NewType("HostId", int)
NetworkId = NewType("NetworkId", int)
UserId = NewType("UserId", int)

VmId = NewType("VmId", int)
"""A guest's process id on its host."""

Attempt = NewType("Attempt", int)
"""Which placement of an instance this is; each new one counts up."""

Operation = NewType("Operation", int)
"""The number of an accepted command; its repeats keep it."""

Session = NewType("Session", int)
"""The number of a conversation between the cluster manager and one node."""

Epoch = NewType("Epoch", int)
"""Which reign of a cluster manager this is; a node refuses orders of an earlier one."""

EventNumber = NewType("EventNumber", int)
CommitNumber = NewType("CommitNumber", int)

Mib = NewType("Mib", int)
"""Memory in mebibytes."""
