"""Where disk images and saved memory are kept: so far, a folder that every node sees.

An image store lists and finds files; what a guest does with them is the hypervisor's business.
"""
