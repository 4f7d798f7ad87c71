"""How administrators' own classes and programs are told about instances.

They run outside of the scheduler, for a limited time, and whatever they do stops nothing.
"""
