"""How the site's DHCP is told of guests' cards: one file for each kind of server.

Nothing here knows what is booked; it says what it is told to, and touches nothing of others.
"""
