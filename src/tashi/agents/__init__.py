"""Daemons that follow the cluster's events: what happened is kept, and passed on to others.

Nothing here changes the books or is waited for by anybody; what an agent has not heard yet, it
hears when it is back.
"""
