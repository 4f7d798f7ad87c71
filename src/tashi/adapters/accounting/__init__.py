"""What the accounting daemon keeps and passes on: the journal in a folder of files.

Everything else that it writes is made from the journal, and can be made again from it.
"""
