"""What the rooms need from the world, one need a file, as small Protocols.

A port is named for the need and says what is promised, in which units, and which of Tashi's errors
it raises. Adapters keep these promises; fakes keep them too, under the same suite of tests.
"""
