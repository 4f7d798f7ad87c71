"""The front doors: thin composition roots that choose adapters, start, wait and stop.

Only here are settings loaded and adapters named. Nothing is decided here, and nothing imports it.
"""
