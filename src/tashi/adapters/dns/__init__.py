"""How the site's DNS is told of guests' names: one file for each way, and what keys look like.

Nothing here knows what is booked; it says what it is told to, and touches nothing of others.
"""
