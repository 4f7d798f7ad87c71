"""Where the books are kept: one file per kind of store, and the rooms that a store is made of.

`memory` forgets when its process ends, `flatfile` is a readable journal on the local disk. Every
store keeps the same promises (`tashi.ports.store`) and passes the same suite of tests. What a
store has to hold on to, and what it may let go, is decided once, in `holdings`.
"""
