"""What a node manager must remember over its own death, in files of its own.

Small pages, each kept whole or not at all, on the machine's own disk; the cluster's books are a
store's business.
"""
