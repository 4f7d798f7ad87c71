"""Several machines on this one, for the demo of many hosts and for the tests of them.

A pretended machine is a network namespace with a cable to a switch, a mount namespace for what
machines do not share, and a UTS namespace for its name. `namespace` makes one of them, `wiring`
gives it its network devices, `claims` keeps several such sets apart, and `lab` puts all together.
Nothing of it outlives its processes but what `lab` finds again by its names and takes away.
"""
