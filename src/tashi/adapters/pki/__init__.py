"""The cluster's own certificate authority: it makes itself, gives out certificates and renews them.

What shows and checks them is elsewhere: connections in `tashi.adapters.rpyc`, guests in their
hypervisor. Only here is the library that makes them.
"""
